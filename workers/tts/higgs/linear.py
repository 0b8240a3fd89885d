"""Matrix products with weights in the model's own type, or in 8 bits on cards that have less room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional


class Linear(Protocol):
    """[rows, in] → [rows, out]."""

    bytes: int

    def __call__(self, x: Tensor) -> Tensor: ...


def as_linear(weights: Sequence[Tensor], *, int8: bool) -> Linear:
    """One product for several matrices [out, in] with the same input, their outputs side by side."""
    weight = weights[0] if len(weights) == 1 else torch.cat(list(weights))
    if int8:
        return _Int8(weight)
    return _Plain(weight)


class _Plain:
    def __init__(self, weight: Tensor) -> None:
        self._weight = weight
        self.bytes = weight.numel() * weight.element_size()

    def __call__(self, x: Tensor) -> Tensor:
        return functional.linear(x, self._weight)


class _Int8:
    """Each output has a scale of its own: half the room of bf16, and rounding below half of a 127th of its largest
    weight."""

    def __init__(self, weight: Tensor) -> None:
        wide = weight.float()
        scale = wide.abs().amax(1, keepdim=True).clamp_min(1e-8) / 127
        self._weight = (wide / scale).round().to(torch.int8)
        self._scale = scale[:, 0].to(weight.dtype)
        self.bytes = weight.numel()

    def __call__(self, x: Tensor) -> Tensor:
        return functional.linear(x, self._weight.to(x.dtype)) * self._scale
