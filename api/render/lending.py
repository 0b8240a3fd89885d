"""Lending: the sound of single lines, to and from where every machine finds it, if there is such a place. Not: files.

A line's sound lies in a file of the machine whose api has it made. With several machines any of them may be asked for
it, or go on with the render; it then fetches what it lacks. A copy is never waited for, and never trusted: its name is
its hash.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Iterable
from pathlib import Path

from api.store.shelf import Shelf
from api.store.store import StoreError

log = logging.getLogger(__name__)

MEDIA_TYPE = "audio/pcm"
AT_ONCE = 8
"""Copies on their way at the same time."""
MOST_WAITING = 1000
"""Copies that wait to be put there; what is more than that stays here alone."""
FORGOTTEN_AT_ONCE = 100
"""How often a thousand copies of one render are forgotten: more lines than one may have."""


class Lending:
    """What this machine has of lines, and what others have."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._room = asyncio.Semaphore(AT_ONCE)
        self._putting: set[asyncio.Task[None]] = set()

    def put_soon(self, owner: str, render: str, paths: Iterable[Path]) -> None:
        """Let other machines find these."""
        if not self._shelf.is_elsewhere:
            return
        for path in paths:
            if len(self._putting) >= MOST_WAITING:
                log.warning("lines are made faster than they can be copied: some stay on this machine alone")
                return
            task = asyncio.create_task(self._put(owner, render, path))
            self._putting.add(task)
            task.add_done_callback(self._putting.discard)

    async def fetch(self, owner: str, render: str, paths: Iterable[Path]) -> None:
        """Have those here that are not, as far as they can be had."""
        if self._shelf.is_elsewhere:
            missing = await asyncio.to_thread(lambda: [path for path in dict.fromkeys(paths) if not path.is_file()])
            await asyncio.gather(*(self._fetch(owner, render, path) for path in missing))

    async def forget(self, owner: str, render: str) -> None:
        """All of one render's. Raises: StoreError."""
        if not self._shelf.is_elsewhere:
            return
        for _ in range(FORGOTTEN_AT_ONCE):
            if not (names := await self._shelf.names(owner, _folder(render))):
                return
            await self._shelf.remove(owner, names)

    async def stop(self) -> None:
        """What is not there yet stays here."""
        for task in list(self._putting):
            task.cancel()
        await asyncio.gather(*self._putting, return_exceptions=True)

    async def _put(self, owner: str, render: str, path: Path) -> None:
        try:
            async with self._room:
                await self._shelf.put(owner, f"{_folder(render)}/{path.name}", path, MEDIA_TYPE)
        except StoreError as error:
            log.warning("a line stays on this machine alone: %s", error)

    async def _fetch(self, owner: str, render: str, path: Path) -> None:
        await asyncio.to_thread(path.parent.mkdir, mode=0o700, parents=True, exist_ok=True)
        beside = path.parent / f".{secrets.token_hex(8)}"
        try:
            async with self._room:
                is_there = await self._shelf.fetch(owner, f"{_folder(render)}/{path.name}", beside)
            if is_there and await asyncio.to_thread(_hash, beside) == path.stem:
                await asyncio.to_thread(beside.replace, path)
        except (StoreError, OSError) as error:
            log.warning("a line cannot be fetched: %s", error)
        finally:
            await asyncio.to_thread(beside.unlink, missing_ok=True)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _folder(render: str) -> str:
    return f"lines/{render}"
