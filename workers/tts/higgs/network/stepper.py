"""One step of the running batch, as one graph per batch size where there is a GPU. Not: who is in the batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from workers.tts.higgs.network.device_graph import Graph, mark
from workers.tts.higgs.network.sampler import sample
from workers.tts.higgs.network.slots import Slots
from workers.tts.higgs.network.transformer import Transformer
from workers.tts.higgs.take import Take

SIZES = (1, 2, 4, 8, 12, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256)
SHORTEST_END = 256
"""Without kernels a graph also depends on how far positions reach, in powers of two from here."""


@dataclass(slots=True)
class Step:
    """A step that has been started; its codes come when the device has got there."""

    takes: list[tuple[int, Take]]
    """(slot, take) of those that it was made for."""
    codes: Tensor
    is_done: Any

    def wait(self) -> npt.NDArray[np.int64]:
        """[batch, codebooks]."""
        if self.is_done is not None:
            self.is_done.synchronize()
        return self.codes.numpy()


class Stepper:
    """Steps the first slots; how many and how far is rounded up to what there is a graph for."""

    def __init__(self, network: Transformer, slots: Slots, eos: int, *, use_graphs: bool, one_size: bool) -> None:
        """`one_size`: always step all slots. The same shapes give the same sums, so that a sentence sounds the same
        to the last bit whoever else is in the batch.

        Every slot must be empty: recording runs the step.
        """
        self._network = network
        self._slots = slots
        self._eos = eos
        self._use_graphs = use_graphs
        sizes = [slots.count] if one_size else [*(size for size in SIZES if size < slots.count), slots.count]
        self._sizes = sizes
        self._graphs: dict[tuple[int, int], Graph] = {}
        books = network.books
        self._hosts = [torch.empty(slots.count, books, dtype=torch.long, pin_memory=use_graphs) for _ in range(2)]
        self._turn = 0
        if use_graphs:
            with torch.inference_mode():
                self._record_all()

    def start(self, takes: list[tuple[int, Take]], end: int) -> Step:
        """Step all slots up to the last of `takes`; `end` bounds the positions that are filled afterwards."""
        need = max(slot for slot, _ in takes) + 1
        count = next(size for size in self._sizes if size >= need)
        if not self._use_graphs:
            return Step(takes, self._run(count, end), None)
        made = self._graphs[count, self._rounded(end)].replay()
        self._turn = 1 - self._turn
        host = self._hosts[self._turn][:count]
        host.copy_(made, non_blocking=True)
        return Step(takes, host, mark())

    def _rounded(self, end: int) -> int:
        if self._network.has_kernels:
            return self._slots.positions
        return min(self._slots.positions, max(SHORTEST_END, 1 << (end - 1).bit_length()))

    def _run(self, count: int, end: int) -> Tensor:
        logits = self._network.step(self._slots, self._slots.last[:count], end)
        return sample(logits, self._slots, self._slots.bos, self._eos, self._network.ops.noise)

    def _record_all(self) -> None:
        pool = None
        ends = sorted({self._rounded(end) for end in (1 << power for power in range(1, 16))})
        for count in reversed(self._sizes):
            for end in reversed(ends):
                graph = Graph(partial(self._run, count, end), pool)
                pool = graph.pool
                self._graphs[count, end] = graph
