"""Offers: which voices the running workers have, asked once for many who want to know. Not: which is meant."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from api.speaking.voices import Offered
from api.streams import Streams

FRESH_S = 2.0
"""Workers come and go, but seldom."""


class Offers:
    """One per process."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._voices: list[Offered] = []
        self._asked_at = -FRESH_S
        self._asking = asyncio.Lock()

    async def voices(self) -> list[Offered]:
        """Every voice of every engine, with the engine's name; an engine's best first.

        Raises: StreamsError.
        """
        async with self._asking:
            if time.monotonic() - self._asked_at > FRESH_S:
                found = {
                    (voice["engine"], voice["name"]): voice
                    for worker in await self._streams.workers()
                    for voice in voices_of(worker)
                }
                # Nobody here is worth asking again at once: a worker may be about to come.
                self._voices, self._asked_at = list(found.values()), time.monotonic() if found else -FRESH_S
            return self._voices


def voices_of(worker: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What a worker announces, each voice with the name of its engine."""
    for voice in worker.get("voices", []):
        yield {**voice, "engine": voice.get("engine") or worker["engine"]}


def engines_of(workers: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Each engine → its state, the best that any worker has: ok, resting after failures, or missing."""
    states: dict[str, str] = {}
    for worker in workers:
        for engine in worker.get("engines") or [{"engine": worker["engine"], "state": "ok"}]:
            name, state = str(engine["engine"]), str(engine["state"])
            states[name] = min(states.get(name, state), state, key=_STATES.index)
    return states


_STATES = ("ok", "resting", "missing")
