"""Finished files of renders where every machine finds them: a server that speaks as Supabase Storage does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from api.errors import StoreUnreachable
from api.render.files.kept import Kept
from api.render.files.products import Products
from api.render.lending import Lending
from api.render.library import Library
from api.render.play import CastLine, Play, Work
from api.store.bucket import BucketShelf
from api.store.shelf import FolderShelf
from api.store.sqlite import SqliteStore
from contract.voice import Voice
from tests.fakes import FakeStorageServer, counter_pcm

RENDER = "0123456789abcdef01234567"
KEY = "sb_secret_of-this-test-only"


@pytest.fixture
def storage() -> Iterator[FakeStorageServer]:
    server = FakeStorageServer(KEY)
    server.url = server.start()  # type: ignore[attr-defined]
    yield server
    server.stop()


@pytest.fixture
async def shelf(storage: FakeStorageServer) -> AsyncIterator[BucketShelf]:
    opened = BucketShelf(storage.url, KEY)  # type: ignore[attr-defined]
    yield opened
    await opened.close()


def machine(folder: Path) -> Library:
    """What one machine has of its own."""
    return Library(SqliteStore(folder / "store.sqlite"), folder / "renders")


def render(library: Library, text: str = "A line that is said.") -> Work:
    sound = library.keep_sound(RENDER, counter_pcm(text))
    play = Play((CastLine("Ava", text, Voice()),))
    row = {"id": RENDER, "owner": "ann", "title": "Play", "settings": "{}", "state": "done"}
    return Work(row, 0, play, {0: {"number": 0, "state": "done", "sound": sound}})


async def fetched(found: Path | str) -> bytes:
    assert isinstance(found, str)
    async with httpx.AsyncClient() as anybody:
        answer = await anybody.get(found)
    assert answer.status_code == 200
    return answer.content


async def test_what_one_machine_has_made_another_finds(
    storage: FakeStorageServer, shelf: BucketShelf, tmp_path: Path
) -> None:
    one = machine(tmp_path / "one")
    work = render(one)
    sound = await fetched(await Kept(Products(one), shelf).file(work, "flac"))
    assert sound.startswith(b"fLaC")
    # The other has none of its lines and need not make it.
    other = Kept(Products(machine(tmp_path / "other")), shelf)
    assert await fetched(await other.file(work, "flac")) == sound
    assert [path.rpartition("/")[0] for path in storage.files] == [f"ann/renders/{RENDER}"]


async def test_other_lines_are_another_file_and_the_older_one_is_forgotten(
    storage: FakeStorageServer, shelf: BucketShelf, tmp_path: Path
) -> None:
    library = machine(tmp_path)
    kept, work = Kept(Products(library), shelf), render(library)
    before = await fetched(await kept.file(work, "wav"))
    await kept.file(work, "zip")
    assert len(storage.files) == 2
    after = await fetched(await kept.file(render(library, "Another line is said."), "wav"))
    assert after != before
    assert len(storage.files) == 1
    await kept.forget("ann", RENDER)
    assert storage.files == {}


async def test_a_place_that_does_not_answer_costs_the_address_and_not_the_file(
    storage: FakeStorageServer, shelf: BucketShelf, tmp_path: Path
) -> None:
    library = machine(tmp_path)
    kept, work = Kept(Products(library), shelf), render(library)
    storage.buckets.clear()
    found = await kept.file(work, "wav")
    assert isinstance(found, Path)
    assert (await asyncio.to_thread(found.read_bytes)).startswith(b"RIFF")
    with pytest.raises(StoreUnreachable):
        await kept.forget("ann", RENDER)
    storage.buckets.add("audio")
    assert await fetched(await kept.file(work, "wav")) == found.read_bytes()


async def test_without_such_a_place_a_file_is_served_from_where_it_was_made(tmp_path: Path) -> None:
    library = machine(tmp_path)
    kept, work = Kept(Products(library), FolderShelf(tmp_path / "shelf")), render(library)
    assert await kept.file(work, "wav") == library.folder(RENDER) / await Products(library).name(work, "wav")
    await kept.forget("ann", RENDER)
    assert not (tmp_path / "shelf").exists()
    assert await kept.file(replace(work), "wav")


async def test_a_line_that_one_machine_has_made_another_fetches(
    storage: FakeStorageServer, shelf: BucketShelf, tmp_path: Path
) -> None:
    store = SqliteStore(tmp_path / "store.sqlite")
    one, other = (Library(store, tmp_path / name, Lending(shelf)) for name in ("one", "other"))
    work = render(one)
    row = work.made[0]
    one.lend("ann", RENDER, row["sound"])
    async with asyncio.timeout(5):
        while not storage.files:  # noqa: ASYNC110  a server tells nobody
            await asyncio.sleep(0.01)
    path = f"ann/lines/{RENDER}/{row['sound']}.pcm"
    assert list(storage.files) == [path]
    assert await other.sound(RENDER, row["sound"]) is None
    whole, media_type = storage.files[path]
    storage.files[path] = (whole[:-2], media_type)
    await other.borrow("ann", RENDER, [row])
    assert await other.sound(RENDER, row["sound"]) is None, "a copy that is not what its name says"
    storage.files[path] = (whole, media_type)
    await Products(other).plan(work)
    assert await other.sound(RENDER, row["sound"]) == whole
    assert [found.name for found in other.folder(RENDER).iterdir()] == [f"{row['sound']}.pcm"], "and nothing beside it"
    await one.delete("ann", RENDER)
    assert storage.files == {}
    await other.borrow("ann", RENDER, [{"sound": "0" * 64}])
    assert await other.sounds(RENDER) == {row["sound"]}, "what nobody has is not there"
    await store.close()
