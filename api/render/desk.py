"""Desk: what an owner may do with renders: order, look, change, stop, delete. Not: making them (renders.py)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from api.casting.characters import Characters
from api.casting.clips import Clips
from api.render.errors import LineNotReady, LineUnknown, RenderChanged, RenderUnknown, TooManyRenders
from api.render.files.kept import Kept
from api.render.files.products import Products
from api.render.library import LISTED, Library
from api.render.making import Making
from api.render.order import LineChange, Order, ScriptFile, change_line, read_order
from api.render.play import CastLine, Play, Work
from api.render.renders import Renders
from api.speaking.offers import voices_of
from api.store.store import Row
from api.streams import Streams

log = logging.getLogger(__name__)

MAX_RENDERS = 200
"""Of one owner."""
LOOK_S = 1.0
"""How often somebody who watches a render that another process makes looks at the Store."""
GATHER_S = 0.1
"""Lines that end within this are told together."""


class Desk:
    """Every owner's renders, as their owners see them."""

    def __init__(
        self,
        library: Library,
        renders: Renders,
        products: Products,
        kept: Kept,
        characters: Characters,
        streams: Streams,
        clips: Clips,
    ) -> None:
        self._library = library
        self._kept = kept
        self._renders = renders
        self._products = products
        self._characters = characters
        self._streams = streams
        self._clips = clips

    async def order(self, owner: str, order: Order, file: ScriptFile | None = None) -> dict[str, Any]:
        """Have something rendered: the order's script, or that in a file. Raises: ScriptInvalid, TooManyRenders."""
        render = _name(owner, order.key)
        if order.key and (known := await self._library.row(owner, render)) and known["state"] != "new":
            return _shown(known)
        if len(await self._library.all(owner)) >= MAX_RENDERS:
            raise TooManyRenders(f"There are {MAX_RENDERS} renders already; delete one first.")
        everybody, voices = await self._characters.everybody(owner), await self._voices(owner)
        title, play = await asyncio.to_thread(read_order, order, everybody, voices, file)
        now = _now()
        row = {
            "id": render,
            "title": title or _title(play),
            "settings": json.dumps(order.style()),
            "lines": len(play.lines),
            "state": "rendering",
            "revision": 0,
            "created_at": now,
            "updated_at": now,
        }
        await self._library.add(owner, row, play)
        self._renders.look()
        return _shown(row)

    async def all(self, owner: str) -> list[dict[str, Any]]:
        """All of an owner's, the newest first."""
        return [_shown(row) for row in await self._library.all(owner) if row["state"] != "new"][:LISTED]

    async def show(self, owner: str, render: str, *, with_lines: bool = True) -> dict[str, Any]:
        """One of them; its lines are an iterator, for a book has many: go through it in a thread."""
        work, making = await self._find(owner, render)
        shown = {**_shown(work.row), **_progress(work, making)}
        if with_lines:
            lines = (self._line(work, making, number) for number in range(len(work.lines)))
            shown |= {"chapters": work.play.chapters, "script": lines}
        return shown

    async def delete(self, owner: str, render: str) -> None:
        """Forget one, with all of its sound. Raises: RenderUnknown, StoreUnreachable, and then it is still there."""
        if await self._library.row(owner, render) is None:
            raise RenderUnknown
        await self._kept.forget(owner, render)
        self._products.cancel(render)
        await self._renders.end_here(render)
        await self._library.delete(owner, render)

    async def cancel(self, owner: str, render: str) -> dict[str, Any]:
        """Make no more of it. What is there stays."""
        if await self._library.row(owner, render) is None:
            raise RenderUnknown
        self._products.cancel(render)
        await self._library.move(owner, render, ("rendering",), "cancelled", _now())
        await self._renders.end_here(render)
        return await self._summary(owner, render)

    async def retry(self, owner: str, render: str) -> dict[str, Any]:
        """Make what is missing: lines that failed, or that were cancelled."""
        if await self._library.row(owner, render) is None:
            raise RenderUnknown
        # One that is being made elsewhere is taken up again with what its rows say then.
        await self._renders.end_here(render)
        await self._library.forget_failed(owner, render)
        await self._library.move(owner, render, ("failed", "cancelled", "done", "rendering"), "rendering", _now())
        self._renders.look()
        return await self._summary(owner, render)

    async def change(self, owner: str, render: str, number: int, change: LineChange) -> dict[str, Any]:
        """Have one line said differently; only that one is made again."""
        work, _ = await self._find(owner, render)
        line, everybody = _line_of(work, number), await self._characters.everybody(owner)
        changed = change_line(number, line, change, everybody, await self._voices(owner))
        play = work.play.with_line(number, changed)
        if not await self._library.change(owner, render, work.revision, play, _now()):
            raise RenderChanged
        self._renders.look()
        made = {number: row} if (row := work.made.get(number)) and row["content"] == changed.content else {}
        return self._line(Work(work.row, work.revision, play, made), None, number)

    async def sound_of(self, owner: str, render: str, number: int) -> bytes:
        """s16le mono 24 kHz of one line. Raises: LineUnknown, LineNotReady."""
        work, _ = await self._find(owner, render)
        line = _line_of(work, number)
        if line.is_silent:
            return b""
        row = work.made.get(number)
        await self._library.borrow(owner, render, [row] if row else [])
        pcm = await self._library.sound(render, row["sound"]) if row and row["state"] == "done" else None
        if pcm is None:
            raise LineNotReady
        return pcm

    async def file(self, owner: str, render: str, wanted: str) -> Path | str | None:
        """The whole in one file, here or at an address; None as long as lines are still made.

        Raises: RenderUnknown, FormatUnknown.
        """
        work, _ = await self._find(owner, render)
        return await self._kept.file(work, wanted) if _is_final(work) else None

    async def subtitles(self, owner: str, render: str, wanted: str) -> tuple[str, str]:
        """Media type and text. Raises: RenderUnknown, LineNotReady."""
        work, _ = await self._find(owner, render)
        if not _is_final(work):
            raise LineNotReady("Lines of this render are still being made.")
        return await self._products.subtitles(work, wanted)

    async def live(self, owner: str, render: str) -> AsyncIterator[bytes]:
        """PCM of the whole, in order, as its lines are made."""
        work, _ = await self._find(owner, render)
        async for pcm in self._products.live(work, self._in_order(owner, render)):
            yield pcm

    async def _in_order(self, owner: str, render: str) -> AsyncIterator[tuple[Work, int, CastLine]]:
        work, making = await self._find(owner, render)
        for number in range(len(work.lines)):
            while True:
                line, row = work.lines[number], work.made.get(number)
                if row or line.is_silent or _is_final(work):
                    break
                await self._moved(making)
                work, making = await self._find(owner, render)
            yield work, number, line

    async def follow(self, owner: str, render: str, after: int) -> AsyncIterator[tuple[int, str, dict[str, Any]]]:
        """(place, kind, message): lines that ended behind a place, then what happens from now on, until nobody asks.

        Messages without a place of their own have 0: how far all of it is.
        """
        work, making = await self._find(owner, render)
        told: dict[str, Any] = {}
        while True:
            for row in await self._library.ended_since(owner, render, after):
                after = row["place"]
                if row["number"] < len(work.lines):
                    work.made[row["number"]] = row
                    yield after, "line", self._line(work, making, row["number"])
            now = {**_shown(work.row), **_progress(work, making)}
            if now != told:
                told = now
                yield 0, "render", now
            await self._moved(making)
            work, making = await self._find(owner, render)

    async def _moved(self, making: Making | None) -> None:
        """Wait until something may have changed."""
        if making is None:
            await asyncio.sleep(LOOK_S)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await making.changed.wait()
        await asyncio.sleep(GATHER_S)

    async def _find(self, owner: str, render: str) -> tuple[Work, Making | None]:
        """What is known of it: here, if it is made here. Raises: RenderUnknown."""
        making = self._renders.held.get(render)
        if making and making.work.owner == owner:
            return making.work, making
        work = await self._library.load(owner, render)
        if work is None or work.row["state"] == "new":
            raise RenderUnknown
        return work, None

    async def _summary(self, owner: str, render: str) -> dict[str, Any]:
        row = await self._library.row(owner, render)
        if row is None:
            raise RenderUnknown
        return _shown(row)

    async def _voices(self, owner: str) -> list[dict[str, Any]] | None:
        """What can be chosen; None while no worker is there to say so."""
        workers = await self._streams.workers()
        found = [voice for worker in workers for voice in voices_of(worker)]
        return found + [clip.to_offer() for clip in await self._clips.all(owner)] if found else None

    def _line(self, work: Work, making: Making | None, number: int) -> dict[str, Any]:
        line, row = work.lines[number], work.made.get(number)
        state = making.state(number) if making else _state(line, row)
        shown: dict[str, Any] = {
            "line": number,
            "speaker": line.speaker,
            "text": line.text,
            "direction": line.direction,
            "speed": line.speed,
            "voice": line.voice.to_dict(),
            "pause_before_ms": line.pause_before_ms,
            "chapter": line.chapter,
            "state": state,
        }
        if row and row["state"] == "done":
            shown |= {"duration_ms": row["duration_ms"], "cached": bool(row["cached"]), "sounds": row["sound"].split()}
            shown |= {"worker": row["worker"], "peaks": json.loads(row["peaks"])}
        elif row:
            shown |= {"code": row["code"], "message": row["reason"]}
        return shown


