"""A Store that can be out of reach."""

from __future__ import annotations

import asyncio
from typing import Any

from api.store.store import Row, Store, StoreDown


class UnpluggedStore:
    """A Store with a plug that can be pulled, and a line on which answers can be lost."""

    name = "unplugged"

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_plugged = True
        self.hangs = False
        self.loses_answers = 0
        self.added: list[tuple[str, str]] = []
        """Table and id of what was new."""

    async def add(self, table: str, row: Row) -> bool:
        await self._reach()
        is_new = await self._store.add(table, row)
        if is_new:
            self.added.append((table, row["id"]))
        self._answer()
        return is_new

    async def find(self, table: str, where: Row, **options: Any) -> list[Row]:
        await self._reach()
        return await self._store.find(table, where, **options)

    async def update(self, table: str, where: Row, changes: Row) -> int:
        await self._reach()
        count = await self._store.update(table, where, changes)
        self._answer()
        return count

    async def remove(self, table: str, where: Row) -> int:
        await self._reach()
        return await self._store.remove(table, where)

    async def close(self) -> None:
        await self._store.close()

    async def _reach(self) -> None:
        if self.hangs:
            await asyncio.sleep(60)
        if not self.is_plugged:
            raise StoreDown("the plug is pulled")

    def _answer(self) -> None:
        if self.loses_answers:
            self.loses_answers -= 1
            raise StoreDown("the answer is lost")
