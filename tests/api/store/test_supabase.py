"""Supabase: who may see what without the server, and what its absence does. The contract itself is in test_store.py."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.history import Said
from api.store import outbox as outboxes
from api.store.archive import Archive
from api.store.store import StoreDown
from api.store.supabase import SupabaseStore
from tests.api.store.real_supabase import BEFORE, SECRET_KEY, RealSupabase, token
from tests.api.store.test_store import conversation, message
from tests.conftest import model_env
from tests.fakes import FakeModelServer
from tests.harness import ROOT, Stack, wait_until

ANN, BOB = str(uuid.uuid4()), str(uuid.uuid4())
TABLES = ("conversations", "messages", "characters", "usage", "made", "playbills", "clips")


@pytest.fixture
def kept(clean_supabase: RealSupabase) -> Iterator[RealSupabase]:
    """A conversation of Ann's is there."""

    async def keep() -> None:
        store = SupabaseStore(clean_supabase.url, SECRET_KEY)
        await store.add("conversations", conversation(owner=ANN))
        await store.add("messages", message(owner=ANN))
        await store.close()

    asyncio.run(keep())
    yield clean_supabase


def ask(supabase: RealSupabase, bearer: str, method: str, path: str, body: Any = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {bearer}", "prefer": "return=representation"} if bearer else {}
    return httpx.request(method, f"{supabase.url}/rest/v1/{path}", headers=headers, json=body, timeout=10)


def test_a_user_reads_what_is_theirs_and_nothing_else(kept: RealSupabase) -> None:
    for table in ("conversations", "messages"):
        assert [row["owner"] for row in ask(kept, token(sub=ANN), "GET", table).json()] == [ANN]
        assert ask(kept, token(sub=BOB), "GET", table).json() == []
        assert ask(kept, token(sub=BOB), "GET", f"{table}?owner=eq.{ANN}").json() == []
        assert ask(kept, token(sub=BOB), "GET", f"{table}?or=(owner.eq.{ANN},owner.neq.{BOB})").json() == []


@pytest.mark.parametrize("who", [ANN, BOB], ids=["as oneself", "as another"])
def test_a_user_writes_nothing_past_the_server(kept: RealSupabase, who: str) -> None:
    mine = conversation("c2", owner=who)
    for method, path, body in (
        ("POST", "conversations", mine),
        ("POST", "messages", message(1, owner=who)),
        ("PATCH", "conversations?id=eq.c1", {"title": "mine now"}),
        ("DELETE", "conversations?id=eq.c1", None),
    ):
        answer = ask(kept, token(sub=who), method, path, body)
        assert (answer.status_code, answer.json()["code"]) == (403, "42501"), (method, path)
    assert "Ships" in kept.sql("select title from conversations").stdout


@pytest.mark.parametrize(
    "bearer",
    [
        "",
        token("anon"),
        token(sub=ANN, exp=int(time.time()) - 120),
        token(sub=ANN)[:-4] + "AAAA",
        token("postgres", sub=ANN),
        SECRET_KEY,
    ],
    ids=["none", "anon", "expired", "tampered", "another role", "the key without its header"],
)
def test_nobody_else_sees_anything(kept: RealSupabase, bearer: str) -> None:
    for table in TABLES:
        assert ask(kept, bearer, "GET", table).status_code in {401, 403}


def test_row_level_security_is_on_everywhere(kept: RealSupabase) -> None:
    tables = "pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
    off = kept.sql(f"select relname from {tables} and not relrowsecurity")  # noqa: S608
    assert "(0 rows)" in off.stdout


def test_migrations_that_run_twice_change_nothing(kept: RealSupabase) -> None:
    kept.migrate()
    assert "Ships" in kept.sql("select title from conversations").stdout


def test_supabases_own_program_applies_them_once(supabase: RealSupabase) -> None:
    assert supabase.sql("create database pushed").returncode == 0
    assert supabase.sql(BEFORE, "pushed").returncode == 0
    names = [path.name for path in sorted((ROOT / "supabase/migrations").glob("*.sql"))]
    said = supabase.push("pushed")
    assert [name for name in names if f"Applying migration {name}" not in said] == []
    keep = "insert into characters values ('ann:x', 'ann', 'X', '', '', '', '{}', 0, 0)"
    assert supabase.sql(keep, "pushed").returncode == 0
    assert "Applying" not in supabase.push("pushed")
    kept = "select version || '_' || name || '.sql' from supabase_migrations.schema_migrations order by 1"
    assert supabase.sql(f"copy ({kept}) to stdout", "pushed").stdout.split() == names
    assert supabase.sql("copy (select name from characters) to stdout", "pushed").stdout == "X\n"
    # What it made is what the other tests here are about.
    shape = """copy (select table_name, column_name, data_type, is_nullable from information_schema.columns
        where table_schema = 'public' union all select tablename, policyname, qual, '' from pg_policies
        order by 1, 2, 3) to stdout"""
    assert supabase.sql(shape, "pushed").stdout == supabase.sql(shape).stdout


async def test_its_plug_is_pulled_and_put_back(clean_supabase: RealSupabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outboxes, "AGAIN_MOST_S", 0.1)
    archive = Archive(SupabaseStore(clean_supabase.url, SECRET_KEY))
    archive.start()
    keeper = archive.keeper("talk-1", "ann", "ava")
    keeper.said(Said("user", "one", 0))
    assert await archive.outbox.settle(5)
    await asyncio.to_thread(clean_supabase.stop_rest)
    for turn in range(1, 20):
        keeper.said(Said("user", f"{turn}", turn))
    assert not await archive.outbox.settle(0.5)
    assert archive.outbox.is_down
    await asyncio.to_thread(clean_supabase.start_rest)
    assert await archive.outbox.settle(10)
    messages = (await archive.show("talk-1", "ann"))[1]
    assert [row["turn"] for row in messages] == list(range(20))
    await archive.stop()


async def test_a_talk_is_kept_there_and_no_log_tells_of_it(
    clean_supabase: RealSupabase, tmp_path: Path, model: FakeModelServer
) -> None:
    env = {"SUPABASE_URL": clean_supabase.url, "SUPABASE_KEY": SECRET_KEY}
    stack = Stack(tmp_path, env=model_env(model) | env)
    try:
        await asyncio.to_thread(stack.start, 1)
        made = stack.post("/api/characters", {"name": "Maud"})[1]
        async with stack.listen() as client:
            session = (await client.until("session"))["session_id"]
            turn = await client.ask("SAY Of lighthouses.", character=made["id"])
            assert client.chunks(turn)
            await asyncio.to_thread(clean_supabase.stop_rest)
            turn = await client.ask("SAY And of ships.")
            assert client.chunks(turn)
            await client.have("saving", state="behind")
            await asyncio.to_thread(clean_supabase.start_rest)
            await client.have("saving", state="saved")
        found = stack.get(f"/api/sessions/{session}/transcript")[1]
        assert [row["character"] for row in found["messages"]] == ["", "Maud", "", "Ava"]
        assert [one["id"] for one in stack.get("/api/sessions?search=LIGHTHOUSE")[1]] == [session]
        assert stack.request("DELETE", f"/api/sessions/{session}")[0] == 204
        assert "(0 rows)" in clean_supabase.sql("select * from messages").stdout
        await check_users(stack, clean_supabase)
    finally:
        stack.stop()
    log = (tmp_path / "api.log").read_text()
    assert not [word for word in (SECRET_KEY, "LIGHTHOUSE", "lighthouses", session) if word in log]


async def check_users(stack: Stack, supabase: RealSupabase) -> None:
    """Two who have signed in: each has their own, here and past the server; the local user has neither."""
    ann, bob = ({"Authorization": f"Bearer {supabase.sign_in.sign('one', who)}"} for who in (ANN, BOB))
    made = json.loads((await asyncio.to_thread(stack.request, "POST", "/api/sessions", {}, ann))[1])["id"]
    async with stack.listen(made, additional_headers=ann) as client:
        await client.ask("SAY This is mine.")
    path = f"/api/sessions/{made}"
    answers = [stack.request("GET", path, headers=who)[0] for who in (ann, bob, {}, {"Authorization": "Bearer x.y.z"})]
    assert answers == [200, 404, 404, 401]
    assert stack.request("GET", "/metrics", headers=ann)[0] == 401
    wait_until(lambda: ask(supabase, token(sub=ANN), "GET", "messages").json(), "what was said, at rest")
    assert ask(supabase, token(sub=BOB), "GET", "messages").json() == []


async def test_a_server_that_is_not_there_or_never_answers_is_down_soon() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for port, within_s in ((1, 1.5), (silent.getsockname()[1], 5.0)):
            store = SupabaseStore(f"http://127.0.0.1:{port}", SECRET_KEY)
            began = time.monotonic()
            with pytest.raises(StoreDown):
                await store.find("conversations", {"id": "c1"})
            assert time.monotonic() - began < within_s
            await store.close()


async def test_tables_that_are_missing_and_a_wrong_key_are_told(supabase: RealSupabase) -> None:
    store = SupabaseStore(supabase.url, SECRET_KEY)
    with pytest.raises(StoreDown, match="supabase/migrations"):
        await store.find("treasures", {"id": "1"})
    await store.close()
    stranger = SupabaseStore(supabase.url, "sb_secret_wrong")
    with pytest.raises(StoreDown):
        await stranger.find("conversations", {"id": "1"})
    await stranger.close()
