"""Shelf: finished sound files at rest, whatever keeps them; here, a folder does. Not: which files there are.

What is still being spoken is in Redis and never here. A file has an owner and a name like `renders/ID/2.flac`; another
owner's file of that name is another file.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol, TypeVar

from api.store.store import StoreDown, StoreRefused

SHOWN_S = 600
"""How long an address works that was given out."""
T = TypeVar("T")
_PLACE = re.compile(r"[\w-]{1,64}(/(?!\.)[\w.-]{1,100}){1,8}", re.ASCII)


class Shelf(Protocol):
    """Every method raises StoreDown or StoreRefused."""

    name: str
    """For a person: what it is and where."""
    is_elsewhere: bool
    """Whether other machines find there what this one has put."""

    async def put(self, owner: str, name: str, path: Path, media_type: str) -> None:
        """Keep a copy of the file at `path`, whole or not at all, in the place of one of that name."""

    async def find(self, owner: str, name: str, ttl_s: int = SHOWN_S, download: str = "") -> Path | str | None:
        """Where it can be had: a file of this machine, or an address that everybody may fetch it from for `ttl_s`.

        None if there is none. `download`: the file's name for who fetches it from the address and keeps it.
        """

    async def fetch(self, owner: str, name: str, path: Path) -> bool:
        """Copy it to `path`; False if there is none."""

    async def remove(self, owner: str, names: Iterable[str]) -> None:
        """Forget them; those that are not there do no harm."""

    async def names(self, owner: str, folder: str) -> list[str]:
        """Those of the files right in a folder, with it: what `remove` takes. A thousand at most."""

    async def close(self) -> None:
        """Let go of what is open."""


class FolderShelf:
    """In CUELINE_DATA_DIR, for the processes of one machine."""

    is_elsewhere = False

    def __init__(self, folder: Path) -> None:
        self.name = f"files, {folder}"
        self._folder = folder

    async def put(self, owner: str, name: str, path: Path, media_type: str) -> None:
        """Keep a copy. The media type is told by the name."""
        await _try(_copy, path, self._folder / place(owner, name))

    async def find(self, owner: str, name: str, ttl_s: int = SHOWN_S, download: str = "") -> Path | str | None:
        """Always a file."""
        path = self._folder / place(owner, name)
        return path if await _try(path.is_file) else None

    async def fetch(self, owner: str, name: str, path: Path) -> bool:
        """Copy it."""
        kept = self._folder / place(owner, name)
        if is_there := await _try(kept.is_file):
            await _try(_copy, kept, path)
        return is_there

    async def remove(self, owner: str, names: Iterable[str]) -> None:
        """Forget files, and folders with nothing left in them."""
        for name in names:
            await _try(self._remove, self._folder / place(owner, name))

    async def names(self, owner: str, folder: str) -> list[str]:
        """What the folder holds."""
        found = await _try(_files, self._folder / place(owner, folder))
        return [f"{folder}/{name}" for name in found]

    async def close(self) -> None:
        """Nothing is open."""

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self._folder or not folder.is_dir() or any(folder.iterdir()):
                return
            try:
                folder.rmdir()
            except OSError:
                return  # somebody has just put something there


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def place(owner: str, name: str) -> str:
    """Where a file is, below everything; raises StoreRefused for what could be elsewhere."""
    if not _PLACE.fullmatch(path := f"{owner}/{name}"):
        raise StoreRefused(f"{path[:80]!r} is no name of a file")
    return path


async def _try(work: Callable[..., T], *args: Path) -> T:
    """In a thread: a disk may be slow."""
    try:
        return await asyncio.to_thread(work, *args)
    except OSError as error:
        raise StoreDown(error.strerror or str(error)) from error


def _copy(source: Path, target: Path) -> None:
    """Under another name first, so that nobody ever finds half of it."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=target.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file, source.open("rb") as from_:
            shutil.copyfileobj(from_, file)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(target)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
