"""Library: renders at rest, their rows in the Store and the sound of each line in a file. Not: how lines are made."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from api.errors import StoreUnreachable
from api.render.lending import Lending
from api.render.play import CastLine, Play, Work
from api.store.store import Owned, Row, Store, StoreError

ASK_S, LOAD_S = 5.0, 30.0
"""How long somebody who asks waits for the Store; and for all lines of a book."""
LISTED = 500
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


class Library:
    """Every owner's renders."""

    def __init__(self, store: Store, folder: Path, lending: Lending | None = None) -> None:
        self._store = store
        self._folder = folder
        self._lending = lending

    async def unfinished(self) -> list[Row]:
        """Rows of the renders of all owners that somebody has to make, the oldest first."""
        async with asyncio.timeout(ASK_S):
            return await self._store.find("renders", {"state": "rendering"}, order=("created_at", "id"))

    async def forget_begun(self, before: int) -> None:
        """Delete those that were begun before a time and never came to be."""
        async with asyncio.timeout(ASK_S):
            for row in await self._store.find("renders", {"state": "new"}):
                if row["created_at"] < before:
                    await self._store.remove("renders", {"id": row["id"], "state": "new"})

    async def states(self, renders: list[str]) -> dict[str, Row]:
        """Rows of these renders, without those that were deleted."""
        async with asyncio.timeout(ASK_S):
            rows = await self._store.find("renders", {"id": tuple(renders)}) if renders else []
        return {row["id"]: row for row in rows}

    async def add(self, owner: str, row: Row, play: Play) -> bool:
        """Keep a new one; False if one of that id is there."""
        script = await asyncio.to_thread(play.to_json)
        async with self._asked(owner) as rows:
            # One that is new still was begun by a process that did not come to its end.
            if not await rows.add("renders", {**row, "state": "new"}):
                known = await rows.one("renders", row["id"])
                if known is None or known["state"] != "new":
                    return False
            await rows.add("render_scripts", {"id": row["id"], "revision": 0, "script": script})
            return bool(await rows.update("renders", {"id": row["id"], "state": "new"}, {"state": "rendering"}))

    async def all(self, owner: str) -> list[Row]:
        """An owner's renders, the newest first."""
        async with self._asked(owner) as rows:
            return await rows.some("renders", {}, ("-created_at", "id"), LISTED)

    async def row(self, owner: str, render: str) -> Row | None:
        """One of them, without its lines."""
        async with self._asked(owner) as rows:
            return await rows.one("renders", render)

    async def load(self, owner: str, render: str) -> Work | None:
        """One of them, with all that is known of its lines."""
        async with self._asked(owner, LOAD_S) as rows:
            row = await rows.one("renders", render)
            script = await rows.one("render_scripts", render) if row else None
            if row is None or script is None:
                return None
            found = await rows.all("render_lines", {"render_id": render}, ("number", "id"))
        # In a thread: of a book these are megabytes.
        return await asyncio.to_thread(_read_work, row, script, found)

    async def change(self, owner: str, render: str, revision: int, play: Play, now: int) -> bool:
        """Keep another script of the same render; False if somebody else was faster."""
        script = await asyncio.to_thread(play.to_json)
        async with self._asked(owner) as rows:
            changes = {"revision": revision + 1, "script": script}
            if not await rows.update("render_scripts", {"id": render, "revision": revision}, changes):
                return False
            # Only now: whoever learns of it reads the new words.
            told = {"revision": revision + 1, "state": "rendering", "updated_at": now}
            await rows.update("renders", {"id": render}, told)
        return True

    async def move(self, owner: str, render: str, before: tuple[str, ...], state: str, now: int) -> bool:
        """Put it into another state, if it is in one of these."""
        async with self._asked(owner) as rows:
            changes = {"state": state, "updated_at": now}
            return bool(await rows.update("renders", {"id": render, "state": before}, changes))

    async def put_line(self, owner: str, row: Row) -> None:
        """Keep how a line has ended. Raises: StoreError."""
        changes = {name: value for name, value in row.items() if name not in {"id", "render_id", "number"}}
        async with asyncio.timeout(ASK_S):
            await Owned(self._store, owner).put("render_lines", row, changes)

    async def forget_failed(self, owner: str, render: str) -> int:
        """Let the lines that failed be made once more; how many."""
        async with self._asked(owner) as rows:
            return await rows.remove("render_lines", {"render_id": render, "state": "failed"})

    async def ended_since(self, owner: str, render: str, place: int) -> list[Row]:
        """Rows of lines that ended behind a place, in that order."""
        found: list[Row] = []
        async with self._asked(owner) as rows:
            limit = 50
            while True:
                found = await rows.some("render_lines", {"render_id": render}, ("-place", "id"), limit)
                if len(found) < limit or found[-1]["place"] <= place:
                    break
                limit *= 4
        return [row for row in reversed(found) if row["place"] > place]

    async def delete(self, owner: str, render: str) -> bool:
        """Forget it and all of its sound."""
        try:
            if self._lending:
                await self._lending.forget(owner, render)
        except StoreError as error:
            raise StoreUnreachable from error
        async with self._asked(owner) as rows:
            is_gone = bool(await rows.remove("renders", {"id": render}))
        await self.remove_sound(render)
        return is_gone

    def keep_sound(self, render: str, pcm: bytes) -> str:
        """Write the sound of a piece, whole or not at all; returns its name. It waits for the disk. Raises: OSError."""
        name = hashlib.sha256(pcm).hexdigest()
        folder = self._place(render)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = folder / f".{secrets.token_hex(8)}"
        try:
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
                file.write(pcm)
            fresh.replace(folder / f"{name}.pcm")
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise
        return name

    async def sound(self, render: str, names: str) -> bytes | None:
        """s16le mono 24 kHz of a row's `sound`; None if it is gone, or is not what was written."""
        return await asyncio.to_thread(self._read, render, names.split())

    def paths(self, render: str, names: str) -> tuple[Path, ...]:
        """Where the pieces of a row's `sound` are."""
        return tuple(self._place(render) / f"{name}.pcm" for name in names.split())

    def folder(self, render: str) -> Path:
        """Where all of a render is, but for what the Store has; gone when it is deleted."""
        return self._place(render)

    def lend(self, owner: str, render: str, names: str) -> None:
        """Let other machines find a row's `sound`, soon."""
        if self._lending:
            self._lending.put_soon(owner, render, self.paths(render, names))

    async def borrow(self, owner: str, render: str, rows: Iterable[Row]) -> None:
        """Have the sound of these rows here, if another machine made it and let us find it."""
        if self._lending:
            wanted = [path for row in rows for path in self.paths(render, row["sound"])]
            await self._lending.fetch(owner, render, wanted)

    async def sounds(self, render: str) -> set[str]:
        """Names of all that is there."""
        return await asyncio.to_thread(self._names, render)

    async def remove_sound(self, render: str) -> None:
        """Delete the files of a render."""
        await asyncio.to_thread(shutil.rmtree, self._place(render), ignore_errors=True)

    def _place(self, render: str) -> Path:
        if not _ID.fullmatch(render):
            raise ValueError("no name of a render")
        return self._folder / render

    def _read(self, render: str, names: list[str]) -> bytes | None:
        pieces = []
        for name in names:
            try:
                pcm = (self._place(render) / f"{name}.pcm").read_bytes()
            except OSError:
                return None
            if hashlib.sha256(pcm).hexdigest() != name:
                return None
            pieces.append(pcm)
        return b"".join(pieces)

    def _names(self, render: str) -> set[str]:
        try:
            return {path.stem for path in self._place(render).iterdir() if path.suffix == ".pcm"}
        except OSError:
            return set()

    @asynccontextmanager
    async def _asked(self, owner: str, within_s: float = ASK_S) -> AsyncIterator[Owned]:
        try:
            async with asyncio.timeout(within_s):
                yield Owned(self._store, owner)
        except (StoreError, TimeoutError) as error:
            raise StoreUnreachable from error


def _read_work(row: Row, script: Row, found: list[Row]) -> Work:
    play = Play.from_json(script["script"])
    made = {one["number"]: one for one in found if _is_of(one, play.lines)}
    return Work(row, script["revision"], play, made)


def _is_of(row: Row, lines: Sequence[CastLine]) -> bool:
    return bool(row["number"] < len(lines) and row["content"] == lines[row["number"]].content)
