"""What is said is written in order, each once, whatever the Store does meanwhile; and nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.history import Said, Spoken
from api.store import outbox as outboxes
from api.store.archive import Archive
from api.store.outbox import Outbox
from api.store.sqlite import SqliteStore
from tests.fakes import UnpluggedStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[UnpluggedStore]:
    yield UnpluggedStore(SqliteStore(tmp_path / "store.sqlite"))


@pytest.fixture
async def archive(store: UnpluggedStore, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Archive]:
    monkeypatch.setattr(outboxes, "AGAIN_S", 0.01)
    monkeypatch.setattr(outboxes, "AGAIN_MOST_S", 0.02)
    running = Archive(store)
    running.start()
    yield running
    store.is_plugged = True
    await running.stop()


async def texts(archive: Archive, conversation: str = "talk-1", owner: str = "ann") -> list[str]:
    return [row["heard"] for row in (await archive.show(conversation, owner))[1]]


async def test_what_is_said_is_found_again_as_it_was_heard(archive: Archive) -> None:
    keeper = archive.keeper("talk-1", "ann", "ben")
    keeper.said(Said("user", "Tell me of the sea, please.", 0))
    keeper.replied(0, 0, "Ben", "It is wide. It is deep.", "It is wide.", [Spoken("It is wide.", 900)])
    row, messages = await archive.show("talk-1", "ann")
    assert (row["title"], row["turns"], row["character"]) == ("Tell me of the sea, please.", 1, "ben")
    assert [(m["role"], m["text"], m["heard"]) for m in messages] == [
        ("user", "Tell me of the sea, please.", "Tell me of the sea, please."),
        ("assistant", "It is wide. It is deep.", "It is wide."),
    ]
    kept = await archive.find("talk-1", "ann")
    assert kept and [said.text for said in kept.messages] == ["Tell me of the sea, please.", "It is wide."]
    assert await archive.find("talk-1", "bob") is None


async def test_a_store_that_is_away_makes_nobody_wait_and_gets_all_in_order_once(
    archive: Archive, store: UnpluggedStore
) -> None:
    told: list[bool] = []
    keeper = archive.keeper("talk-1", "ann", "ben")
    keeper.on_behind = told.append
    store.is_plugged = False
    for turn in range(50):
        keeper.said(Said("user", f"question {turn}", turn))
        keeper.replied(turn, 0, "Ava", f"answer {turn}", f"answer {turn}", [])
    keeper.replied(49, 0, "Ava", "answer 49", "answer", [])
    async with asyncio.timeout(5):
        while told != [True]:  # noqa: ASYNC110  the outbox tells in its own time
            await asyncio.sleep(0.01)
    assert archive.outbox.is_down
    store.is_plugged = True
    assert await archive.outbox.settle(5)
    assert told == [True, False]
    expected = [text for turn in range(50) for text in (f"question {turn}", f"answer {turn}")]
    assert await texts(archive) == [*expected[:-1], "answer"]
    added = [row for table, row in store.added if table == "messages"]
    assert added == sorted(added, key=lambda name: [int(number) for number in name.split(":")[1:]])
    assert len(added) == len(set(added)) == 100


async def test_an_answer_that_is_lost_on_its_way_back_writes_nothing_twice(
    archive: Archive, store: UnpluggedStore
) -> None:
    store.loses_answers = 3
    archive.keeper("talk-1", "ann", "ben").said(Said("user", "Once only.", 0))
    assert await archive.outbox.settle(5)
    assert await texts(archive) == ["Once only."]


async def test_an_outbox_is_bounded_and_counts_what_it_could_not_take(
    archive: Archive, store: UnpluggedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outboxes, "MAX_WRITES", 5)
    lost = outboxes.LOST.labels(why="full")
    before = lost._value.get()
    store.is_plugged = False
    keeper = archive.keeper("talk-1", "ann", "ben")
    for turn in range(20):
        keeper.said(Said("user", f"{turn}", turn))
    assert lost._value.get() - before == 16
    store.is_plugged = True
    assert await archive.outbox.settle(5)
    assert await texts(archive) == ["0", "1", "2", "3"]


async def test_what_the_store_refuses_for_good_stops_nobody(archive: Archive) -> None:
    keeper = archive.keeper("talk-1", "ann", "ben")
    keeper.said(Said("user", "Before.", 0))
    keeper.said(Said("captain", "Nobody has this role.", 1))
    keeper.said(Said("user", "After.", 2))
    assert await texts(archive) == ["Before.", "After."]


@pytest.mark.parametrize("is_plugged", [True, False])
async def test_what_is_forgotten_is_gone_and_talk_goes_on(
    archive: Archive, store: UnpluggedStore, is_plugged: bool
) -> None:
    keeper = archive.keeper("talk-1", "ann", "ben")
    keeper.said(Said("user", "Forget this.", 0))
    await archive.outbox.settle(5)
    store.is_plugged = is_plugged
    keeper.said(Said("user", "And this.", 1))
    keeper.forget()
    keeper.said(Said("user", "A new beginning.", 2))
    store.is_plugged = True
    assert await archive.outbox.settle(5)
    row, _ = await archive.show("talk-1", "ann")
    assert (row["title"], row["turns"]) == ("A new beginning.", 3)
    assert await texts(archive) == ["A new beginning."]


async def test_what_was_deleted_does_not_come_back_out_of_the_outbox(archive: Archive, store: UnpluggedStore) -> None:
    store.is_plugged = False
    archive.keeper("talk-1", "ann", "ben").said(Said("user", "Delete me.", 0))
    archive.keeper("talk-2", "ann", "ben").said(Said("user", "Keep me.", 0))
    await archive.outbox.forget("talk-1")
    store.is_plugged = True
    await archive.delete("talk-1", "ann")
    assert await texts(archive, "talk-2") == ["Keep me."]
    await archive.delete("talk-1", "ann")
    await asyncio.sleep(0)
    archive.keeper("talk-2", "ann", "ben").said(Said("user", "And this.", 1))
    assert await texts(archive, "talk-2") == ["Keep me.", "And this."]
    assert [row["id"] for row in await archive.conversations("ann")] == ["talk-2"]


async def test_what_a_process_did_not_come_to_write_its_successor_writes(archive: Archive) -> None:
    before = archive.keeper("talk-1", "ann", "ben")
    before.said(Said("user", "One.", 0))
    history = [Said("user", "One.", 0), Said("assistant", "Two.", 0, "Ava"), Said("user", "Three.", 1)]
    archive.keeper("talk-1", "ann", "ben").catch_up(history)
    assert await texts(archive) == ["One.", "Two.", "Three."]


async def test_what_was_said_is_found_by_its_words(archive: Archive) -> None:
    archive.keeper("talk-1", "ann", "ben").said(Said("user", "Of ships", 0))
    second = archive.keeper("talk-2", "ann", "ben")
    second.said(Said("user", "Of stars", 0))
    second.replied(0, 0, "Ava", "Über den Sternen.", "Über den Sternen.", [])
    archive.keeper("talk-3", "bob", "ben").said(Said("user", "Of ships and stars", 0))
    await archive.outbox.settle(5)
    for words, found in (("SHIPS", ["talk-1"]), ("über", ["talk-2"]), ("of", ["talk-1", "talk-2"]), ("sea", [])):
        assert sorted(row["id"] for row in await archive.conversations("ann", words)) == found
    await archive.rename("talk-1", "ann", "A new name", "ava")
    assert [row["title"] for row in await archive.conversations("ann", "new name")] == ["A new name"]
    await archive.rename("talk-3", "ann", "Not mine", "ava")
    assert [row["title"] for row in await archive.conversations("bob")] == ["Of ships and stars"]


async def test_a_store_that_never_answers_is_down(monkeypatch: pytest.MonkeyPatch, store: UnpluggedStore) -> None:
    monkeypatch.setattr(outboxes, "WRITE_S", 0.05)
    store.hangs = True
    outbox = Outbox(store)
    outbox.start()
    outbox.put(outboxes.Write(("x", "1"), "talk-1", lambda s: s.remove("messages", {"id": "x"})))
    async with asyncio.timeout(5):
        while not outbox.is_down:  # noqa: ASYNC110  the outbox finds out in its own time
            await asyncio.sleep(0.01)
    await outbox.stop(0.1)
    await store.close()
