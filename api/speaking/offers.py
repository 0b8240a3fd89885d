"""Offers: which voices the running workers have, asked once for many who want to know. Not: which is meant."""

from __future__ import annotations

import asyncio
import time

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
                    (worker["engine"], voice["name"]): {**voice, "engine": worker["engine"]}
                    for worker in await self._streams.workers()
                    for voice in worker.get("voices", [])
                }
                # Nobody here is worth asking again at once: a worker may be about to come.
                self._voices, self._asked_at = list(found.values()), time.monotonic() if found else -FRESH_S
            return self._voices
