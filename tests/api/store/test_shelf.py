"""What every Shelf promises, whatever keeps it: a folder, and a server that speaks as Supabase Storage does."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.store.bucket import BucketShelf
from api.store.shelf import FolderShelf, Shelf
from api.store.store import StoreDown, StoreRefused
from tests.api.store.real_supabase import RealSupabase
from tests.fakes import FakeStorageServer

KEY = "sb_secret_of-this-test-only"


@pytest.fixture(scope="module")
def storage() -> Iterator[tuple[FakeStorageServer, str]]:
    server = FakeStorageServer(KEY)
    try:
        yield server, server.start()
    finally:
        server.stop()


@pytest.fixture(params=["folder", "bucket"])
async def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shelf]:
    opened: Shelf
    if request.param == "folder":
        opened = FolderShelf(tmp_path / "shelf")
    else:
        server, url = request.getfixturevalue("storage")
        server.files.clear()
        opened = BucketShelf(url, KEY)
    yield opened
    await opened.close()


def sound(folder: Path, content: bytes = b"RIFF" + bytes(200_000)) -> Path:
    path = folder / "made.wav"
    path.write_bytes(content)
    return path


async def read(found: Path | str | None) -> bytes:
    assert found is not None
    if isinstance(found, Path):
        return found.read_bytes()
    async with httpx.AsyncClient() as anybody:
        answer = await anybody.get(found)
    assert answer.status_code == 200, answer.text
    return answer.content


async def test_a_file_comes_back_as_it_was_and_is_its_owners(shelf: Shelf, tmp_path: Path) -> None:
    made = sound(tmp_path)
    await shelf.put("ann", "renders/r1/whole.wav", made, "audio/wav")
    assert await read(await shelf.find("ann", "renders/r1/whole.wav")) == made.read_bytes()
    assert await shelf.fetch("ann", "renders/r1/whole.wav", tmp_path / "copy.wav")
    assert (tmp_path / "copy.wav").read_bytes() == made.read_bytes()
    for owner, name in (("bob", "renders/r1/whole.wav"), ("ann", "renders/r2/whole.wav"), ("ann", "renders/r1")):
        assert await shelf.find(owner, name) is None
        assert not await shelf.fetch(owner, name, tmp_path / "nothing.wav")
    assert not (tmp_path / "nothing.wav").exists()


async def test_a_second_file_of_a_name_takes_the_place_of_the_first(shelf: Shelf, tmp_path: Path) -> None:
    await shelf.put("ann", "renders/r1/whole.wav", sound(tmp_path), "audio/wav")
    await shelf.put("ann", "renders/r1/whole.wav", sound(tmp_path, b"new"), "audio/wav")
    assert await read(await shelf.find("ann", "renders/r1/whole.wav")) == b"new"


async def test_what_is_removed_is_gone_and_its_neighbours_are_not(shelf: Shelf, tmp_path: Path) -> None:
    for name in ("renders/r1/0.wav", "renders/r1/1.wav", "renders/r2/0.wav"):
        await shelf.put("ann", name, sound(tmp_path), "audio/wav")
    await shelf.remove("ann", ["renders/r1/0.wav", "renders/r1/1.wav", "renders/r1/never.wav"])
    await shelf.remove("bob", ["renders/r2/0.wav"])
    assert await shelf.find("ann", "renders/r1/0.wav") is None
    assert await shelf.find("ann", "renders/r2/0.wav") is not None


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("ann", "../bob/x.wav"),
        ("ann", "renders/../../x"),
        ("..", "x.wav"),
        ("ann", "/etc/passwd"),
        ("ann", ""),
        ("ann", ".hidden"),
        ("", "x.wav"),
        ("ann", "renders//x"),
        ("ann", "renders/%2e%2e/x"),
        ("ann", "renders/ü.wav"),
        ("ann", "x\n"),
    ],
)
async def test_no_name_leads_elsewhere(shelf: Shelf, tmp_path: Path, owner: str, name: str) -> None:
    with pytest.raises(StoreRefused):
        await shelf.put(owner, name, sound(tmp_path), "audio/wav")
    with pytest.raises(StoreRefused):
        await shelf.find(owner, name)
    with pytest.raises(StoreRefused):
        await shelf.remove(owner, [name])


async def test_a_file_that_is_not_there_cannot_be_kept(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(StoreDown):
        await shelf.put("ann", "renders/r1/0.wav", tmp_path / "never-made.wav", "audio/wav")
    assert await shelf.find("ann", "renders/r1/0.wav") is None


async def test_a_full_disk_leaves_the_old_file_and_no_half_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = FolderShelf(tmp_path / "shelf")
    await shelf.put("ann", "r/0.wav", sound(tmp_path, b"old"), "audio/wav")

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", fail)
    with pytest.raises(StoreDown, match="space"):
        await shelf.put("ann", "r/0.wav", sound(tmp_path, b"new"), "audio/wav")
    assert [path.read_bytes() for path in (tmp_path / "shelf").rglob("*") if path.is_file()] == [b"old"]
    await shelf.remove("ann", ["r/0.wav"])
    assert list((tmp_path / "shelf").iterdir()) == []


async def test_an_address_works_for_a_while_and_names_the_file(
    storage: tuple[FakeStorageServer, str], tmp_path: Path
) -> None:
    server, url = storage
    shelf = BucketShelf(url, KEY)
    await shelf.put("ann", "renders/r1/whole.wav", sound(tmp_path), "audio/wav")
    assert server.files["ann/renders/r1/whole.wav"][1] == "audio/wav"
    address = str(await shelf.find("ann", "renders/r1/whole.wav", download="A dialogue.wav"))
    assert KEY not in address
    async with httpx.AsyncClient() as anybody:
        answer = await anybody.get(address)
        assert answer.headers["content-disposition"] == 'attachment; filename="A dialogue.wav"'
        assert answer.headers["content-type"] == "audio/wav"
        brief = str(await shelf.find("ann", "renders/r1/whole.wav", ttl_s=1))
        async with asyncio.timeout(5):
            while (status := (await anybody.get(brief)).status_code) == 200:  # noqa: ASYNC110  it rings no bell
                await asyncio.sleep(0.1)
    assert status == 400
    await shelf.close()


async def test_a_server_that_is_away_refuses_or_was_not_prepared_is_told(
    storage: tuple[FakeStorageServer, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, url = storage
    shelf, nowhere, stranger = BucketShelf(url, KEY), BucketShelf("http://127.0.0.1:1", KEY), BucketShelf(url, "wrong")
    for away in (nowhere, stranger):
        with pytest.raises(StoreDown):
            await away.put("ann", "r/0.wav", sound(tmp_path), "audio/wav")
        await away.close()
    monkeypatch.setattr(server, "refuses", "413")
    with pytest.raises(StoreRefused, match="exceeded"):
        await shelf.put("ann", "r/0.wav", sound(tmp_path), "audio/wav")
    monkeypatch.setattr(server, "buckets", set())
    with pytest.raises(StoreDown, match="supabase/migrations"):
        await shelf.find("ann", "r/0.wav")
    await shelf.close()


def test_the_bucket_is_private_and_a_user_sees_their_own_folder(clean_supabase: RealSupabase) -> None:
    """The policy itself, in a real Postgres; the tables of Storage stand there as Supabase makes them."""
    ann, bob = "0b7a3c1e-55a0-4d4e-9d38-7a1c1f4f0001", "0b7a3c1e-55a0-4d4e-9d38-7a1c1f4f0002"
    assert " f\n" in clean_supabase.sql("select public from storage.buckets where id = 'audio'").stdout
    rows = f"('audio', '{ann}/r/0.wav'), ('audio', '{bob}/r/0.wav')"
    asked = f"""
        begin; insert into storage.objects (bucket_id, name) values {rows};
        set local role authenticated; set local request.jwt.claims = '{{"sub": "{ann}"}}';
        select name from storage.objects;
        insert into storage.objects (bucket_id, name) values ('audio', '{ann}/mine.wav');
    """  # noqa: S608
    done = clean_supabase.sql(asked)
    assert f"{ann}/r/0.wav" in done.stdout
    assert bob not in done.stdout
    assert "row-level security" in done.stderr
