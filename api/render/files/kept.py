"""Kept: finished files of renders where every machine finds them, if there is such a place. Not: making them.

A file's name has the content of its lines in it, so what is found is never of other lines. Where the place does not
answer, the file is served from here.
"""

from __future__ import annotations

import logging
from pathlib import Path

from api.encoding.formats import FILES, find_format
from api.errors import StoreUnreachable
from api.render.files.products import Products
from api.render.play import Work
from api.store.shelf import Shelf
from api.store.store import StoreError

log = logging.getLogger(__name__)

ZIP_TYPE = "application/zip"


class Kept:
    """The finished files of every owner's renders."""

    def __init__(self, products: Products, shelf: Shelf) -> None:
        self._products = products
        self._shelf = shelf

    async def file(self, work: Work, wanted: str) -> Path | str:
        """The whole in one file: on this machine, or an address that works for some minutes.

        Raises: what Products.file does.
        """
        if not self._shelf.is_elsewhere:
            return await self._products.file(work, wanted)
        folder, name = _folder(work.id), await self._products.name(work, wanted)
        try:
            if address := await self._find(work, name):
                return address
        except StoreError as error:
            log.warning("a render's file is served from here: %s", error)
            return await self._products.file(work, wanted)
        path = await self._products.file(work, wanted)
        try:
            await self._shelf.put(work.owner, f"{folder}/{name}", path, _media_type(wanted))
            await self._forget_older(work, name)
            return await self._find(work, name) or path
        except StoreError as error:
            log.warning("a render's file is not kept elsewhere: %s", error)
            return path

    async def forget(self, owner: str, render: str) -> None:
        """All of one render's. Raises: StoreUnreachable, and then it is not to be forgotten yet."""
        try:
            await self._shelf.remove(owner, await self._shelf.names(owner, _folder(render)))
        except StoreError as error:
            raise StoreUnreachable from error

    async def _find(self, work: Work, name: str) -> str | None:
        found = await self._shelf.find(work.owner, f"{_folder(work.id)}/{name}", download=f"render{Path(name).suffix}")
        return found if isinstance(found, str) else None

    async def _forget_older(self, work: Work, name: str) -> None:
        """What the same render was before its lines changed."""
        folder, key = _folder(work.id), name.partition(".")[0]
        names = await self._shelf.names(work.owner, folder)
        await self._shelf.remove(work.owner, [one for one in names if not one.startswith(f"{folder}/{key}.")])


def _folder(render: str) -> str:
    return f"renders/{render}"


def _media_type(wanted: str) -> str:
    return ZIP_TYPE if wanted == "zip" else find_format(wanted, FILES).media_type
