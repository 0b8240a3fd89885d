"""Readings: those that are under way in this process; the same text in the same voice is made once. Not: how."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

from api.ending import end_tasks
from api.speaking.passages import Piece
from api.speaking.reading import Reading
from api.store.usage import Made, Usage
from api.turn.stage import Parts
from contract.audio import bytes_to_ms

CLOSE_S = 3.0


class Readings:
    """One per process."""

    def __init__(self, parts: Parts, usage: Usage) -> None:
        self.parts = parts
        self._usage = usage
        self._shared: dict[str, Reading] = {}
        self._ends: set[asyncio.Task[None]] = set()
        self._open: dict[Reading, str] = {}
        """Each with its owner."""

    def read(self, owner: str, title: str, pieces: Sequence[Piece]) -> Reading:
        """Have it read aloud, or join who has asked for the same just now: clients ask again when an answer is late.

        Raises: ServerBusy.
        """
        key = _key(owner, pieces)
        known = self._shared.get(key)
        if known and known.can_be_joined:
            return known
        self.parts.admission.admit_turn(None)
        reading = self._shared[key] = self._make(owner, title)
        reading.add(pieces)
        reading.finish()
        return reading

    def begin(self, owner: str, title: str) -> Reading:
        """One whose text is still being written. Raises: ServerBusy."""
        self.parts.admission.admit_turn(None)
        return self._make(owner, title)

    async def stop(self) -> None:
        """End them all."""
        for reading in list(self._open):
            self._end(reading)
        if self._ends:
            _, late = await asyncio.wait(self._ends, timeout=CLOSE_S)
            await end_tasks(*late)

    def _make(self, owner: str, title: str) -> Reading:
        reading = Reading(self.parts, owner, title, self._end)
        self._open[reading] = owner
        return reading

    def _end(self, reading: Reading) -> None:
        if owner := self._open.pop(reading, None):
            made = Made(1, reading.characters, bytes_to_ms(reading.duration_bytes))
            self._usage.add_made(owner, "speech", made)
        self._shared = {key: other for key, other in self._shared.items() if other is not reading}
        task = asyncio.create_task(reading.close())
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)


def _key(owner: str, pieces: Sequence[Piece]) -> str:
    content = json.dumps([owner, [asdict(piece) for piece in pieces]], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
