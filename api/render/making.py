"""Making: one render while this process makes it: what is missing, what is on its way, what stands still. Not: how."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Set
from typing import Literal

from api.render.play import CastLine, Work
from api.store.store import Row

LineState = Literal["queued", "making", "done", "failed"]
Waiting = Literal["", "talk", "busy", "workers", "queue", "store"]


class Making:
    """A render in the hands of this process."""

    def __init__(self, work: Work, epoch: int, sounds: Set[str]) -> None:
        """`sounds`: names of the files that are there: a line without its file has to be made again."""
        self.work = work
        self.epoch = epoch
        self.waiting: Waiting = ""
        """Why nothing moves, though there is something to do."""
        self.rests_until = 0.0
        """Not before this time of the monotonic clock is a line taken again: something it needs was not there."""
        self.on_way: dict[int, CastLine] = {}
        """Lines that workers were asked for."""
        self.contents: dict[int, str] = {}
        """What of each of them sounds like it."""
        self.claimed: set[int] = set()
        """Those of them that a worker has."""
        self.streams: set[str] = set()
        """Keys of what workers write to now."""
        self.is_dropped = False
        """Somebody else makes it, or nobody wants it any more."""
        self.tasks: set[asyncio.Task[None]] = set()
        self.changed = asyncio.Event()
        self._place = max((row["place"] for row in work.made.values()), default=0)
        self._queue: deque[int] = deque()
        self._find_missing(sounds)

    @property
    def id(self) -> str:
        """The render's name."""
        return self.work.id

    @property
    def is_over(self) -> bool:
        """Whether every line has ended."""
        return not self._queue and not self.on_way

    @property
    def has_failed(self) -> bool:
        """Whether a line of it could not be made."""
        return any(row["state"] == "failed" for row in self.work.made.values())

    def take(self, on_way: Set[str]) -> int | None:
        """The next line to be made; None if there is none now. `on_way`: contents of all that workers make now."""
        for _ in range(len(self._queue)):
            number = self._queue.popleft()
            if number >= len(self.work.lines):
                continue
            line = self.work.lines[number]
            content = line.content
            if content in on_way:
                # Another line, of this render or another, sounds the same: when that is made, so is this one.
                self._queue.append(number)
                continue
            self.on_way[number], self.contents[number] = line, content
            return number
        return None

    def put_back(self, number: int, waiting: Waiting, rest_s: float) -> None:
        """It could not be made now; it is the next one later."""
        self._leave(number)
        self._queue.appendleft(number)
        self.waiting, self.rests_until = waiting, time.monotonic() + rest_s
        self.tell()

    def end(self, number: int, row: Row) -> None:
        """It was made, or cannot be."""
        self._leave(number)
        if number < len(self.work.lines) and self.work.lines[number].content == row["content"]:
            self.work.made[number] = row
        elif number < len(self.work.lines):
            self._queue.appendleft(number)  # it was changed meanwhile
        self.waiting = ""
        self.tell()

    def claim(self, number: int) -> None:
        """A worker has it."""
        self.claimed.add(number)
        self.waiting = ""
        self.tell()

    def next_place(self) -> int:
        """A number greater than any before, here or in a process before."""
        self._place = max(self._place + 1, int(time.time() * 1000))
        return self._place

    def change(self, work: Work, sounds: Set[str]) -> None:
        """The script is another one."""
        self.work = work
        self._queue.clear()
        self._find_missing(sounds)
        self.tell()

    def state(self, number: int) -> LineState:
        """How far a line is."""
        if row := self.work.made.get(number):
            return "failed" if row["state"] == "failed" else "done"
        if self.work.lines[number].is_silent:
            return "done"
        return "making" if number in self.claimed else "queued"

    def tell(self) -> None:
        """Wake whoever watches."""
        self.changed.set()
        self.changed = asyncio.Event()

    def _leave(self, number: int) -> None:
        self.on_way.pop(number, None)
        self.contents.pop(number, None)
        self.claimed.discard(number)

    def _find_missing(self, sounds: Set[str]) -> None:
        made = self.work.made
        for number, row in list(made.items()):
            if row["state"] == "done" and not set(row["sound"].split()) <= sounds:
                del made[number]
        self._queue.extend(
            number
            for number, line in enumerate(self.work.lines)
            if not line.is_silent and number not in made and number not in self.on_way
        )
