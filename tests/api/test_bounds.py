"""Law 7, key by key: everything in Redis has a lifetime and a size that it does not outgrow."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import redis

from api.admission import Admission
from api.demo import DemoModel
from api.events import Chat
from api.history import History
from api.inbox import Inbox
from api.session.neighbours import Neighbours
from api.session.sessions import Sessions
from api.settings import Settings
from api.store.archive import Archive
from api.store.sqlite import SqliteStore
from api.streams import Streams
from api.turn.dispatch import Dispatcher
from api.turn.lasting import lasting
from api.turn.stage import Parts
from contract import keys
from contract.job import QUEUES
from tests.harness import Stack

OF_CELERY = {*QUEUES, "unacked", "unacked_index", "unacked_mutex"}
CELERY_BYTES = 1024 * 1024


def kind(key: str) -> str:
    """Of a key of ours: what `keys.MAX_BYTES` calls it."""
    _, first, *rest = key.split(":")
    return rest[0] if first.startswith("{") else first


@pytest_asyncio.fixture
async def streams(stack: Stack) -> AsyncIterator[Streams]:
    connected = Streams(stack.redis_url)
    yield connected
    await connected.close()


async def test_after_much_talk_every_key_has_a_lifetime_and_keeps_below_its_bound(stack: Stack) -> None:
    async with stack.listen() as client:
        await client.until("session")
        for number in range(60):
            await client.send(type="chat", text=f"SAY Number {number} is said. And a second sentence.", id=f"n{number}")
        await client.until("turn", 60, turn=59, state="ended")
        await client.ask("SAY " + "🙂😀" * 1900 + " Smile.")
        await client.send(type="chat", text="REPEAT 9000 wörd")
        await client.until("error", 60, code="reply_too_long")
        await client.send(type="interrupt")
        await client.until("turn", turn=61, state="ended")
        await asyncio.to_thread(stack.post, "/api/tickets")
        with redis.Redis.from_url(stack.redis_url, decode_responses=True) as admin:
            sizes = {key: admin.memory_usage(key, samples=0) or 0 for key in admin.scan_iter(count=1000)}
            eternal = {key for key in sizes if key.startswith(keys.PREFIX) and admin.ttl(key) == -1}
    ours = {key: size for key, size in sizes.items() if key.startswith(f"{keys.PREFIX}:")}
    assert {"sentence", "events", "history", "messages", "session", "turn", "owner", "inbox"} <= {*map(kind, ours)}
    assert eternal == set()
    assert {key: size for key, size in ours.items() if size > keys.MAX_BYTES[kind(key)]} == {}
    others = {key: size for key, size in sizes.items() if key not in ours and not key.startswith("_kombu.")}
    assert {key for key in others if key not in OF_CELERY and "pidbox" not in key} == set()
    assert max(others.values(), default=0) < CELERY_BYTES


async def test_whoever_is_cancelled_while_it_makes_a_key_leaves_none_that_lasts_for_ever(streams: Streams) -> None:
    """At whatever moment it comes: a name of its own for each, so that nobody else mends what was left."""
    message = {"role": "user", "text": "x", "turn": 0, "character": ""}
    makers: list[Callable[[str], Coroutine[Any, Any, object]]] = [
        lambda name: streams.open_sentence(keys.sentence(name, 0, 0)),
        lambda name: streams.fence(keys.sentence(name, 0, 0), 2),
        lambda name: streams.restart_sentence(keys.sentence(name, 0, 0), 2),
        lambda name: streams.end_sentences({keys.sentence(name, 0, 0): b"end"}),
        lambda name: streams.append_events(name, [(1, "{}")]),
        lambda name: streams.claim(name, 1, "a"),
        lambda name: streams.make_inbox(keys.inbox(name)),
        lambda name: streams.save_session(name, {"owner": name}),
        lambda name: streams.save_turn(name, 0, {"state": "running"}),
        lambda name: streams.remember_message(name, "id", 0),
        lambda name: streams.append_history(name, 0, message),
        streams.open_transcript,
    ]
    run = secrets.token_hex(4)
    for number, make in enumerate(makers):
        for moment in range(0, 150, 3):
            making = asyncio.create_task(make(f"{run}-{number}-{moment}"))  # type: ignore[arg-type]
            for _ in range(moment):
                await asyncio.sleep(0)
            making.cancel()
            await asyncio.wait({making})
        await make(f"{run}-{number}-whole")
    await asyncio.sleep(0.2)  # what was on its way has come
    made = [key async for key in streams.redis.scan_iter(f"*{run}-*", count=1000)]
    assert len({key.split(run.encode())[1].split(b"-")[1] for key in made}) == len(makers), "nobody came so far"
    assert [key for key in made if await streams.redis.ttl(key) == -1] == []
    await streams.redis.delete(*made)


async def test_events_forget_their_older_half_when_they_grow_too_large(streams: Streams) -> None:
    session = secrets.token_urlsafe(8)
    for first in range(1, 3000, 100):
        await streams.append_events(session, [(number, "x" * 8000) for number in range(first, first + 100)])
        assert (await streams.redis.memory_usage(keys.events(session), samples=0)) < keys.MAX_BYTES["events"]
    assert await streams.last_event(session) == 3000
    assert (await streams.read_events(session, "2950-0"))[0][0] == "2951-0"
    await streams.redis.delete(keys.events(session))


async def test_many_small_events_are_looked_at_too(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "EVENTS_BYTES", 20_000)
    session = secrets.token_urlsafe(8)
    for number in range(1, 2000):
        await streams.append_events(session, [(number, "x" * 50)])
    assert 100 < await streams.redis.xlen(keys.events(session)) < 600
    await streams.redis.delete(keys.events(session))


async def test_bells_that_were_heard_are_forgotten(streams: Streams) -> None:
    key = keys.inbox(secrets.token_hex(8))
    await streams.make_inbox(key)
    for number in range(1000):
        await streams.redis.xadd(key, {"k": f"key{number}"})
    _, newest, _ = (await streams.wait_for_bells({key: "0-0"}, 10))[-1]
    await streams.redis.xadd(key, {"k": "new"})
    await streams.forget_bells(key, newest)
    assert await streams.redis.xlen(key) < 200
    assert [fields for *_, fields in await streams.wait_for_bells({key: newest}, 10)] == [{b"k": b"new"}]
    await streams.redis.delete(key)


def test_a_history_is_bounded_in_characters_and_keeps_the_newest() -> None:
    history = History()
    for turn in range(300):
        history.add_user(turn, "x" * 4000)
        history.set_reply(turn, ("Ava", f"{turn}" + "y" * 20_000))
        assert sum(len(said.text) for said in history.messages) <= keys.HISTORY_CHARS
    assert history.messages[-1].text.startswith("299")
    history.add_user(300, "z" * 2 * keys.HISTORY_CHARS)
    assert [said.turn for said in history.messages] == [300]


async def test_the_history_in_redis_is_what_the_api_remembers(streams: Streams) -> None:
    session, history = secrets.token_urlsafe(8), History()
    for turn in range(60):
        said = history.add_user(turn, "x" * 4000)
        await streams.append_history(session, 1, said.to_dict(), len(history.messages))
    assert await streams.load_history(session) == history.to_list()
    assert len(history.messages) == 50
    await streams.redis.delete(keys.history(session))


async def test_the_audio_of_a_turn_that_lives_does_not_expire(
    stack: Stack, streams: Streams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply may be paced to twenty minutes; its first sentence is renewed while the last is spoken."""
    monkeypatch.setattr(keys, "RENEW_S", 0.1)
    name = secrets.token_hex(8)
    inbox = Inbox(streams, name)
    await inbox.start()
    parts = Parts(streams, inbox, Dispatcher(streams, inbox), DemoModel(), Admission(streams, max_listeners=1))
    archive = Archive(SqliteStore(tmp_path / "store.sqlite"))
    archive.start()
    sessions = Sessions(parts, Neighbours(streams, inbox, name), Settings(max_sessions=1), archive)
    try:
        session = await sessions.create("test")
        listener = session.join()
        text = "say " + "This is said slowly and goes on for long. " * 12
        turn = (await session.hear(Chat(type="chat", text=text)))["turn"]
        while (await listener.next()).chunk is None:
            pass
        first = keys.sentence(session.id, turn, 0)
        await streams.redis.expire(first, 60)
        async with asyncio.timeout(3):
            while await streams.redis.ttl(first) < 600:  # noqa: ASYNC110  Redis rings no bell for this
                await asyncio.sleep(0.05)
        assert session.given(turn)
    finally:
        await sessions.stop()
        await archive.stop()
        await inbox.stop()


async def test_renewing_survives_redis_being_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "RENEW_S", 0.01)
    asked = asyncio.Event()

    def wanted() -> list[str]:
        asked.set()
        return ["x"]

    nowhere = Streams("redis://127.0.0.1:1/0")
    async with lasting(nowhere, wanted):
        for _ in range(3):
            asked.clear()
            await asyncio.wait_for(asked.wait(), 5)
    await nowhere.close()
