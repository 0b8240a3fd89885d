"""Supabase: a Store behind PostgREST, for the processes of any number of machines. Not: which rows there are.

The server comes with its secret key, which sees every row; the owner is asked for all the same (store.py). What the
tables are and who may read them without the server is in supabase/migrations.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import urlsplit

import httpx
from postgrest import CountMethod, ReturnMethod
from postgrest.exceptions import APIError

from api.store.store import PAGE, Row, StoreDown, StoreRefused
from supabase import AsyncClient, AsyncClientOptions, acreate_client

ANSWER_S = 3.0
"""The client's own default would be two minutes, and a failed read is tried for seven seconds before it is told."""
_TAKEN = "23505"
_NO_TABLE = {"42P01", "PGRST205"}
_NONSENSE = re.compile(r"(22|23|42)\w{3}|PGRST[12]\d\d")
"""SQLSTATE classes and PostgREST's codes that are about what was asked: it would be refused each time."""


class SupabaseStore:
    """Reached when it is first asked."""

    def __init__(self, url: str, key: str) -> None:
        self.name = f"Supabase, {urlsplit(url).netloc.rpartition('@')[2]}"
        self._url = url
        self._key = key
        self._line = httpx.AsyncClient(timeout=ANSWER_S)
        self._client: AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def add(self, table: str, row: Row) -> bool:
        """Keep a new row."""
        rows = await self._table(table)
        try:
            await _ask(rows.insert(row, returning=ReturnMethod.minimal))
        except _Taken:
            return False
        return True

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
        """Rows in order."""
        question = _where((await self._table(table)).select("*"), where)
        if contains:
            # Not ilike, where a star cannot be meant literally.
            question = question.filter(contains[0], "imatch", re.escape(contains[1]))
        for column in order:
            question = question.order(column.removeprefix("-"), desc=column.startswith("-"))
        found: list[Row] = (await _ask(question.range(skip, skip + limit - 1))).data
        return found

    async def update(self, table: str, where: Row, changes: Row) -> int:
        """Change rows."""
        rows = await self._table(table)
        asked = rows.update(changes, count=CountMethod.exact, returning=ReturnMethod.minimal)
        return (await _ask(_where(asked, where))).count or 0

    async def remove(self, table: str, where: Row) -> int:
        """Forget rows."""
        rows = await self._table(table)
        asked = rows.delete(count=CountMethod.exact, returning=ReturnMethod.minimal)
        return (await _ask(_where(asked, where))).count or 0

    async def close(self) -> None:
        """Close the connections."""
        await self._line.aclose()

    async def _table(self, table: str) -> Any:
        async with self._opening:
            if self._client is None:
                options = AsyncClientOptions(
                    auto_refresh_token=False,
                    persist_session=False,
                    postgrest_client_retry=False,
                    httpx_client=self._line,
                )
                try:
                    self._client = await acreate_client(self._url, self._key, options)
                except Exception as error:
                    raise StoreDown(str(error)) from error
        return self._client.table(table)


class _Taken(StoreRefused):
    """One like it is there already."""


async def _ask(question: Any) -> Any:
    """The answer; what the server says against it in the words of store.py."""
    try:
        return await question.execute()
    except APIError as error:
        code = str(error.code or "")
        if code == _TAKEN:
            raise _Taken from error
        if code in _NO_TABLE:
            raise StoreDown("its tables are missing: apply supabase/migrations") from error
        raise (StoreRefused if _NONSENSE.fullmatch(code) else StoreDown)(f"{code} {error.message}") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise StoreDown(str(error) or type(error).__name__) from error


def _where(question: Any, where: Row) -> Any:
    for column, value in where.items():
        question = question.in_(column, list(value)) if isinstance(value, tuple) else question.eq(column, value)
    return question
