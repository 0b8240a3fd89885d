"""What voices begin with, read once and kept as keys and values; the least recently used are forgotten."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor

Kept = tuple[Tensor, Tensor]
"""Keys and values, [layers, heads, positions, width] each."""


class Prefixes:
    """At most `most_bytes` of them."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._bytes = 0

    def find(self, key: bytes) -> Kept | None:
        """What was kept under this key."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def keep(self, key: bytes, kept: Kept) -> None:
        """Keep it, and forget others for it; what is larger than all room is not kept."""
        size = _size(kept)
        if size > self._most_bytes:
            return
        self._bytes += size
        self._kept[key] = kept
        while self._bytes > self._most_bytes:
            _, forgotten = self._kept.popitem(last=False)
            self._bytes -= _size(forgotten)

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
        self._bytes = 0


def _size(kept: Kept) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in kept)
