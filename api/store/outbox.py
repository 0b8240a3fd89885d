"""Outbox: what waits to be written into the Store, in order, each once. Not: what it is.

Whoever talks puts something in and goes on. While the Store is down the outbox fills up to a bound, and says so of
each conversation that has something in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prometheus_client import Counter as Counted
from prometheus_client import Gauge

from api.ending import end_tasks
from api.store.store import Store, StoreDown, StoreError

log = logging.getLogger(__name__)

MAX_WRITES = 20_000
MAX_CHARS = 32 * 1024 * 1024
"""Hours of talk of a full house."""
WRITE_S = 10.0
"""A Store that has not taken one row after this long does not answer."""
AGAIN_S, AGAIN_MOST_S = 0.2, 5.0
WAITING = Gauge("cueline_outbox_writes", "What waits to be written into the Store")
LOST = Counted("cueline_outbox_lost_total", "What was never written into the Store", ["why"])


@dataclass(frozen=True, slots=True)
class Write:
    """One thing to do; harmless when it is done twice."""

    key: tuple[str, str]
    """What it writes. Of two that wait only the newer is done, in the place of the older."""
    conversation: str
    run: Callable[[Store], Awaitable[object]]
    size: int = 0
    """Characters that it keeps in memory."""


class Outbox:
    """One per process."""

    def __init__(self, store: Store) -> None:
        self.is_down = False
        """The Store did not take the last thing that it was given."""
        self.why_down = ""
        self.on_behind: Callable[[str, bool], None] = lambda conversation, is_behind: None
        """Called when something of a conversation waits because the Store is down, and when all of it is there."""
        self._store = store
        self._writes: OrderedDict[tuple[str, str], Write] = OrderedDict()
        self._counts: Counter[str] = Counter()
        self._chars = 0
        self._behind: set[str] = set()
        self._current: Write | None = None
        self._is_current_wanted = True
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run())

    async def stop(self, within_s: float = 2.0) -> None:
        """Write what can be written in that time; what is left is still in Redis, for whoever comes after us."""
        if not await self.settle(within_s):
            log.warning("%d rows are left for the process that comes after this one", len(self._writes))
        await end_tasks(self._task)

    def put(self, write: Write) -> None:
        """Have it written soon."""
        before = self._writes.get(write.key)
        if before is None and (len(self._writes) >= MAX_WRITES or self._chars + write.size > MAX_CHARS):
            LOST.labels(why="full").inc()
            log.error("the outbox is full: not kept at rest is what is said now")
            return
        self._chars += write.size - (before.size if before else 0)
        self._counts[write.conversation] += before is None
        self._writes[write.key] = write
        self._changed()
        if self.is_down:
            self._tell(write.conversation)

    def drop(self, conversation: str) -> None:
        """Of what waits write nothing more of a conversation."""
        for key in [key for key, write in self._writes.items() if write.conversation == conversation]:
            self._take(key)
        if self._current and self._current.conversation == conversation:
            self._is_current_wanted = False
        self._tell(conversation)
        self._changed()

    async def forget(self, conversation: str) -> None:
        """The same; when this returns, nothing of it is on its way either."""
        self.drop(conversation)
        while self._current and self._current.conversation == conversation:
            await self._moved.wait()

    async def settle(self, within_s: float) -> bool:
        """Wait until nothing waits any more; False if that takes longer."""
        try:
            async with asyncio.timeout(within_s):
                while self._writes or self._current:
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def _run(self) -> None:
        pause_s = AGAIN_S
        while True:
            while not self._writes:
                self._wake.clear()
                await self._wake.wait()
            write = self._current = self._take(next(iter(self._writes)))
            self._is_current_wanted = True
            try:
                async with asyncio.timeout(WRITE_S):
                    await write.run(self._store)
                self.is_down, self.why_down, pause_s = False, "", AGAIN_S
            except (StoreDown, TimeoutError) as error:
                self._put_back(write, str(error) or "it does not answer")
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, AGAIN_MOST_S)
            except StoreError as error:
                LOST.labels(why="refused").inc()
                log.error("the Store refuses %s for good: %s", write.key[0], error)  # noqa: TRY400
            finally:
                self._current = None
            self._tell(write.conversation)
            self._changed()

    def _put_back(self, write: Write, why: str) -> None:
        self._current = None
        log.warning("%s waits, the Store is down: %s", write.key[0], why)
        self.is_down, self.why_down = True, why
        if self._is_current_wanted:
            if write.key not in self._writes:
                self._writes[write.key] = write
                self._counts[write.conversation] += 1
                self._chars += write.size
            self._writes.move_to_end(write.key, last=False)
        self._changed()
        for conversation in list(self._counts):
            self._tell(conversation)

    def _take(self, key: tuple[str, str]) -> Write:
        write = self._writes.pop(key)
        self._chars -= write.size
        self._counts[write.conversation] -= 1
        if not self._counts[write.conversation]:
            del self._counts[write.conversation]
        return write

    def _tell(self, conversation: str) -> None:
        """Say so if a conversation has just fallen behind, or is there again."""
        if self._counts[conversation] and self.is_down and conversation not in self._behind:
            self._behind.add(conversation)
            self.on_behind(conversation, True)
        elif not self._counts[conversation] and conversation in self._behind:
            self._behind.discard(conversation)
            self.on_behind(conversation, False)

    def _changed(self) -> None:
        WAITING.set(len(self._writes))
        self._wake.set()
        self._moved.set()
        self._moved = asyncio.Event()
