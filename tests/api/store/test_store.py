"""What every Store promises, whatever keeps it: one suite over all of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from api.store.sqlite import SqliteStore
from api.store.store import Owned, Store, StoreDown, StoreRefused


def conversation(name: str = "c1", owner: str = "ann", **fields: Any) -> dict[str, Any]:
    row = {"id": name, "owner": owner, "title": "Ships", "character": "ava", "turns": 0}
    return {**row, "created_at": 1_700_000_000_000, "updated_at": 1_700_000_000_000, **fields}


def message(turn: int = 0, place: int = 0, conversation_id: str = "c1", **fields: Any) -> dict[str, Any]:
    row = {"id": f"{conversation_id}:{turn}:{place}", "conversation_id": conversation_id, "owner": "ann"}
    row |= {"turn": turn, "place": place, "role": "user", "character": "", "text": "Hello", "heard": "Hello"}
    return {**row, "spoken": "[]", "said_at": 1_700_000_000_000 + turn, **fields}


async def test_a_row_comes_back_as_it_was(store: Store) -> None:
    row = conversation(title="Ärger & 'quotes' \"both\" \\ % _ * , () 🚢\n\t ; drop table conversations", turns=2**40)
    assert await store.add("conversations", row)
    assert await store.find("conversations", {"id": "c1"}) == [row]
    assert await store.find("conversations", {"title": row["title"]}) == [row]


async def test_what_is_there_already_is_left_as_it_is(store: Store) -> None:
    assert await store.add("conversations", conversation())
    assert not await store.add("conversations", conversation(title="other"))
    assert await store.add("messages", message())
    assert not await store.add("messages", message(id="another id, the same place"))
    assert [row["title"] for row in await store.find("conversations", {})] == ["Ships"]


@pytest.mark.parametrize(
    "row",
    [
        message(conversation_id="nowhere"),
        message(role="captain"),
        message(turn=-1),
        message(text=None),
        {"id": "x", "no_such_column": 1},
        {"id": "x", "Robert'); drop table messages; --": 1},
    ],
)
async def test_what_makes_no_sense_is_refused_for_good(store: Store, row: dict[str, Any]) -> None:
    await store.add("conversations", conversation())
    with pytest.raises(StoreRefused):
        await store.add("messages", row)
    assert await store.find("messages", {}) == []


async def test_rows_come_in_order_and_in_pages(store: Store) -> None:
    await store.add("conversations", conversation())
    for turn in (2, 0, 1):
        await store.add("messages", message(turn))
        await store.add("messages", message(turn, 1, role="assistant"))

    async def places(**options: Any) -> list[tuple[int, int]]:
        found = await store.find("messages", {"conversation_id": "c1"}, **options)
        return [(row["turn"], row["place"]) for row in found]

    ordered = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert await places(order=("turn", "place")) == ordered
    assert await places(order=("-turn", "-place"), limit=2) == ordered[:3:-1]
    assert await places(order=("turn", "place"), limit=3, skip=2) == ordered[2:5]


async def test_several_values_are_one_question(store: Store) -> None:
    for name in ("c1", "c2", "c,3)"):
        await store.add("conversations", conversation(name))
    found = await store.find("conversations", {"id": ("c1", "c,3)", "gone")}, order=("id",))
    assert [row["id"] for row in found] == ["c,3)", "c1"]


@pytest.mark.parametrize(("words", "is_found"), [("SHIP", True), ("100% s", True), ("100_", False), ("(%)", False)])
async def test_text_is_found_in_whichever_case_and_taken_literally(store: Store, words: str, is_found: bool) -> None:
    await store.add("conversations", conversation(title="Of 100% Ships, and *more*"))
    found = await store.find("conversations", {"owner": "ann"}, contains=("title", words))
    assert bool(found) is is_found


async def test_of_twenty_who_change_the_same_state_one_does(store: Store) -> None:
    await store.add("conversations", conversation())
    tries = (store.update("conversations", {"id": "c1", "turns": 0}, {"turns": n}) for n in range(1, 21))
    assert sorted(await asyncio.gather(*tries)) == [0] * 19 + [1]


async def test_what_is_removed_takes_along_what_belongs_to_it(store: Store) -> None:
    await store.add("conversations", conversation())
    await store.add("conversations", conversation("c2"))
    await store.add("messages", message())
    await store.add("messages", message(conversation_id="c2"))
    assert await store.remove("conversations", {"id": "c1"}) == 1
    assert [row["conversation_id"] for row in await store.find("messages", {})] == ["c2"]
    assert await store.remove("conversations", {"id": "c1"}) == 0


async def test_nothing_of_another_owner_is_there(store: Store) -> None:
    ann, bob = Owned(store, "ann"), Owned(store, "bob")
    await ann.add("conversations", conversation(owner="whatever it says"))
    assert (await ann.one("conversations", "c1") or {})["owner"] == "ann"
    assert await bob.one("conversations", "c1") is None
    assert await bob.all("conversations", {}, ("id",)) == []
    assert await bob.update("conversations", {"id": "c1"}, {"title": "mine"}) == 0
    await bob.put("conversations", conversation(), {"title": "mine"})
    assert await bob.remove("conversations", {"id": "c1"}) == 0
    assert (await ann.one("conversations", "c1") or {})["title"] == "Ships"


async def test_all_is_all_of_more_than_a_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    page = 20
    monkeypatch.setattr("api.store.store.PAGE", page)
    ann = Owned(store, "ann")
    for number in range(2 * page + 3):
        await ann.add("characters", character(f"k{number:04}"))
    found = await ann.all("characters", {}, ("created_at", "id"))
    assert [row["id"] for row in found] == [f"k{number:04}" for number in range(2 * page + 3)]


def character(name: str) -> dict[str, Any]:
    texts = ("persona", "greeting", "colour", "voice")
    return {"id": name, "name": name, **dict.fromkeys(texts, "x"), "created_at": 1, "updated_at": 1}


async def test_it_is_there_for_the_next_process_and_migrations_run_once(tmp_path: Path) -> None:
    stores = [SqliteStore(tmp_path / "store.sqlite") for _ in range(4)]
    names = [f"c{number}" for number in range(4)]
    added = await asyncio.gather(*(s.add("conversations", conversation(n)) for s, n in zip(stores, names, strict=True)))
    assert added == [True] * 4
    await asyncio.gather(*(one.close() for one in stores))
    again = SqliteStore(tmp_path / "store.sqlite")
    assert [row["id"] for row in await again.find("conversations", {}, order=("id",))] == names
    await again.close()


async def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite")
    await store.add("conversations", conversation())
    assert (tmp_path / "store.sqlite").stat().st_mode & 0o077 == 0
    assert (tmp_path / "store.sqlite-wal").stat().st_mode & 0o077 == 0
    await store.close()


async def test_a_file_that_is_none_of_ours_is_down_and_works_once_it_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"this is not a database, it is a long and sad mistake" * 100)
    store = SqliteStore(path)
    for _ in range(2):
        with pytest.raises(StoreDown):
            await store.find("conversations", {})
    path.unlink()
    assert await store.add("conversations", conversation())
    await store.close()
