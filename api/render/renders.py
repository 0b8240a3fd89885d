"""Renders: which are made in this process, and whose line is the next. Not: what somebody may ask for (desk.py).

The Store says what there is to do, so that it survives whatever dies; Redis says only who does it. Lines that got lost
on their way, because a worker, Redis or a process like this one died, are simply still missing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable

from api.casting.clips import Provide, no_clips
from api.ending import end_tasks
from api.errors import StoreUnreachable
from api.inbox import Inbox
from api.render.library import Library
from api.render.line_maker import LineMaker
from api.render.making import Making, Waiting
from api.store.store import Row, StoreError
from api.store.usage import Usage
from api.streams import Holder, Streams, StreamsError
from api.streams.holders import NOBODY
from api.turn.dispatch import Dispatcher
from contract.chunk import tombstone
from contract.job import TALK_QUEUE
from contract.keys import RENEW_S

log = logging.getLogger(__name__)

LOOK_S, IDLE_LOOK_S = 1.0, 3.0
"""How often the Store is asked what there is to do, while there is something and while there is nothing."""
BEGUN_S = 3600
"""An order that is not complete after this never will be."""
MAX_HELD = 64
"""Renders that one process makes at the same time."""
AHEAD = 2
"""Lines per worker that are in the queue or being made, so that no worker waits for us, and Redis holds few."""
AT_LEAST, AT_MOST = 3, 64
REST_S = 1.0
"""A line for which there was no worker, or no room in Redis, is tried again after this."""
ASIDE_S, ASIDE_MOST_S = 1.0, 5.0
"""So long behind a sentence of a talk, one worker is left for the next one; with one worker, a line may be made all
the same when none was for this long."""
PAUSE_S = 15.0
"""Where there are more workers, one is left for as long as a talk may pause: the answer is heard, and the person says
something."""
UNCLAIMED_S, NOTE_S = 0.5, 0.25
"""A line that waits longer than this waits for somebody."""


def session_of(render: str) -> str:
    """Under which name Redis knows who makes a render; no session has one like it."""
    return f"render-{render}"


class Renders:
    """All renders that this process has in its hands."""

    def __init__(
        self,
        library: Library,
        streams: Streams,
        inbox: Inbox,
        dispatcher: Dispatcher,
        usage: Usage,
        provide: Provide = no_clips,
    ) -> None:
        self.library = library
        self.held: dict[str, Making] = {}
        """In the order in which it is their turn."""
        self._streams = streams
        self._inbox = inbox
        self._dispatcher = dispatcher
        self._workers = 0
        self._room = AT_LEAST
        self._started_at = 0.0
        self._looks: list[asyncio.Task[None]] = []
        self._look_now = asyncio.Event()
        self._moved = asyncio.Event()
        self._maker = LineMaker(library, streams, inbox, dispatcher, usage, provide)
        self._renewed_at = time.monotonic()
        self._is_store_down = False

    def start(self) -> None:
        """Begin to look for work, and to do it."""
        self._looks = [asyncio.create_task(self._look_loop()), asyncio.create_task(self._work_loop())]

    async def stop(self) -> None:
        """Leave everything to the next process, at once."""
        await end_tasks(*self._looks)
        for making in list(self.held.values()):
            await self._drop(making)
            try:
                await self._streams.claim(session_of(making.id), making.epoch + 1, NOBODY)
            except StreamsError as error:
                log.warning("a render is not handed over: %s", error)

    def look(self) -> None:
        """There is something new in the Store."""
        self._look_now.set()

    async def end_here(self, render: str) -> None:
        """Nobody wants it any more: its lines are not made."""
        if making := self.held.get(render):
            await self._end(making)

    async def _look_loop(self) -> None:
        has_tidied = False
        while True:
            try:
                if not has_tidied:
                    await self.library.forget_begun(int((time.time() - BEGUN_S) * 1000))
                    has_tidied = True
                await self._look()
                self._is_store_down = False
            except (StoreError, TimeoutError, StoreUnreachable) as error:
                if not self._is_store_down:
                    log.warning("renders wait for the Store: %s", error)
                self._is_store_down = True
            except StreamsError as error:
                log.debug("renders wait for redis: %s", error)
            self._look_now.clear()
            try:
                async with asyncio.timeout(LOOK_S if self.held else IDLE_LOOK_S):
                    await self._look_now.wait()
            except TimeoutError:
                continue

    async def _look(self) -> None:
        self._workers = len(await self._streams.workers())
        self._room = max(AT_LEAST, min(AT_MOST, AHEAD * self._workers + 1))
        await self._renew()
        rows = {row["id"]: row for row in await self.library.unfinished()}
        await self._check_held(rows)
        for row in list(rows.values()):
            if len(self.held) >= MAX_HELD:
                break
            if row["id"] not in self.held:
                await self._try_to_hold(row)
        self._moved.set()

    async def _check_held(self, rows: dict[str, Row]) -> None:
        held = list(self.held.values())
        gone = [making.id for making in held if making.id not in rows]
        left = await self.library.states(gone)
        holders = await self._streams.holders([session_of(making.id) for making in held]) if held else []
        for making, holder in zip(held, holders, strict=True):
            if making.id not in rows:
                await self._end(making)
                if making.id not in left:
                    await self.library.remove_sound(making.id)
            elif not await self._is_still_ours(making, holder):
                log.warning("another process makes a render that was ours")
                await self._drop(making)
            elif rows[making.id]["revision"] != making.work.revision:
                await self._reload(making)

    async def _is_still_ours(self, making: Making, holder: Holder) -> bool:
        if holder.epoch < making.epoch:
            # Redis has forgotten it.
            return await self._streams.claim(session_of(making.id), making.epoch, self._inbox.name)
        return holder.epoch == making.epoch

    async def _try_to_hold(self, row: Row) -> None:
        holder = await self._streams.holder(session_of(row["id"]))
        if holder.name != NOBODY and holder.lives and holder.name != self._inbox.name:
            return
        epoch = holder.epoch + 1
        if not await self._streams.claim(session_of(row["id"]), epoch, self._inbox.name):
            return
        work = await self.library.load(row["owner"], row["id"])
        if work is None:
            return
        await self.library.borrow(work.owner, work.id, work.made.values())
        sounds = await self.library.sounds(row["id"])
        self.held[row["id"]] = Making(work, epoch, sounds)

    async def _reload(self, making: Making) -> None:
        work = await self.library.load(making.work.owner, making.id)
        if work is not None:
            making.change(work, await self.library.sounds(making.id))

    async def _work_loop(self) -> None:
        while True:
            self._moved.clear()
            while self._count_on_way() < self._find_room() and (found := self._next()):
                making, number = found
                self._started_at = time.monotonic()
                self._start(making, self._maker.make(making, number))
            for making in [making for making in self.held.values() if making.is_over]:
                await self._finish(making)
            try:
                async with asyncio.timeout(NOTE_S if self.held else REST_S):
                    await self._moved.wait()
            except TimeoutError:
                await self._note_waiting()

    def _next(self) -> tuple[Making, int] | None:
        """A line of the render whose turn it is; then it is everybody else's first."""
        now = time.monotonic()
        on_way = {content for making in self.held.values() for content in making.contents.values()}
        for render, making in list(self.held.items()):
            if making.rests_until > now or making.is_dropped:
                continue
            if (number := making.take(on_way)) is not None:
                self.held[render] = self.held.pop(render)
                return making, number
        return None

    def _start(self, making: Making, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work
            self._moved.set()

        task = asyncio.create_task(run())
        making.tasks.add(task)
        task.add_done_callback(making.tasks.discard)

    async def _finish(self, making: Making) -> None:
        """Say that all of it has ended."""
        state = "failed" if making.has_failed else "done"
        now = int(time.time() * 1000)
        try:
            # Not if its script has changed, or somebody has cancelled it, a moment ago.
            row = await self.library.row(making.work.owner, making.id)
            if row and row["revision"] == making.work.revision:
                await self.library.move(making.work.owner, making.id, ("rendering",), state, now)
        except StoreUnreachable:
            making.waiting, making.rests_until = "store", time.monotonic() + REST_S
            await asyncio.sleep(0.1)
            return
        await self._drop(making)
        self.look()

    async def _end(self, making: Making) -> None:
        """Let workers drop what they were asked for."""
        stones = {key: tombstone(0, 0, 0, 0).pack() for key in making.streams}
        await self._drop(making)
        try:
            await self._streams.end_sentences(stones)
        except StreamsError as error:
            log.warning("lines that nobody wants are made all the same: %s", error)

    async def _drop(self, making: Making) -> None:
        making.is_dropped = True
        self.held.pop(making.id, None)
        await end_tasks(*making.tasks)
        making.tell()

    async def _renew(self) -> None:
        """A line may wait for hours behind talk; its stream has to be there when a worker comes to it."""
        if time.monotonic() - self._renewed_at < RENEW_S:
            return
        self._renewed_at = time.monotonic()
        waiting = [key for making in self.held.values() for key in making.streams]
        if waiting:
            await self._streams.renew_sentences(waiting)

    async def _note_waiting(self) -> None:
        """Say for whom lines wait that nobody has taken for a while."""
        held = [making for making in self.held.values() if not making.is_over]
        stands_still = time.monotonic() - self._maker.claimed_at > UNCLAIMED_S and not any(one.claimed for one in held)
        if not held or not stands_still:
            return
        try:
            talks = self._somebody_talks() or await self._streams.queue_length(TALK_QUEUE) > 0
        except StreamsError:
            return  # the lines themselves say so
        waiting: Waiting = "talk" if talks else "busy" if self._workers else "workers"
        for making in [making for making in held if making.waiting != waiting]:
            making.waiting = waiting
            making.tell()

    def _find_room(self) -> int:
        """As many lines as may be on their way. While somebody talks, one worker's less than there are."""
        others = self._workers - 1
        if others > 0 and self._somebody_talks(PAUSE_S):
            return others
        if not self._somebody_talks(ASIDE_S):
            return self._room
        return int(time.monotonic() - self._started_at > ASIDE_MOST_S)

    def _somebody_talks(self, within_s: float = ASIDE_S) -> bool:
        """Whether a sentence is on its way, or has been a moment ago: the next one may come at any time."""
        return self._dispatcher.talking > 0 or time.monotonic() - self._dispatcher.talked_at < within_s

    def _count_on_way(self) -> int:
        return sum(len(making.on_way) for making in self.held.values())
