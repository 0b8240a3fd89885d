"""What the host knows of each slot's speech: rows as they come, frames as they become whole. Not: sound.

Row t holds codebook i of frame t - i, so a frame is whole with the row that brings its last codebook.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workers.tts.engine import Codes


class Tracks:
    """Arrays over all slots, because a loop over slots and codebooks would take longer than a step does."""

    def __init__(self, slots: int, positions: int, books: int, bos: int, eos: int) -> None:
        self._books, self._bos, self._eos = books, bos, eos
        self._rows = np.zeros((slots, positions + books, books), np.int32)
        self._row_count = np.zeros(slots, np.int64)
        self._frames = np.zeros((slots, positions, books), np.uint16)
        self._frame_count = np.zeros(slots, np.int64)
        self._wanted = np.zeros(slots, np.int64)
        self._most = np.zeros(slots, np.int64)
        self._book = np.arange(books)

    def begin(self, slot: int, wanted: int, most: int) -> None:
        """A sentence starts in this slot: say so at `wanted` frames, and end it at `most`."""
        self._row_count[slot] = self._frame_count[slot] = 0
        self._wanted[slot], self._most[slot] = wanted, most

    def want(self, slot: int, wanted: int) -> None:
        """Say so again at `wanted` frames."""
        self._wanted[slot] = wanted

    def add(self, at: npt.NDArray[np.int64], codes: npt.NDArray[np.int64]) -> list[tuple[int, str]]:
        """A row each, [slots, codebooks], for the slots `at`. Returns those that are due, with why they end, if they
        do: "stop" or "length"."""
        count = self._row_count[at]
        self._rows[at, count] = codes
        self._row_count[at] = count + 1
        first = count + 1 - self._books
        whole = first >= 0
        frame = self._rows[at[:, None], np.maximum(first, 0)[:, None] + self._book, self._book]
        stops = whole & (frame == self._eos).any(1)
        # A start of speech inside speech is no sound: such a frame is left out.
        good = whole & ~stops & (frame < self._bos).all(1)
        kept = at[good]
        self._frames[kept, self._frame_count[kept]] = frame[good]
        self._frame_count[kept] += 1
        # Bounded by rows as well, should there be a slot that makes nothing but frames that are left out.
        full = (self._frame_count[at] >= self._most[at]) | (first + 1 >= self._most[at])
        due = stops | full | (self._frame_count[at] >= self._wanted[at])
        return [
            (int(slot), "stop" if is_stop else "length" if is_full else "")
            for slot, is_stop, is_full in zip(at[due], stops[due], full[due], strict=True)
        ]

    def frames(self, slot: int) -> int:
        """Whole frames so far."""
        return int(self._frame_count[slot])

    def codes(self, slot: int, low: int = 0, high: int | None = None) -> Codes:
        """Frames [low, high) of this sentence, copied, [codebooks, frames]."""
        end = int(self._frame_count[slot]) if high is None else high
        return self._frames[slot, low:end].T.copy()

    def no_codes(self) -> Codes:
        """Those of a sentence that never began."""
        return np.zeros((self._books, 0), np.uint16)
