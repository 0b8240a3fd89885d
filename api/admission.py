"""Admission: what there is room for, decided in one place, and how fast one client may talk. Not: what it says.

A full house refuses who comes and lets who talks go on: refusals are errors with a code and a time to come back,
and the room is looked at every second, so that nobody has to open the door again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from api.ending import end_tasks
from api.errors import ServerBusy, TooManyMessages
from api.streams import Streams, StreamsError
from api.turn.timing import LISTENERS, REFUSED
from contract.job import TALK_QUEUE

log = logging.getLogger(__name__)

MEMORY_RATIO = 0.7
"""Share of Redis' memory above which no new session and no new turn is taken, so that those who talk can go on."""
QUEUE_LENGTH = 3000
"""Sentences that wait for a worker, above which the same holds: nobody would hear these before giving up."""
LOOK_S = 1.0
SESSIONS_PER_S, SESSIONS_AT_ONCE = 20.0, 500.0
"""New sessions of one process; each is kept in Redis for a day, used or not."""
TURNS_PER_S, TURNS_AT_ONCE = 5.0, 100.0
"""New turns of one session that interrupt or wait for another: nobody can listen to more. Who lets each turn end
may go as fast as they do."""
MESSAGES_PER_S, MESSAGES_AT_ONCE = 100.0, 500.0
"""Frames of one socket, `FRAME_COST_BYTES` each; a microphone sends fifty a second, the page four."""
FRAME_COST_BYTES = 8192


class Pace:
    """A token bucket: so many at once, so many a second afterwards."""

    def __init__(self, per_s: float, at_once: float) -> None:
        self._per_s = per_s
        self._at_once = self._left = at_once
        self._counted_at = time.monotonic()

    def take(self, cost: float = 1.0) -> bool:
        """Whether there is enough left; what is refused costs nothing."""
        now = time.monotonic()
        self._left = min(self._at_once, self._left + (now - self._counted_at) * self._per_s)
        self._counted_at = now
        if self._left < cost:
            return False
        self._left -= cost
        return True


class Admission:
    """The room of one api process, and the memory it shares with the others."""

    def __init__(self, streams: Streams, max_listeners: int) -> None:
        self.listeners = 0
        """Sockets and event streams that are open."""
        self._streams = streams
        self._max_listeners = max_listeners
        self._sessions = Pace(SESSIONS_PER_S, SESSIONS_AT_ONCE)
        self._is_full = False
        self._looker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._looker = asyncio.create_task(self._look_loop())

    async def stop(self) -> None:
        """Look no more."""
        await end_tasks(self._looker)

    @contextmanager
    def listener(self) -> Iterator[None]:
        """Room for one more socket or event stream, as long as it is open.

        Raises: ServerBusy.
        """
        # Counted before the next await: those who come at the same moment are counted too.
        self.listeners += 1
        LISTENERS.set(self.listeners)
        try:
            if self.listeners > self._max_listeners:
                raise refusal("listener")
            yield
        finally:
            self.listeners -= 1
            LISTENERS.set(self.listeners)

    def admit_session(self) -> None:
        """Room for a new session in Redis. Raises: ServerBusy."""
        if self._is_full or not self._sessions.take():
            raise refusal("session")

    def admit_turn(self, pace: Pace | None) -> None:
        """Room for a new turn, counted by its session's pace if there is one. Raises: ServerBusy, TooManyMessages."""
        if self._is_full:
            raise refusal("turn")
        if pace and not pace.take():
            REFUSED.labels(what="turn").inc()
            raise TooManyMessages

    async def _look_loop(self) -> None:
        while True:
            try:
                await self._look()
            except StreamsError as error:
                log.debug("redis' memory is unknown: %s", error)
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        ratio, queued = await self._streams.used_ratio(), await self._streams.queue_length(TALK_QUEUE)
        is_full = ratio > MEMORY_RATIO or queued > QUEUE_LENGTH
        if is_full and not self._is_full:
            log.warning("nothing new is taken: redis is %d %% full, %d sentences wait", ratio * 100, queued)
        elif self._is_full and not is_full:
            log.warning("there is room again")
        self._is_full = is_full


def refusal(what: str) -> ServerBusy:
    """Come back later; counted."""
    REFUSED.labels(what=what).inc()
    return ServerBusy()


def turn_pace() -> Pace:
    """How fast one session may begin turns."""
    return Pace(TURNS_PER_S, TURNS_AT_ONCE)


class FramePace:
    """How fast one socket may send."""

    def __init__(self) -> None:
        self._pace = Pace(MESSAGES_PER_S, MESSAGES_AT_ONCE)

    def check(self, size: int) -> None:
        """Count one frame of so many bytes. Raises: TooManyMessages."""
        if not self._pace.take(1 + size / FRAME_COST_BYTES):
            raise TooManyMessages
