"""One job in, chunks out: what reaches the log, whatever the engine does. And a worker's own log against real Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.streams import TOP_ID
from contract import keys
from contract.chunk import FIRST_PART_BYTES, PART_BYTES, Chunk, unpack
from contract.errors import SpeechCancelled, SpeechError
from contract.job import SpeechJob
from contract.voice import Voice
from tests.fakes import CounterEngine, WanderingEngine, counter_pcm, rendering_pcm
from tests.harness import Stack
from workers.pcm import seamed
from workers.streams import SentenceLog, connect
from workers.synthesis import speak

JOB = SpeechJob("s", 0, 0, 1, "A sentence of some length.", Voice(), "Ava", "inbox")


class Shelf:
    """A log in memory."""

    def __init__(self, accepts: bool = True, refuses_after: int = 10_000) -> None:
        self.chunks: list[Chunk] = []
        self.errors: list[SpeechError] = []
        self.accepts = accepts
        self.refuses_after = refuses_after
        self.repeatable: list[bool] = []
        self.cached: list[bool] = []

    def claim(self, *, is_repeatable: bool, is_cached: bool = False) -> bool:
        self.repeatable.append(is_repeatable)
        self.cached.append(is_cached)
        return self.accepts

    def append(self, chunk: Chunk, *, is_cached: bool = False) -> None:
        if len(self.chunks) >= self.refuses_after:
            raise SpeechCancelled
        self.chunks.append(chunk)

    def fail(self, error: SpeechError, after_part: int) -> None:
        assert after_part >= len(self.chunks)
        self.errors.append(error)

    def raise_if_stopped(self) -> None: ...

    def close(self) -> None: ...


def test_a_sentence_becomes_parts_on_the_grid_and_one_end() -> None:
    shelf = Shelf()
    assert speak(JOB, CounterEngine(), shelf) == "spoken"
    assert b"".join(chunk.pcm for chunk in shelf.chunks) == counter_pcm(JOB.text)
    assert [chunk.part for chunk in shelf.chunks] == list(range(len(shelf.chunks)))
    assert [len(chunk.pcm) for chunk in shelf.chunks[:2]] == [FIRST_PART_BYTES, PART_BYTES]
    assert [chunk.last for chunk in shelf.chunks] == [False] * (len(shelf.chunks) - 1) + [True]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 30))
def test_an_attempt_goes_on_where_the_last_one_fell_silent(from_part: int) -> None:
    whole, rest = Shelf(), Shelf()
    speak(JOB, CounterEngine(), whole)
    speak(replace(JOB, attempt=2, from_part=from_part), CounterEngine(), rest)
    got = whole.chunks[:from_part] + rest.chunks
    assert b"".join(chunk.pcm for chunk in got) == counter_pcm(JOB.text)
    assert got[-1].last
    assert rest.chunks[0].part == from_part


def test_an_attempt_behind_a_seam_says_the_sentence_from_its_start_under_the_numbers_that_are_missing() -> None:
    shelf = Shelf()
    assert speak(replace(JOB, attempt=2, from_part=5, seam=-700), WanderingEngine(), shelf) == "spoken"
    said = b"".join(chunk.pcm for chunk in shelf.chunks)
    assert said == b"".join(seamed([rendering_pcm(JOB.text, 1)], -700))
    assert [chunk.part for chunk in shelf.chunks] == list(range(5, 5 + len(shelf.chunks)))
    assert shelf.chunks[-1].last


def test_a_job_that_is_stale_never_starts() -> None:
    class Untouchable(CounterEngine):
        def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
            raise AssertionError("the engine was started")

    assert speak(JOB, Untouchable(), Shelf(accepts=False)) == "stale"


@pytest.mark.parametrize(("word", "code"), [("explode", "engine_failed"), ("crash", "engine_failed")])
def test_an_engine_that_breaks_says_so_in_the_log_and_never_breaks_the_worker(word: str, code: str) -> None:
    shelf = Shelf()
    assert speak(replace(JOB, text=f"Now {word} please."), CounterEngine(), shelf) == "failed"
    assert [error.code for error in shelf.errors] == [code]


def test_an_engine_that_cannot_clone_refuses_a_recorded_voice_and_names_what_can() -> None:
    class Plain(CounterEngine):
        clones = False

    shelf = Shelf()
    assert speak(replace(JOB, voice=Voice(anchor="voice_" + 32 * "a")), Plain(), shelf) == "failed"
    assert [(error.code, "higgs" in error.text) for error in shelf.errors] == [("voice_unknown", True)]


def test_a_silent_engine_ends_its_sentence_with_an_empty_part() -> None:
    shelf = Shelf()
    assert speak(replace(JOB, text="Be mute now."), CounterEngine(), shelf) == "spoken"
    assert shelf.chunks == [Chunk(0, 0, 0, 1, b"", last=True)]


def test_a_cancelled_sentence_stops_within_one_chunk_and_closes_the_engine() -> None:
    closed = []

    class Endless(CounterEngine):
        def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
            try:
                while True:
                    yield b"\0" * PART_BYTES
            finally:
                closed.append(True)

    shelf = Shelf(refuses_after=5)
    assert speak(JOB, Endless(), shelf) == "cancelled"
    assert len(shelf.chunks) == 5
    assert closed


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    stack = Stack(tmp_path_factory.mktemp("redis"))
    stack.start_redis()
    yield stack.redis_url
    stack.stop()


_turns = iter(range(1_000_000))


@pytest.fixture
def job(redis_url: str) -> SpeechJob:
    fresh = replace(JOB, turn=next(_turns))
    redis = connect(redis_url)
    redis.xadd("inbox", {"o": b""})
    redis.xadd(keys.sentence("s", fresh.turn, 0), {"o": b""}, id="1-0")
    redis.close()
    return fresh


def log_of(redis_url: str, job: SpeechJob) -> SentenceLog:
    return SentenceLog(connect(redis_url), job, "w")


def frames(redis_url: str, job: SpeechJob) -> list[Chunk]:
    redis = connect(redis_url)
    entries = redis.xrange(keys.sentence("s", job.turn, 0))
    redis.close()
    return [unpack(fields[b"f"]) for _, fields in entries if b"f" in fields]


def test_redis_lets_only_one_worker_speak_an_attempt(redis_url: str, job: SpeechJob) -> None:
    first, second = log_of(redis_url, job), log_of(redis_url, job)
    assert [first.claim(is_repeatable=True), second.claim(is_repeatable=True)] == [True, False]
    first.close()


def test_a_worker_that_wakes_up_after_the_fence_is_refused_at_its_next_chunk(redis_url: str, job: SpeechJob) -> None:
    log = log_of(redis_url, job)
    assert log.claim(is_repeatable=True)
    log.append(Chunk(job.turn, 0, 0, 1, b"aa"))
    connect(redis_url).xadd(keys.sentence("s", job.turn, 0), {"o": b""}, id="2-0")
    log.append(Chunk(job.turn, 0, 1, 1, b"bb"))
    log.close()
    with pytest.raises(SpeechCancelled):
        log.append(Chunk(job.turn, 0, 2, 1, b"cc"))
    assert [chunk.pcm for chunk in frames(redis_url, job)] == [b"aa"]
    later = log_of(redis_url, replace(job, attempt=2))
    assert later.claim(is_repeatable=True)
    later.close()


def test_after_a_tombstone_the_engine_makes_no_more_than_the_block_in_hand(redis_url: str, job: SpeechJob) -> None:
    made: list[int] = []
    redis = connect(redis_url)

    class Paced(CounterEngine):
        def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
            for block in range(40):
                if block == 10:
                    redis.xadd(keys.sentence("s", job.turn, 0), {"f": b""}, id=TOP_ID)
                made.append(block)
                yield b"\1\0" * (PART_BYTES // 2)
                time.sleep(0.1)

    assert speak(job, Paced(), log_of(redis_url, job)) == "cancelled"
    redis.close()
    assert made[-1] <= 11


def test_a_job_whose_stream_is_gone_is_dropped(redis_url: str, job: SpeechJob) -> None:
    connect(redis_url).delete(keys.sentence("s", job.turn, 0))
    assert not log_of(redis_url, job).claim(is_repeatable=True)


def test_everything_that_is_handed_over_is_written_once_and_in_order(redis_url: str, job: SpeechJob) -> None:
    assert speak(job, CounterEngine(), log_of(redis_url, job)) == "spoken"
    assert b"".join(chunk.pcm for chunk in frames(redis_url, job)) == counter_pcm(job.text)


def test_a_worker_that_has_nothing_to_show_yet_says_that_it_lives(redis_url: str, job: SpeechJob) -> None:
    redis = connect(redis_url)
    log = log_of(redis_url, job)
    assert log.claim(is_repeatable=True)
    deadline = time.monotonic() + 5
    while sum(b"b" in fields for _, fields in redis.xrange("inbox")) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    log.close()
    redis.close()
