"""Mirror: copies a session's messages into Redis, in order and once, for SSE and for whoever comes later.

Sockets never wait for it. While Redis is away messages wait here; beyond the bound the oldest are lost to the mirror.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from api.ending import end_tasks
from api.streams import Streams, StreamsError

log = logging.getLogger(__name__)

MAX_WAITING = 5000
BATCH = 200
GATHER_S = 0.005


class Mirror:
    """The events of one session on their way to Redis."""

    def __init__(self, streams: Streams, session: str, last: int = 0) -> None:
        self._streams = streams
        self._session = session
        self._waiting: deque[tuple[int, str]] = deque(maxlen=MAX_WAITING)
        self._task: asyncio.Task[None] | None = None
        self._next_write = asyncio.Event()
        self.written = last
        """Number of the newest event that Redis has."""

    def put(self, number: int, text: str) -> None:
        """Mirror one event."""
        self._waiting.append((number, text))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_loop())

    def next_write(self) -> asyncio.Event:
        """Set as soon as Redis has more than it has now."""
        return self._next_write

    async def flush(self, timeout_s: float = 2.0) -> None:
        """Wait until everything put so far is written, or the time is up."""
        newest = self._waiting[-1][0] if self._waiting else 0
        if self._task and not self._task.done():
            await asyncio.wait({self._task}, timeout=timeout_s)
        if self.written < newest:
            log.warning("%d events of a session are not mirrored yet", newest - self.written)

    async def close(self) -> None:
        """Write what is left, then stop."""
        await self.flush()
        await end_tasks(self._task)

    async def _write_loop(self) -> None:
        pause_s = 0.05
        while self._waiting:
            # Tokens come in bursts; whoever reads the mirror does not notice the wait, and sound goes first.
            await asyncio.sleep(GATHER_S)
            batch = [self._waiting[index] for index in range(min(BATCH, len(self._waiting)))]
            try:
                await self._streams.append_events(self._session, batch)
            except StreamsError as error:
                log.warning("events cannot be mirrored: %s", error)
                await asyncio.sleep(pause_s)
                pause_s = min(1.0, pause_s * 2)
                continue
            self.written = batch[-1][0]
            self._next_write.set()
            self._next_write = asyncio.Event()
            while self._waiting and self._waiting[0][0] <= self.written:
                self._waiting.popleft()
