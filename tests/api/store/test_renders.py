"""Renders at rest, in every Store: what is kept comes back, one of two changes wins, and deleted is deleted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from api.render.library import Library
from api.render.play import CastLine, Play
from api.store.store import Store, StoreRefused
from contract.voice import Voice

LINES = tuple(
    CastLine("Ava", f'Line {number} "quoted" äöü 🚢 \' -- ;', Voice("en-us+f3"), chapter=0) for number in range(4)
)
PLAY = Play(LINES, ("One",), 500)


def row(name: str = "render-one", **fields: Any) -> dict[str, Any]:
    kept = {"id": name, "title": "A play", "settings": "{}", "lines": 4, "state": "rendering", "revision": 0}
    return {**kept, "created_at": 1_700_000_000_000, "updated_at": 1_700_000_000_000, **fields}


def ended(number: int, place: int, state: str = "done", **fields: Any) -> dict[str, Any]:
    one = {"id": f"render-one:{number}", "render_id": "render-one", "number": number, "state": state, "code": ""}
    one |= {"content": LINES[number].content, "reason": "", "sound": "ab", "duration_ms": 1, "cached": 0, "worker": "w"}
    return {**one, "peaks": "[]", "place": place, "made_at": 1, **fields}


@pytest.fixture
async def library(store: Store, tmp_path: Path) -> Library:
    made = Library(store, tmp_path / "renders")
    assert await made.add("ann", row(), PLAY)
    return made


async def test_a_render_comes_back_with_the_lines_that_have_ended(library: Library) -> None:
    await library.put_line("ann", ended(2, 10))
    await library.put_line("ann", ended(0, 11, "failed", code="engine_failed"))
    await library.put_line("ann", ended(1, 12, content="of other words"))
    work = await library.load("ann", "render-one")
    assert work
    assert (work.play, work.revision, work.row["state"]) == (PLAY, 0, "rendering")
    assert {number: made["state"] for number, made in work.made.items()} == {0: "failed", 2: "done"}
    assert [one["id"] for one in await library.unfinished()] == ["render-one"]
    assert not await library.add("ann", row(), PLAY)


async def test_lines_come_in_the_order_in_which_they_ended_the_last_time(
    library: Library,
) -> None:
    for number, place in ((3, 10), (0, 11), (2, 12)):
        await library.put_line("ann", ended(number, place))
    assert [one["number"] for one in await library.ended_since("ann", "render-one", 10)] == [0, 2]
    await library.put_line("ann", ended(3, 13))
    assert [one["number"] for one in await library.ended_since("ann", "render-one", 0)] == [0, 2, 3]


async def test_of_two_who_change_a_script_one_does(library: Library) -> None:
    plays = [PLAY.with_line(1, CastLine("Ben", f"Change {number}", Voice())) for number in range(5)]
    changes = (library.change("ann", "render-one", 0, play, 2) for play in plays)
    assert sorted(await asyncio.gather(*changes)) == [False] * 4 + [True]
    work = await library.load("ann", "render-one")
    assert work
    assert (work.revision, work.lines[1].speaker, work.lines[2]) == (1, "Ben", LINES[2])


async def test_states_change_from_those_named_only_and_failed_lines_can_be_forgotten(library: Library) -> None:
    assert await library.move("ann", "render-one", ("rendering",), "cancelled", 2)
    assert not await library.move("ann", "render-one", ("rendering",), "done", 3)
    await library.put_line("ann", ended(0, 10, "failed"))
    await library.put_line("ann", ended(1, 11))
    assert await library.forget_failed("ann", "render-one") == 1
    work = await library.load("ann", "render-one")
    assert work
    assert list(work.made) == [1]


async def test_what_is_deleted_is_gone_with_its_lines_and_its_sound(library: Library, tmp_path: Path) -> None:
    name = library.keep_sound("render-one", b"\1\2" * 100)
    assert await library.sound("render-one", name) == b"\1\2" * 100
    assert await library.row("bob", "render-one") is None
    assert not await library.change("bob", "render-one", 0, PLAY, 2)
    assert await library.load("bob", "render-one") is None
    await library.put_line("ann", ended(0, 10))
    assert await library.delete("ann", "render-one")
    assert await library.load("ann", "render-one") is None
    with pytest.raises(StoreRefused):
        await library.put_line("ann", ended(1, 11))
    assert not (tmp_path / "renders/render-one").exists()


async def test_a_file_that_is_not_what_was_written_is_not_there(library: Library, tmp_path: Path) -> None:
    name = library.keep_sound("render-one", bytes(1000))
    (tmp_path / f"renders/render-one/{name}.pcm").write_bytes(bytes(998))
    assert await library.sound("render-one", name) is None
    with pytest.raises(ValueError, match="no name"):
        library.keep_sound("../elsewhere", b"")
