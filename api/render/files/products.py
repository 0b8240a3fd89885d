"""Products: what becomes of a render's lines, made when it is asked for and kept until the lines change. Not: lines.

Laying a render out means reading all of its sound, and mastering it means doing so again: minutes for a book. So both
are done in a thread, once however many ask, and end as soon as nobody may have the result.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from api.encoding.formats import FILES
from api.errors import FormatUnknown
from api.render.errors import RenderUnknown
from api.render.files import packing
from api.render.files.mastering import master
from api.render.files.subtitles import FORMATS
from api.render.library import Library
from api.render.play import CastLine, Work
from api.render.script import Line, Script
from api.render.sound.assembly import Cancelled, Plan
from api.render.sound.levelling import prepare
from api.render.sound.live import Live
from api.render.sound.takes import Style, Take
from api.store.store import Row

AT_ONCE = 2
"""Renders that are laid out or mastered at the same time; others wait."""
PLANS_KEPT = 8
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Running:
    task: asyncio.Task[object]
    is_cancelled: threading.Event


class Products:
    """Files and subtitles of renders."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._room = asyncio.Semaphore(AT_ONCE)
        self._running: dict[tuple[str, str], _Running] = {}
        self._plans: OrderedDict[str, Plan] = OrderedDict()

    async def stop(self) -> None:
        """Make no more."""
        for render, _ in list(self._running):
            self.cancel(render)

    def cancel(self, render: str) -> None:
        """Nobody wants what is being made of this render."""
        for (one, _), running in list(self._running.items()):
            if one == render:
                running.is_cancelled.set()

    async def file(self, work: Work, wanted: str) -> Path:
        """The whole as one of `FILES`, or `zip`: each line as a file and the manifest.

        Raises: FormatUnknown, AudioGone, DiskFull, FileUnwritable; RenderUnknown if it was cancelled.
        """
        name, script = await self.name(work, wanted), script_of(work)
        path, key = self._library.folder(work.id) / name, name.partition(".")[0]
        if await asyncio.to_thread(path.is_file):
            return path
        plan = await self.plan(work)

        def make(is_cancelled: Callable[[], bool]) -> Path:
            _remove_stale(path.parent, key)
            if wanted == "zip":
                extra = [(f"subtitles.{name}", write(plan, script)) for name, (_, write) in FORMATS.items()]
                packing.pack(plan, script, path, "wav", extra, is_cancelled)
            else:
                master(plan, script, path, wanted, is_cancelled)
            return path

        return await self._once(work.id, path.name, make)

    async def name(self, work: Work, wanted: str) -> str:
        """The name of that file: another as soon as its lines are others. Raises: FormatUnknown."""
        if wanted not in (*FILES, "zip"):
            raise FormatUnknown(f"Known formats are {', '.join((*FILES, 'zip'))}.")
        return f"{await asyncio.to_thread(_key, work)}.{wanted}"

    async def plan(self, work: Work) -> Plan:
        """What comes when, and how loud. Raises: AudioGone; RenderUnknown if it was cancelled."""
        key = f"{work.id}:{await asyncio.to_thread(_key, work)}"
        if key not in self._plans:
            await self._library.borrow(work.owner, work.id, work.made.values())
            takes = [self.take(work, number, line) for number, line in enumerate(work.lines)]
            style, pause_ms = style_of(work.row), work.play.pause_after_ms
            self._plans[key] = await self._once(work.id, key, lambda end: prepare(takes, style, pause_ms, end))
            while len(self._plans) > PLANS_KEPT:
                self._plans.popitem(last=False)
        self._plans.move_to_end(key)
        return self._plans[key]

    async def subtitles(self, work: Work, wanted: str) -> tuple[str, str]:
        """Media type and text of one of `subtitles.FORMATS`, or of the manifest."""
        plan, script = await self.plan(work), script_of(work)
        if wanted == "manifest":
            return "application/json", await asyncio.to_thread(packing.manifest, plan, script)
        media_type, write = FORMATS[wanted]
        return media_type, await asyncio.to_thread(write, plan, script)

    async def live(self, first: Work, lines: AsyncIterator[tuple[Work, int, CastLine]]) -> AsyncIterator[bytes]:
        """PCM of lines as they come."""
        live = Live(dict.fromkeys(line.speaker for line in first.lines), style_of(first.row))
        async for work, number, line in lines:
            row = work.made.get(number)
            await self._library.borrow(work.owner, work.id, [row] if row else [])
            take = self.take(work, number, line)
            for pcm in await asyncio.to_thread(lambda take=take: list(live.add(take))):  # type: ignore[misc]
                yield pcm

    def take(self, work: Work, number: int, line: CastLine) -> Take:
        """A line as it was spoken; silent if it could not be."""
        row = work.made.get(number)
        clips = self._library.paths(work.id, row["sound"]) if row and row["state"] == "done" else ()
        return Take(_line(number, line), clips)

    async def _once(self, render: str, name: str, make: Callable[[Callable[[], bool]], T]) -> T:
        """Have something made in a thread, once for all who want it now."""
        running = self._running.get((render, name))
        if running is None:
            end = threading.Event()
            task: asyncio.Task[object] = asyncio.create_task(self._make(lambda: make(end.is_set)))
            running = self._running[render, name] = _Running(task, end)
            task.add_done_callback(lambda done: self._forget((render, name), done))
        try:
            # Who asked may go away; others wait for the same.
            return cast(T, await asyncio.shield(running.task))
        except Cancelled:
            raise RenderUnknown("Nobody wants this any more.") from None

    def _forget(self, key: tuple[str, str], done: asyncio.Task[object]) -> None:
        self._running.pop(key)
        if not done.cancelled():
            done.exception()  # told to those who asked, if they are still there

    async def _make(self, make: Callable[[], T]) -> T:
        async with self._room:
            return await asyncio.to_thread(make)


def script_of(work: Work) -> Script:
    """As the functions that produce things know it."""
    lines = tuple(_line(number, line) for number, line in enumerate(work.lines))
    return Script(lines, work.row["title"], work.play.chapters, work.play.pause_after_ms)


def style_of(row: Row) -> Style:
    """How it shall sound."""
    return Style(**json.loads(row["settings"]))


def _line(number: int, line: CastLine) -> Line:
    return Line(
        number + 1,
        number + 1,
        line.speaker,
        line.text,
        line.direction,
        line.speed,
        line.pause_before_ms,
        line.chapter,
    )


def _key(work: Work) -> str:
    """Another one as soon as anything would sound, or be called, otherwise."""
    sounds = [row["sound"] if (row := work.made.get(number)) else "" for number in range(len(work.lines))]
    lines = [[one.speaker, one.text, one.pause_before_ms, one.chapter] for one in work.lines]
    whole = [work.row["title"], work.row["settings"], work.play.chapters, work.play.pause_after_ms, lines, sounds]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:20]


def _remove_stale(folder: Path, key: str) -> None:
    """Files of lines that have changed since."""
    for path in folder.iterdir():
        if path.suffix not in {".pcm", ""} and not path.name.startswith((key, ".")):
            path.unlink(missing_ok=True)
