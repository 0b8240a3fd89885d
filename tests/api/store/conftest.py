"""The Stores that the contract is held against."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from api.store.sqlite import SqliteStore
from api.store.store import Store
from api.store.supabase import SupabaseStore
from tests.api.store.real_supabase import SECRET_KEY, RealSupabase


@pytest.fixture(scope="session")
def supabase() -> Iterator[RealSupabase]:
    running = RealSupabase()
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def clean_supabase(supabase: RealSupabase) -> RealSupabase:
    tables = "conversations, messages, characters, renders, render_scripts, render_lines, usage, made, playbills, clips"
    done = supabase.sql(f"truncate {tables}")
    assert done.returncode == 0, done.stderr
    return supabase


@pytest.fixture(params=["sqlite", "supabase"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened: Store
    if request.param == "sqlite":
        opened = SqliteStore(tmp_path / "store.sqlite")
    else:
        opened = SupabaseStore(request.getfixturevalue("clean_supabase").url, SECRET_KEY)
    yield opened
    await opened.close()
