"""Store: five verbs over rows with an id and an owner, whatever keeps them. Not: which rows there are (archive.py)."""

from __future__ import annotations

from typing import Any, Protocol

Row = dict[str, Any]
"""Column → text or whole number."""
PAGE = 500
"""Rows that are asked for at once: servers answer with a thousand at most and do not say that there were more."""


class StoreError(Exception):
    """A Store could not do it."""


class StoreDown(StoreError):
    """It does not answer, or has no room: another time it may."""


class StoreRefused(StoreError):
    """It says no, and will say so each time."""


class Store(Protocol):
    """What is there at rest. Every method raises StoreDown or StoreRefused."""

    name: str
    """For a person: what it is and where."""

    async def add(self, table: str, row: Row) -> bool:
        """Keep a new row; False if one of that id, or with another of its unique names, is there already."""

    async def find(
        self,
        table: str,
        where: Row,
        *,
        order: tuple[str, ...] = (),
        limit: int = PAGE,
        skip: int = 0,
        contains: tuple[str, str] | None = None,
    ) -> list[Row]:
        """Rows whose columns have these values, or one of several in a tuple.

        `order`: columns, with a minus for the greatest first. `contains`: a column and what occurs in its text, in
        whichever case.
        """

    async def update(self, table: str, where: Row, changes: Row) -> int:
        """Change every such row as it is at that moment, of two who try at once one; how many there were."""

    async def remove(self, table: str, where: Row) -> int:
        """Forget every such row and what belongs to it; how many there were."""

    async def close(self) -> None:
        """Let go of what is open."""


class Owned:
    """A Store as one owner sees it: nothing of anybody else is there. The only way to a Store from outside."""

    def __init__(self, store: Store, owner: str) -> None:
        self._store = store
        self._owner = {"owner": owner}

    async def add(self, table: str, row: Row) -> bool:
        """As Store.add."""
        return await self._store.add(table, row | self._owner)

    async def put(self, table: str, row: Row, changes: Row) -> None:
        """Keep a row; of one that is there already, change these columns."""
        if not await self.add(table, row) and changes:
            await self.update(table, {"id": row["id"]}, changes)

    async def one(self, table: str, row_id: str) -> Row | None:
        """The row of that id."""
        return next(iter(await self._store.find(table, {"id": row_id} | self._owner, limit=1)), None)

    async def some(
        self, table: str, where: Row, order: tuple[str, ...], limit: int, contains: tuple[str, str] | None = None
    ) -> list[Row]:
        """The first rows."""
        where = where | self._owner
        return await self._store.find(table, where, order=order, limit=limit, contains=contains)

    async def all(self, table: str, where: Row, order: tuple[str, ...]) -> list[Row]:
        """Every row; `order` leaves no two equal."""
        found: list[Row] = []
        while True:
            page = await self._store.find(table, where | self._owner, order=order, limit=PAGE, skip=len(found))
            found += page
            if len(page) < PAGE:
                return found

    async def update(self, table: str, where: Row, changes: Row) -> int:
        """As Store.update."""
        return await self._store.update(table, where | self._owner, changes)

    async def remove(self, table: str, where: Row) -> int:
        """As Store.remove."""
        return await self._store.remove(table, where | self._owner)
