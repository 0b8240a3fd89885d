"""What an owner has used is counted once, whichever process makes it and whatever the Store does meanwhile."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.history import Spoken
from api.store import outbox as outboxes
from api.store import usage as module
from api.store.archive import Archive
from api.store.store import Store
from api.store.supabase import SupabaseStore
from api.store.usage import Made, Spent
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


async def test_what_is_made_outside_of_talks_is_counted_by_kind(archive: Archive) -> None:
    archive.usage.add("ann", Spent(1, 10, 100))
    for kind, made in (("render", Made(1, 5, 50)), ("speech", Made(1, 7, 70)), ("render", Made(1, 1, 10))):
        archive.usage.add_made("ann", kind, made)  # type: ignore[arg-type]
    archive.usage.add_made("bob", "speech", Made(1, 3, 30))
    (ann,), (bob,) = await archive.used("ann", 30), await archive.used("bob", 30)
    nothing = {"pieces": 0, "characters": 0, "audio_ms": 0}
    assert ann["turns"] == 1
    assert ann["render"] == {"pieces": 2, "characters": 6, "audio_ms": 60}
    assert ann["speech"] == {"pieces": 1, "characters": 7, "audio_ms": 70}
    assert (bob["turns"], bob["render"], bob["speech"]["pieces"]) == (0, nothing, 1)


async def test_two_processes_add_up_and_nothing_is_counted_twice(archive: Archive) -> None:
    plug = archive.store
    assert isinstance(plug, UnpluggedStore)
    other = Archive(plug)
    other.start()
    plug.loses_answers = 3
    for running in (archive, other):
        for _ in range(5):
            running.usage.add("ann", Spent(1, 10, 100))
            running.usage.write()
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
    archive.usage.write()
    assert await archive.outbox.settle(5)
    assert await figures(archive, "ann") == [(2, 0, 0, 0, 0)]


async def test_a_user_reads_their_own_usage_and_writes_none(clean_supabase: RealSupabase) -> None:
    ann, bob = str(uuid.uuid4()), str(uuid.uuid4())
    archive = Archive(SupabaseStore(clean_supabase.url, SECRET_KEY))
    archive.start()
    archive.usage.add(ann, Spent(1))
    archive.usage.add_made(ann, "speech", Made(1))
    await archive.stop()
    for table in ("usage", "made"):
        assert [row["owner"] for row in ask(clean_supabase, token(sub=ann), "GET", table).json()] == [ann]
        assert ask(clean_supabase, token(sub=bob), "GET", table).json() == []
    assert ask(clean_supabase, token(sub=ann), "PATCH", "usage?turns=eq.1", {"turns": 0}).status_code == 403
    assert ask(clean_supabase, token(sub=ann), "PATCH", "made?pieces=eq.1", {"pieces": 0}).status_code == 403


def today(stack: Stack) -> dict[str, Any]:
    status, rows = stack.get("/api/usage?days=1")
    assert status == 200
    nothing = dict.fromkeys(module.MADE, 0)
    return rows[0] if rows else {**dict.fromkeys(module.COUNTED, 0), "render": nothing, "speech": nothing}


def test_renders_and_texts_that_are_read_aloud_are_counted(stack: Stack) -> None:
    before = today(stack)
    text = "It is wide. It is deep."
    status, body, _ = stack.request(
        "POST", "/v1/audio/speech", {"model": "tts-1", "voice": "ava", "input": text, "response_format": "pcm"}
    )
    assert status == 200
    order = {"script": "AVA: It is wide.\nBEN: It is deep, and it is dark.", "cast": {"AVA": "ava", "BEN": "ben"}}
    render = stack.post("/api/renders", order)[1]["id"]
    done = wait_until(lambda: (now := stack.get(f"/api/renders/{render}")[1])["state"] == "done" and now, "the render")
    expected = {
        "speech": {"pieces": 1, "characters": len("It is wide.It is deep."), "audio_ms": len(body) // 48},
        "render": {"pieces": 2, "characters": 11 + 27, "audio_ms": done["duration_ms"]},
    }

    def spent() -> dict[str, dict[str, int]]:
        after = today(stack)
        return {kind: {name: after[kind][name] - before[kind][name] for name in module.MADE} for kind in expected}

    assert wait_until(lambda: spent() == expected and expected, "the count") == spent()
    assert today(stack)["turns"] == before["turns"]


async def test_a_talk_is_counted_also_when_it_is_deleted(stack: Stack) -> None:
    before = today(stack)
    async with stack.listen() as client:
        session = (await client.until("session"))["session_id"]
        turn = await client.ask("COUNT It is wide. It is deep.")
        audio_ms = len(client.pcm(turn)) / 48
    assert stack.request("DELETE", f"/api/sessions/{session}")[0] == 204
    after = wait_until(lambda: (now := today(stack))["prompt_tokens"] > before["prompt_tokens"] and now, "the count")
    spent = {name: after[name] - before[name] for name in module.COUNTED}
    assert spent.pop("audio_ms") == pytest.approx(audio_ms, abs=2)
    text = "It is wide.It is deep."
    assert spent == {"turns": 1, "characters": len(text), "prompt_tokens": 70, "reply_tokens": 9}
    assert session not in json.dumps(after)
    assert stack.get("/api/usage?days=91")[0] == 422
