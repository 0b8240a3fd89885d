"""Matrix products with weights in the model's own type, or in 8 bits for cards that have less room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

KERNEL_ROWS = 256
"""Above it the product costs so much that turning the weights back first no longer counts."""


class Linear(Protocol):
    """[rows, in] → [rows, out]."""

    bytes: int

    def __call__(self, x: Tensor) -> Tensor: ...


def as_linear(weights: Sequence[Tensor], device: torch.device, *, int8: bool) -> Linear:
    """One product for several matrices [out, in] with the same input, their outputs side by side."""
    weight = weights[0] if len(weights) == 1 else torch.cat(list(weights))
    return _Int8(weight, device) if int8 else _Plain(weight, device)


class _Plain:
    def __init__(self, weight: Tensor, device: torch.device) -> None:
        self._weight = weight.to(device)
        self.bytes = weight.numel() * weight.element_size()

    def __call__(self, x: Tensor) -> Tensor:
        return functional.linear(x, self._weight)


class _Int8:
    """Each output has a scale of its own: half the room of bf16, and rounding by at most a 254th of its largest
    weight."""

    def __init__(self, weight: Tensor, device: torch.device) -> None:
        wide = weight.float()
        scale = wide.abs().amax(1, keepdim=True).clamp_min(1e-8) / 127
        self._weight = (wide / scale).round().to(torch.int8).to(device)
        self._scale = scale[:, 0].to(weight.dtype).to(device)
        self.bytes = weight.numel()
        self._kernel: Any = None
        if device.type == "cuda":
            try:
                from workers.tts.higgs.network import kernels

                self._kernel = kernels.int8_linear
            except ImportError:
                self._kernel = None

    def __call__(self, x: Tensor) -> Tensor:
        if self._kernel is not None and len(x) <= KERNEL_ROWS:
            return self._kernel(x, self._weight, self._scale)  # type: ignore[no-any-return]
        return functional.linear(x, self._weight.to(x.dtype)) * self._scale
