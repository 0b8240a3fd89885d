"""SQLite: a Store in one file, shared by the processes of one machine. Not: which rows there are.

Written ahead (WAL), so that readers wait for nobody. A killed process loses nothing that was acknowledged; a machine
that loses its power may lose the last moments, never the file.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite

from api.store.store import PAGE, Row, StoreDown, StoreRefused

MIGRATIONS = Path(__file__).parents[2] / "supabase/migrations"
ONLY_POSTGRES = "_policies.sql"
"""How the names of migrations end that say who may see what: here everything belongs to the server."""
LOCKED_S = 3.0
"""How long to wait for another process that writes."""
AGAIN_S = 0.01
_TAKEN = {"SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE"}
_NAME = re.compile(r"[a-z_]+")


class SqliteStore:
    """Opened, and brought up to date, when it is first needed; tried again after a failure."""

    def __init__(self, path: Path) -> None:
        self.name = f"SQLite, {path}"
        self._path = path
        self._connection: aiosqlite.Connection | None = None
        self._opening = asyncio.Lock()

    async def add(self, table: str, row: Row) -> bool:
        """Keep a new row."""
        columns = ", ".join(map(_name, row))
        statement = f"insert into {_name(table)} ({columns}) values ({', '.join('?' * len(row))})"  # noqa: S608
        try:
            await self._write(statement, row.values())
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
        condition, values = _where(where)
        if contains:
            condition += f" and instr(folded({_name(contains[0])}), folded(?))"
            values.append(contains[1])
        by = ", ".join(f"{_name(column.removeprefix('-'))}{' desc' * column.startswith('-')}" for column in order)
        statement = f"select * from {_name(table)} where {condition}{' order by ' * bool(by)}{by} limit ? offset ?"  # noqa: S608
        async with self._open() as connection, connection.execute(statement, [*values, limit, skip]) as cursor:
            return [dict(row) for row in await cursor.fetchall()]

    async def update(self, table: str, where: Row, changes: Row) -> int:
        """Change rows."""
        condition, values = _where(where)
        assigned = ", ".join(f"{_name(column)} = ?" for column in changes)
        statement = f"update {_name(table)} set {assigned} where {condition}"  # noqa: S608  names from _name only
        return await self._write(statement, [*changes.values(), *values])

    async def remove(self, table: str, where: Row) -> int:
        """Forget rows."""
        condition, values = _where(where)
        return await self._write(f"delete from {_name(table)} where {condition}", values)  # noqa: S608

    async def close(self) -> None:
        """Close the file."""
        connection, self._connection = self._connection, None
        if connection:
            await connection.close()

    async def _write(self, statement: str, values: Iterable[Any]) -> int:
        async with self._open() as connection, connection.execute(statement, list(values)) as cursor:
            return cursor.rowcount

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[aiosqlite.Connection]:
        """The connection; what SQLite says against it in the words of store.py."""
        try:
            async with self._opening:
                if self._connection is None:
                    self._connection = await self._connect()
            yield self._connection
        except sqlite3.IntegrityError as error:
            raise _Taken if error.sqlite_errorname in _TAKEN else StoreRefused(str(error)) from error
        except (sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.InterfaceError, OverflowError) as error:
            raise StoreRefused(str(error)) from error
        except (sqlite3.Error, OSError, ValueError) as error:
            # The plain SQLITE_ERROR is about what was asked, every other about the file and its machine.
            is_nonsense = getattr(error, "sqlite_errorname", "") == "SQLITE_ERROR"
            raise (StoreRefused if is_nonsense else StoreDown)(str(error)) from error

    async def _connect(self) -> aiosqlite.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = await aiosqlite.connect(self._path, timeout=LOCKED_S, isolation_level=None)
        try:
            self._path.chmod(0o600)
            connection.row_factory = sqlite3.Row
            await connection.create_function("folded", 1, lambda text: str(text).casefold(), deterministic=True)
            await _write_ahead(connection)
            for pragma in ("synchronous = normal", "foreign_keys = on"):
                await connection.execute_fetchall(f"pragma {pragma}")
            await _migrate(connection)
        except BaseException:
            await connection.close()
            raise
        return connection


class _Taken(StoreRefused):
    """One like it is there already."""


async def _write_ahead(connection: aiosqlite.Connection) -> None:
    """For this one change SQLite waits for no lock, whatever the timeout: several may open a new file at once."""
    give_up_at = time.monotonic() + LOCKED_S
    while True:
        try:
            await connection.execute_fetchall("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > give_up_at:
                raise
        await asyncio.sleep(AGAIN_S)


async def _migrate(connection: aiosqlite.Connection) -> None:
    """Apply what is missing. Of several processes that begin at once each waits for the one before it."""
    await connection.execute_fetchall("create table if not exists applied_migrations (name text primary key)")
    for path in sorted(MIGRATIONS.glob("*.sql")):
        if path.name.endswith(ONLY_POSTGRES):
            continue
        try:
            await connection.execute_fetchall("begin immediate")
            await connection.execute_fetchall("insert into applied_migrations values (?)", [path.name])
            for statement in _statements(path.read_text()):
                await connection.execute_fetchall(statement)
            await connection.execute_fetchall("commit")
        except sqlite3.IntegrityError:
            await connection.rollback()  # it was applied before
        except BaseException:
            await connection.rollback()
            raise


def _statements(script: str) -> list[str]:
    found, statement = [], ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            found.append(statement)
            statement = ""
    return found


def _where(where: Row) -> tuple[str, list[Any]]:
    conditions = ["1"]
    values: list[Any] = []
    for column, value in where.items():
        several = value if isinstance(value, tuple) else (value,)
        conditions.append(f"{_name(column)} in ({', '.join('?' * len(several))})")
        values.extend(several)
    return " and ".join(conditions), values


def _name(name: str) -> str:
    """Table or column: always one of ours, never of somebody who asks."""
    if not _NAME.fullmatch(name):
        raise StoreRefused(f"{name!r} is no name of a table or column")
    return name
