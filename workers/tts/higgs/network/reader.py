"""Reads prompts into their slots, many at once, as one graph per size where there is a GPU. Not: which, and when."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from workers.tts.higgs.network.device_graph import Graph, mark
from workers.tts.higgs.network.plain_ops import TILE_TOKENS, Runs
from workers.tts.higgs.network.slots import Slots
from workers.tts.higgs.network.transformer import Transformer
from workers.tts.higgs.prompt import Prompt

SIZES = (32, 64, 128, 256, 512, 1024, 2048)
"""Tokens that there is a graph for; what is longer is launched kernel by kernel."""
IDS, IS_AUDIO, SLOT, AT, ROWS = range(5)
"""Lines of the array that goes to the device; the codebooks follow."""

Entry = tuple[int, int, Prompt]
"""Slot, first position, and what to read from there."""


class Reader:
    """Nothing is sampled here: the first row of speech is its start by construction."""

    def __init__(self, network: Transformer, slots: Slots, *, use_graphs: bool) -> None:
        """Every slot must be empty: recording writes into the one that nobody has."""
        self._network = network
        self._slots = slots
        self._use_graphs = use_graphs
        self._lines = ROWS + network.books
        self._graphs: dict[tuple[int, bool], tuple[Graph, Tensor]] = {}
        self._host = torch.zeros(_cells(SIZES[-1], self._lines), dtype=torch.long, pin_memory=use_graphs)
        self._is_taken: Any = None
        if use_graphs:
            with torch.inference_mode():
                self._record_all()

    def read(self, entries: Sequence[Entry]) -> None:
        """All in one pass."""
        has_speech = any(len(prompt.rows) for _, _, prompt in entries)
        if not self._network.has_kernels:
            self._read_plainly(entries, has_speech=has_speech)
            return
        length = sum(_rounded(len(prompt)) for _, _, prompt in entries)
        size = next((size for size in SIZES if size >= length), length)
        table, tiles = laid_out(entries, size, self._slots.count, self._lines)
        if self._use_graphs and size <= SIZES[-1]:
            graph, source = self._graphs[size, has_speech]
            self._send(table, tiles, source)
            graph.replay()
        else:
            source = torch.from_numpy(np.concatenate([table.ravel(), tiles.ravel()])).to(self._network.device)
            self._run(source, size, has_speech=has_speech)

    def _send(self, table: npt.NDArray[np.int64], tiles: npt.NDArray[np.int64], source: Tensor) -> None:
        """Without waiting for what the device still does."""
        if self._is_taken is not None:
            self._is_taken.synchronize()
        host = self._host[: len(source)]
        host[: table.size].copy_(torch.from_numpy(table.ravel()))
        host[table.size :].copy_(torch.from_numpy(tiles.ravel()))
        source.copy_(host, non_blocking=True)
        self._is_taken = mark()

    def _run(self, source: Tensor, size: int, *, has_speech: bool) -> Tensor:
        table = source[: self._lines * size].view(self._lines, size)
        tiles = source[self._lines * size :].view(-1, 3)
        runs = Runs(None, None, table[SLOT], tiles)
        self._network.read(
            self._slots, table[IDS], table[ROWS:].T, table[IS_AUDIO].bool(), runs, table[AT], has_speech=has_speech
        )
        return source

    def _read_plainly(self, entries: Sequence[Entry], *, has_speech: bool) -> None:
        parts = [_columns(entry, self._lines) for entry in entries]
        table = torch.from_numpy(np.concatenate(parts, axis=1)).to(self._network.device)
        runs = Runs(
            [(slot, len(prompt)) for slot, _, prompt in entries],
            [first + len(prompt) for _, first, prompt in entries],
            table[SLOT],
            None,
        )
        self._network.read(
            self._slots, table[IDS], table[ROWS:].T, table[IS_AUDIO].bool(), runs, table[AT], has_speech=has_speech
        )

    def _record_all(self) -> None:
        pool = None
        nobody = self._slots.count
        for size in reversed(SIZES):
            table, tiles = laid_out([], size, nobody, self._lines)
            source = torch.from_numpy(np.concatenate([table.ravel(), tiles.ravel()])).to(self._network.device)
            for has_speech in (True, False):
                graph = Graph(partial(self._run, source, size, has_speech=has_speech), pool)
                pool = graph.pool
                self._graphs[size, has_speech] = graph, source


def laid_out(
    entries: Sequence[Entry], size: int, nobody: int, lines: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """[lines, size] of tokens and [tiles, 3] of slot, first token and number of tokens. Each prompt begins a tile;
    what fills up the rest belongs to the slot `nobody`."""
    table = np.zeros((lines, size), np.int64)
    table[SLOT] = nobody
    tiles = np.zeros((size // TILE_TOKENS, 3), np.int64)
    tiles[:, 0], tiles[:, 1] = nobody, np.arange(len(tiles)) * TILE_TOKENS
    start = 0
    for entry in entries:
        slot, _, prompt = entry
        length = len(prompt)
        table[:, start : start + length] = _columns(entry, lines)
        first = start // TILE_TOKENS
        count = _rounded(length) // TILE_TOKENS
        tiles[first : first + count, 0] = slot
        tiles[first : first + count, 2] = np.minimum(TILE_TOKENS, length - np.arange(count) * TILE_TOKENS)
        start += _rounded(length)
    return table, tiles


def _columns(entry: Entry, lines: int) -> npt.NDArray[np.int64]:
    slot, first, prompt = entry
    columns = np.zeros((lines, len(prompt)), np.int64)
    columns[IDS], columns[IS_AUDIO], columns[SLOT] = prompt.ids, prompt.is_audio, slot
    columns[AT] = np.arange(first, first + len(prompt))
    columns[ROWS:, prompt.is_audio] = prompt.rows.T
    return columns


def _rounded(length: int) -> int:
    return -(-length // TILE_TOKENS) * TILE_TOKENS


def _cells(size: int, lines: int) -> int:
    return size * lines + size // TILE_TOKENS * 3
