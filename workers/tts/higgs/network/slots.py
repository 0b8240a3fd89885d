"""The places in the running batch: keys and values, and where each sentence is. All of it stays on the device.

Names of the sampler's state: `row` counts rows of speech from 1, `ending` those since its end was sampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

HISTORY_ROWS = 7
"""How far back repeated codes are counted."""


class Slots:
    """`count` places of `positions` each, and one that nobody has, for what is read only to fill up a size."""

    def __init__(self, config: Any, count: int, positions: int, device: torch.device, dtype: torch.dtype) -> None:
        """`config` is that of transformers.

        Raises: torch.OutOfMemoryError.
        """
        books, bos = config.num_codebooks, config.audio_stream_bos_id
        shape = (config.num_hidden_layers, count + 1, config.num_key_value_heads, positions, config.head_dim)
        self.count = count
        self.positions = positions
        self.bos: int = bos
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros_like(self.keys)
        self.numbers = torch.arange(count, device=device)

        def whole(value: int) -> Tensor:
            return torch.full((count,), value, dtype=torch.long, device=device)

        self.position = whole(0)
        self.is_on = whole(0)
        self.row = whole(1)
        self.ending = whole(0)
        self.seed = whole(0)
        self.top_k = whole(50)
        self.most_repeats = whole(1 << 30)
        self.temperature = torch.ones(count, device=device)
        self.top_p = torch.ones(count, device=device)
        self.history = torch.full((count, HISTORY_ROWS, books), bos, dtype=torch.long, device=device)
        self.last = torch.full((count, books), bos, dtype=torch.long, device=device)

    def put(self, slots: Sequence[int], states: Sequence[Mapping[str, float]]) -> None:
        """Begin sentences in `slots`, or empty them: what a state does not name is as for an empty slot."""
        # One copy to the device for all of them; doubles hold each of these whole numbers.
        told = [[float(slot) for slot in slots]]
        told += [[state.get(name, empty) for state in states] for name, empty in _EMPTY.items()]
        values = torch.tensor(told, dtype=torch.float64).to(self.position.device)
        at = values[0].long()
        for name, value in zip(_EMPTY, values[1:], strict=True):
            tensor: Tensor = getattr(self, name)
            tensor.index_copy_(0, at, value.to(tensor.dtype))
        self.history.index_fill_(0, at, self.bos)
        self.last.index_fill_(0, at, self.bos)

    def copy_prefix(self, slot: int, keys: Tensor, values: Tensor) -> None:
        """Put what was read before, [layers, heads, positions, width] each, at a slot's beginning."""
        end = keys.shape[2]
        self.keys[:, slot, :, :end].copy_(keys)
        self.values[:, slot, :, :end].copy_(values)

    def take_prefix(self, slot: int, end: int) -> tuple[Tensor, Tensor]:
        """Copies of a slot's first positions."""
        return self.keys[:, slot, :, :end].clone(), self.values[:, slot, :, :end].clone()


_EMPTY: dict[str, float] = {
    "position": 0, "is_on": 0, "row": 1, "ending": 0, "seed": 0, "top_k": 50, "most_repeats": 1 << 30,
    "temperature": 1.0, "top_p": 1.0,
}  # fmt: skip