def _line_of(work: Work, number: int) -> CastLine:
    if not 0 <= number < len(work.lines):
        raise LineUnknown
    return work.lines[number]


def _progress(work: Work, making: Making | None) -> dict[str, Any]:
    rows = work.made.values()
    failed = sum(row["state"] == "failed" for row in rows)
    silent = sum(line.is_silent for line in work.lines)
    progress = {
        "done": len(rows) - failed + silent,
        "failed": failed,
        "cached": sum(bool(row["cached"]) for row in rows),
    }
    progress["duration_ms"] = sum(row["duration_ms"] for row in rows)
    return progress | {"waiting": making.waiting if making else ""}


def _state(line: CastLine, row: Row | None) -> str:
    if row:
        return str(row["state"])
    return "done" if line.is_silent else "queued"


def _is_final(work: Work) -> bool:
    return bool(work.row["state"] != "rendering")


def _shown(row: Row) -> dict[str, Any]:
    names = ("id", "title", "lines", "state", "created_at", "updated_at")
    return {name: row[name] for name in names} | {"settings": json.loads(row["settings"])}


def _name(owner: str, key: str | None) -> str:
    """A name nobody can guess; the same for the same key of an owner."""
    if key is None:
        return secrets.token_hex(12)
    return hashlib.sha256(f"{owner}\n{key}".encode()).hexdigest()[:24]


def _title(play: Play) -> str:
    return next(line.text for line in play.lines if not line.is_silent)[:60]


def _now() -> int:
    return int(time.time() * 1000)
