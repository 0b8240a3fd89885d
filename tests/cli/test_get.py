"""`cueline get` brings a file whole and as it was published, or says in a sentence why not."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.weights import fetch as fetching
from cli.weights.fetch import FetchFailed, fetch
from cli.weights.table import TABLE, File
from tests.cli.runs import Cueline, free_port
from tests.fakes import FakeShelf

CONTENT = random.Random(8).randbytes(3_000_000)


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeShelf]:
    monkeypatch.setattr(fetching, "PAUSE_S", 0.01)
    server = FakeShelf(CONTENT)
    yield server
    server.stop()


def published(url: str, content: bytes = CONTENT) -> File:
    return File("weights.bin", f"{url}/weights.bin", len(content), hashlib.sha256(content).hexdigest())


def bring(file: File, folder: Path) -> list[tuple[int, int]]:
    told: list[tuple[int, int]] = []
    assert fetch(file, folder, lambda have, whole: told.append((have, whole))) == folder / "weights.bin"
    assert (folder / "weights.bin").read_bytes() == CONTENT
    assert [path.name for path in folder.iterdir()] == ["weights.bin"]
    return told


def test_a_file_comes_whole_and_tells_how_far_it_is(shelf: FakeShelf, tmp_path: Path) -> None:
    told = bring(published(shelf.url), tmp_path / "new" / "folder")
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert told == sorted(told)


def test_what_is_there_is_not_fetched_again(shelf: FakeShelf, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(CONTENT)
    assert bring(published(shelf.url), tmp_path) == []
    assert shelf.asked == []


def test_a_line_that_breaks_is_gone_on_with_where_it_broke(shelf: FakeShelf, tmp_path: Path) -> None:
    shelf.cuts, shelf.cut_after = 5, 500_000
    bring(published(shelf.url), tmp_path)
    assert len(shelf.asked) == 6
    assert shelf.asked[:2] == ["", "bytes=500000-"]
    assert shelf.asked[5] == "bytes=2500000-"


def test_a_line_that_brings_nothing_more_is_given_up_and_what_came_is_kept(shelf: FakeShelf, tmp_path: Path) -> None:
    (tmp_path / "weights.bin.part").write_bytes(CONTENT[:1_000_000])
    shelf.cuts, shelf.cut_after = 1000, 0
    with pytest.raises(FetchFailed, match=r"broke off .* 1\.0 MB of weights\.bin are kept"):
        fetch(published(shelf.url), tmp_path, lambda *_: None)
    assert len(shelf.asked) == fetching.TRIES
    shelf.cuts = 0
    bring(published(shelf.url), tmp_path)
    assert shelf.asked[-1] == "bytes=1000000-"


def test_a_server_that_knows_no_ranges_is_heard_from_the_start(shelf: FakeShelf, tmp_path: Path) -> None:
    shelf.cuts, shelf.cut_after, shelf.ignores_ranges = 1, 500_000, True
    bring(published(shelf.url), tmp_path)


def test_a_server_that_is_busy_is_asked_again(shelf: FakeShelf, tmp_path: Path) -> None:
    shelf.status = 503
    with pytest.raises(FetchFailed, match="answers 503"):
        fetch(published(shelf.url), tmp_path, lambda *_: None)
    assert len(shelf.asked) == fetching.TRIES


def test_a_file_that_is_gone_is_told_at_once(shelf: FakeShelf, tmp_path: Path) -> None:
    shelf.status = 404
    with pytest.raises(FetchFailed, match="answers 404"):
        fetch(published(shelf.url), tmp_path, lambda *_: None)
    assert len(shelf.asked) == 1


def test_wrong_bytes_never_get_the_name_and_are_not_gone_on_with(shelf: FakeShelf, tmp_path: Path) -> None:
    shelf.content = b"!" + CONTENT[1:]
    with pytest.raises(FetchFailed, match="not what was published"):
        fetch(published(shelf.url), tmp_path, lambda *_: None)
    assert not (tmp_path / "weights.bin").exists()
    shelf.content = CONTENT
    bring(published(shelf.url), tmp_path)
    assert shelf.asked == ["", ""]


def test_a_file_without_end_is_stopped(shelf: FakeShelf, tmp_path: Path) -> None:
    small = published(shelf.url, CONTENT[:1000])
    with pytest.raises(FetchFailed, match="larger than"):
        fetch(small, tmp_path, lambda *_: None)
    assert (tmp_path / "weights.bin.part").stat().st_size == 0


def test_without_a_network_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PAUSE_S", 0.01)
    with pytest.raises(FetchFailed, match=r"127\.0\.0\.1 cannot be reached: is this machine on the internet"):
        fetch(published(f"http://127.0.0.1:{free_port()}"), tmp_path, lambda *_: None)


def test_where_nothing_can_be_written_it_says_so(shelf: FakeShelf, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(FetchFailed, match="cannot be written"):
        fetch(published(shelf.url), tmp_path / "file", lambda *_: None)


def test_what_can_be_had_is_listed_and_a_stranger_is_told(cueline: Cueline) -> None:
    listed = cueline("get")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == list(TABLE)
    unknown = cueline("get", "nonsense")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "kokoro" in unknown.stderr


def test_every_file_has_an_address_of_its_own_and_a_checksum() -> None:
    files = [file for weights in TABLE.values() for file in weights.files]
    assert len({file.url for file in files}) == len(files)
    for file in files:
        assert file.url.startswith("https://")
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
