"""What an owner has used is counted once, whichever process makes it and whatever the Store does meanwhile."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator

import pytest

from api.history import Spoken
from api.store import outbox as outboxes
from api.store import usage as module
from api.store.archive import Archive
from api.store.store import Store
from api.store.supabase import SupabaseStore
from api.store.usage import Spent
from tests.api.store.real_supabase import SECRET_KEY, RealSupabase, token
from tests.api.store.test_supabase import ask
from tests.fakes import UnpluggedStore
from tests.harness import Stack, wait_until

SENTENCE = Spoken("It is wide.", 900)


@pytest.fixture
async def archive(store: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Archive]:
    monkeypatch.setattr(outboxes, "AGAIN_S", 0.01)
    running = Archive(UnpluggedStore(store))
    running.start()
    yield running
    await running.outbox.stop()


async def figures(archive: Archive, owner: str, days: int = 30) -> list[tuple[int, ...]]:
    return [tuple(row[name] for name in module.COUNTED) for row in await archive.used(owner, days)]


async def test_what_was_made_is_counted_for_its_owner_by_day(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = archive.keeper("talk-1", "ann", "ben")
    keeper.used([SENTENCE, Spoken("Never spoken.", 0)], 70, 9)
    keeper.used([SENTENCE], 0, 0)
    assert await figures(archive, "ann") == [(2, 22, 1800, 70, 9)]
    assert await figures(archive, "bob") == []
    now = module.time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + module.DAY_S)
    keeper.used([SENTENCE], 0, 0)
    assert await figures(archive, "ann") == [(1, 11, 900, 0, 0), (2, 22, 1800, 70, 9)]
    assert await figures(archive, "ann", days=1) == [(1, 11, 900, 0, 0)]
    first, second = await archive.used("ann", 30)
    assert first["day"] > second["day"]


async def test_two_processes_add_up_and_nothing_is_counted_twice(archive: Archive) -> None:
    plug = archive.store
    assert isinstance(plug, UnpluggedStore)
    other = Archive(plug)
    other.start()
    plug.loses_answers = 3
    for running in (archive, other):
        for _ in range(5):
            running.usage.add("ann", Spent(1, 10, 100))
    assert await other.outbox.settle(5)
    assert await figures(archive, "ann") == [(10, 100, 1000, 0, 0)]
    await other.outbox.stop()


async def test_a_store_that_is_away_gets_the_sum_when_it_is_back(archive: Archive) -> None:
    plug = archive.store
    assert isinstance(plug, UnpluggedStore)
    plug.is_plugged = False
    for _ in range(100):
        archive.usage.add("ann", Spent(1, 10, 100))
    plug.is_plugged = True
    assert await archive.outbox.settle(5)
    assert await figures(archive, "ann") == [(100, 1000, 10_000, 0, 0)]


async def test_what_had_to_give_way_is_still_counted(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COUNTED", 2)
    for owner in ("ann", "bob", "cleo", "ann"):
        archive.usage.add(owner, Spent(1))
    assert await figures(archive, "ann") == [(2, 0, 0, 0, 0)]


async def test_a_user_reads_their_own_usage_and_writes_none(clean_supabase: RealSupabase) -> None:
    ann, bob = str(uuid.uuid4()), str(uuid.uuid4())
    archive = Archive(SupabaseStore(clean_supabase.url, SECRET_KEY))
    archive.start()
    archive.usage.add(ann, Spent(1))
    assert await archive.outbox.settle(5)
    await archive.stop()
    assert [row["owner"] for row in ask(clean_supabase, token(sub=ann), "GET", "usage").json()] == [ann]
    assert ask(clean_supabase, token(sub=bob), "GET", "usage").json() == []
    assert ask(clean_supabase, token(sub=ann), "PATCH", "usage?turns=eq.1", {"turns": 0}).status_code == 403


async def test_a_talk_is_counted_also_when_it_is_deleted(stack: Stack) -> None:
    def today() -> dict[str, int]:
        status, rows = stack.get("/api/usage?days=1")
        assert status == 200
        return rows[0] if rows else dict.fromkeys(module.COUNTED, 0)

    before = today()
    async with stack.listen() as client:
        session = (await client.until("session"))["session_id"]
        turn = await client.ask("COUNT It is wide. It is deep.")
        audio_ms = len(client.pcm(turn)) / 48
    assert stack.request("DELETE", f"/api/sessions/{session}")[0] == 204
    after = wait_until(lambda: (now := today())["prompt_tokens"] > before["prompt_tokens"] and now, "the count")
    spent = {name: after[name] - before[name] for name in module.COUNTED}
    assert spent.pop("audio_ms") == pytest.approx(audio_ms, abs=2)
    text = "It is wide.It is deep."
    assert spent == {"turns": 1, "characters": len(text), "prompt_tokens": 70, "reply_tokens": 9}
    assert session not in json.dumps(after)
    assert stack.get("/api/usage?days=91")[0] == 422
