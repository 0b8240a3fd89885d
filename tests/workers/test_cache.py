"""What was said once is not made again: the same parts, whole or not at all, within a bound, whatever the disk does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contract.voice import Voice
from tests.fakes import CounterEngine, WanderingEngine, counter_pcm
from tests.workers.test_synthesis import JOB, Shelf
from workers.cache import WAIT_S, Cache
from workers.synthesis import speak

MIB = 1024 * 1024


class CountedEngine(CounterEngine):
    def __init__(self) -> None:
        self.said: list[str] = []

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        self.said.append(text)
        yield from super().speak(text, voice, seed)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", 64 * MIB)


def kept(folder: Path) -> list[Path]:
    return list((folder / "cache").glob("??/*"))


def test_the_second_time_nobody_makes_it_and_the_parts_are_the_same(cache: Cache, tmp_path: Path) -> None:
    engine, first, second, rest = CountedEngine(), Shelf(), Shelf(), Shelf()
    assert speak(JOB, engine, first, cache) == "spoken"
    assert speak(replace(JOB, session="another", character="Ben"), engine, second, cache) == "cached"
    assert speak(replace(JOB, attempt=2, from_part=4), engine, rest, cache) == "cached"
    assert engine.said == [JOB.text]
    assert first.chunks == second.chunks
    assert [chunk.pcm for chunk in rest.chunks] == [chunk.pcm for chunk in first.chunks[4:]]
    assert (first.cached, second.cached) == ([False], [True])
    assert len(kept(tmp_path)) == 1, "nothing is left over"


def test_another_text_voice_engine_or_version_is_another_sound(cache: Cache) -> None:
    class Newer(CounterEngine):
        version = "2"

    class Unknown(CounterEngine):
        version = ""

    voice = replace(JOB.voice, rate=1.1)
    for _ in range(2):
        for job in (JOB, replace(JOB, text="Something else."), replace(JOB, voice=voice)):
            speak(job, CounterEngine(), Shelf(), cache)
    for engine in (Newer(), WanderingEngine(), Unknown(), Unknown()):
        assert speak(JOB, engine, Shelf(), cache) == "spoken"


@pytest.mark.parametrize(("text", "refuses_after"), [("Now explode please.", 99), ("Be mute now.", 99), (JOB.text, 2)])
def test_what_did_not_come_to_its_end_is_not_kept(cache: Cache, tmp_path: Path, text: str, refuses_after: int) -> None:
    speak(replace(JOB, text=text), CounterEngine(), Shelf(refuses_after=refuses_after), cache)
    assert kept(tmp_path) == []


def test_what_is_kept_of_an_engine_that_is_not_repeatable_promises_no_more_than_the_engine(cache: Cache) -> None:
    """Its next attempt may be made where it is not kept: it has to begin anew, or behind a seam."""
    first, second, behind = Shelf(), Shelf(), Shelf()
    speak(JOB, WanderingEngine(), first, cache)
    speak(JOB, WanderingEngine(), second, cache)
    speak(replace(JOB, attempt=2, from_part=3, seam=5), WanderingEngine(), behind, cache)
    assert first.chunks == second.chunks
    assert second.repeatable == [False]
    assert behind.chunks[0].part == 3
    assert len(behind.chunks) >= len(first.chunks)


def test_a_torn_file_is_made_again(cache: Cache, tmp_path: Path) -> None:
    speak(JOB, CounterEngine(), Shelf(), cache)
    for path in kept(tmp_path):
        path.write_bytes(path.read_bytes()[:-100])
    shelf = Shelf()
    assert speak(JOB, CounterEngine(), shelf, cache) == "spoken"
    assert b"".join(chunk.pcm for chunk in shelf.chunks) == counter_pcm(JOB.text)
    assert speak(JOB, CounterEngine(), Shelf(), cache) == "cached"


def test_a_disk_that_takes_nothing_costs_the_cache_and_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    cache = Cache(tmp_path / "cache", 64 * MIB)
    for _ in range(3):
        assert speak(JOB, CounterEngine(), Shelf(), cache) == "spoken"
    assert len(caplog.records) == 1


def test_the_least_recently_used_is_forgotten_and_the_rest_fits(tmp_path: Path) -> None:
    cache, size = Cache(tmp_path / "cache", MIB), len(counter_pcm(JOB.text))
    count = 3 * MIB // size
    used_often = replace(JOB, text="It is always wanted again.")
    for number in range(count):
        speak(replace(JOB, text=f"{JOB.text[:-4]} {number:03}"), CounterEngine(), Shelf(), cache)
        assert speak(used_often, CounterEngine(), Shelf(), cache) == ("cached" if number else "spoken")
        if number % 8 == 0:
            cache.sweep()
    cache.sweep()
    assert sum(path.stat().st_size for path in kept(tmp_path)) <= MIB
    assert speak(replace(JOB, text=f"{JOB.text[:-4]} {count - 1:03}"), CounterEngine(), Shelf(), cache) == "cached"
    assert speak(replace(JOB, text=f"{JOB.text[:-4]} 000"), CounterEngine(), Shelf(), cache) == "spoken"


def test_a_line_waits_for_who_makes_the_same_and_talk_does_not(cache: Cache, tmp_path: Path) -> None:
    under_way, may_end = threading.Event(), threading.Event()

    class Slow(CountedEngine):
        def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
            under_way.set()
            may_end.wait(10)
            yield from super().speak(text, voice, seed)

    slow, engine, line, shelves = Slow(), CountedEngine(), replace(JOB, lines=3), (Shelf(), Shelf())
    first = threading.Thread(target=speak, args=(line, slow, shelves[0], cache))
    first.start()
    assert under_way.wait(10)
    assert speak(JOB, engine, Shelf(), Cache(cache._folder, MIB)) == "spoken", "talk waits for nobody"
    other = replace(line, text="Another sentence, of some length too.")
    began = time.monotonic()
    assert speak(other, CountedEngine(), Shelf(), Cache(cache._folder, MIB)) == "spoken"
    assert time.monotonic() - began < WAIT_S / 2, "another line does not wait"
    for path in kept(tmp_path):
        path.unlink()
    second = threading.Thread(target=speak, args=(line, engine, shelves[1], Cache(cache._folder, MIB)))
    second.start()
    may_end.set()
    first.join(10)
    second.join(10)
    assert engine.said == [JOB.text], "only talk made it once more"
    assert shelves[0].chunks == shelves[1].chunks
