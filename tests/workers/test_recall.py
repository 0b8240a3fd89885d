"""What a voice has said is gone on from: the last that was heard, of the same voice, and never waited for long."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from contract import keys
from contract.job import SpeechJob
from contract.voice import Voice
from tests.fakes import CounterEngine, RecallingEngine, counter_pcm
from tests.harness import Stack, wait_until
from tests.workers.test_synthesis import Shelf
from workers.cache import Cache
from workers.recall.said import WAIT_S, Memory, read_spoken, write_spoken
from workers.streams import connect
from workers.synthesis import speak
from workers.tts.engine import Spoken
from workers.tts.relief.chain import Chain


class Talk:
    """One session, spoken sentence by sentence."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.id = uuid.uuid4().hex
        self.engine = RecallingEngine()
        self.cache: Cache = Cache(None, 0)

    def job(self, turn: int, sentence: int, text: str, **changes: object) -> SpeechJob:
        job = SpeechJob(self.id, turn, sentence, 1, text, Voice(), "Ava", "inbox", "ava", "context")
        return replace(job, **changes)  # type: ignore[arg-type]

    def say(self, turn: int, sentence: int, text: str, **changes: object) -> tuple[list[str], Shelf]:
        """What it went on from, and what came of it."""
        shelf, told = Shelf(), len(self.engine.before)
        speak(self.job(turn, sentence, text, **changes), self.engine, shelf, self.cache, Memory(self.redis))
        return (self.engine.before[told] if len(self.engine.before) > told else []), shelf


@pytest.fixture
def talk(redis: Redis) -> Talk:
    return Talk(redis)


def test_a_sentence_goes_on_from_the_last_two(talk: Talk) -> None:
    said = [talk.say(turn, sentence, f"{turn} {sentence}.")[0] for turn in range(2) for sentence in range(3)]
    assert said == [
        [],
        ["0 0."],
        ["0 0.", "0 1."],
        ["0 1.", "0 2."],
        ["0 2.", "1 0."],
        ["1 0.", "1 1."],
    ]
    assert talk.redis.hlen(keys.spoken(talk.id, "ava", "context")) == keys.SPOKEN_MAX
    assert 0 < talk.redis.ttl(keys.spoken(talk.id, "ava", "context")) <= keys.SPOKEN_LIFETIME_S


@pytest.mark.parametrize(
    "other", [{"context": "after a reset"}, {"speaker": "ben"}, {"session": "another"}, {"context": ""}]
)
def test_another_voice_session_or_context_knows_nothing_of_it(talk: Talk, other: dict[str, object]) -> None:
    talk.say(0, 0, "First.")
    assert talk.say(0, 1, "Second.", **other)[0] == []
    assert talk.say(0, 2, "Third.")[0] == ["First."]


def test_of_a_turn_that_was_cut_off_counts_what_was_heard(talk: Talk) -> None:
    for sentence in range(3):
        talk.say(0, sentence, f"{sentence}.")
    talk.redis.hset(keys.turn(talk.id, 0), keys.UNHEARD, "1")
    assert talk.say(1, 0, "Next.")[0] == ["0."]
    assert talk.say(1, 1, "And next.")[0] == ["0.", "Next."]


def test_what_comes_later_is_not_gone_on_from(talk: Talk) -> None:
    talk.say(0, 2, "Made early.")
    assert talk.say(0, 1, "Made late.")[0] == []


def test_a_cancelled_sentence_is_not_remembered(talk: Talk) -> None:
    shelf = Shelf(refuses_after=1)
    assert speak(talk.job(0, 0, "Nobody wants it."), talk.engine, shelf, memory=Memory(talk.redis)) == "cancelled"
    assert talk.say(0, 1, "Wanted.")[0] == []


def test_the_sentence_before_is_waited_for_while_it_is_being_made(talk: Talk) -> None:
    talk.engine.takes_s = 0.02
    first = threading.Thread(target=talk.say, args=(0, 0, "It has five."))
    first.start()
    assert talk.engine.began.wait(5)
    before, _ = talk.say(0, 1, "After it.")
    first.join()
    # On a machine that is busy it may take longer than anybody waits.
    assert before in (["It has five."], [])
    assert talk.say(0, 2, "Third.")[0][-1] == "After it."


def test_nobody_waits_for_long_or_for_what_is_not_being_made(talk: Talk) -> None:
    began_at = time.monotonic()
    talk.say(0, 7, "Nobody says the one before it.")
    unhindered_s = time.monotonic() - began_at
    talk.redis.set(keys.speaking(talk.id, 0, 8), "ava:context", ex=60)
    began_at = time.monotonic()
    before, shelf = talk.say(0, 9, "Its worker is dead.")
    assert before == ["Nobody says the one before it."]
    assert shelf.chunks[-1].last
    assert WAIT_S <= time.monotonic() - began_at < unhindered_s + WAIT_S + 2


def test_what_goes_on_neither_fills_nor_reads_the_cache_and_what_does_not_does_both(talk: Talk, tmp_path: Path) -> None:
    talk.cache = Cache(tmp_path, 10_000_000)
    _, alone = talk.say(0, 0, "Again.")
    _, after = talk.say(0, 1, "Again.")
    fresh = Talk(talk.redis)
    fresh.cache = talk.cache
    _, kept = fresh.say(0, 0, "Again.")
    pcm = [b"".join(chunk.pcm for chunk in shelf.chunks) for shelf in (alone, after, kept)]
    assert [set(one) for one in pcm] == [{0}, {1}, {0}]
    assert [shelf.cached for shelf in (alone, after, kept)] == [[False], [False], [True]]
    assert [shelf.repeatable for shelf in (alone, after, kept)] == [[True], [False], [True]]
    assert len(talk.engine.before) == 2
    assert fresh.engine.before == []


def test_an_attempt_that_goes_on_in_the_midst_of_another_recalls_nothing(talk: Talk) -> None:
    talk.say(0, 0, "First.")
    _, shelf = talk.say(0, 1, "Second.", attempt=2, from_part=2)
    assert shelf.repeatable == [True]
    assert talk.say(0, 1, "Second.", attempt=2, from_part=2, seam=5)[0] == ["First."]


def test_lines_of_a_render_and_engines_that_cannot_are_left_alone(talk: Talk) -> None:
    talk.say(0, 0, "First.")
    assert talk.say(0, 1, "A line.", lines=2)[0] == []
    shelf = Shelf()
    assert speak(talk.job(0, 1, "Plain."), CounterEngine(), shelf, memory=Memory(talk.redis)) == "spoken"
    assert b"".join(chunk.pcm for chunk in shelf.chunks) == counter_pcm("Plain.")


def test_a_chain_goes_on_with_whoever_can(talk: Talk) -> None:
    recaller = talk.engine
    chain = Chain([recaller, CounterEngine()])
    chain.load()
    for sentence, text in enumerate(["One.", "Two."]):
        assert speak(talk.job(0, sentence, text), chain, Shelf(), memory=Memory(talk.redis)) == "spoken"
    assert recaller.before == [[], ["One."]]


def test_without_redis_it_speaks_all_the_same(talk: Talk) -> None:
    talk.redis = connect("redis://127.0.0.1:1/0")
    before, shelf = talk.say(0, 1, "Alone.")
    assert before == []
    assert shelf.chunks[-1].last


def test_what_another_engine_has_made_or_nobody_is_left_out(talk: Talk) -> None:
    key = keys.spoken(talk.id, "ava", "context")
    other = write_spoken(Spoken("Theirs.", np.zeros((4, 3), np.uint16)), "another")
    talk.redis.hset(key, mapping={"0:0": other, "0:1": "{}", "0:2": "rubbish", "0:3": '{"engine": "recaller"}'})
    assert talk.say(1, 0, "Mine.")[0] == []


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=40), st.integers(1, 8), st.lists(st.integers(0, 1023), min_size=1, max_size=40))
def test_what_is_written_is_read_as_it_was(text: str, books: int, row: list[int]) -> None:
    spoken = Spoken(text, np.array([row] * books, np.uint16))
    again = read_spoken(write_spoken(spoken, "higgs"), "higgs")
    assert again.text == text
    assert (again.codes == spoken.codes).all()
    with pytest.raises(ValueError, match="codes of higgs"):
        read_spoken(write_spoken(spoken, "higgs"), "another")


async def test_the_api_writes_down_what_was_not_heard(stack: Stack) -> None:
    async with stack.listen() as client:
        await client.send(type="chat", text="SAY 80 One is heard. " + "Two is begun, slowly and at length. " * 6)
        await client.until("sentence", sentence=1, state="speaking")
        await client.send(type="interrupt", turn=0, heard={"sentence": 1, "ms": 40})
        await client.until("interrupt_acknowledged")
        session = client.messages("session")[0]["session_id"]

    def unheard() -> bytes | None:
        with Redis.from_url(stack.redis_url) as redis:
            return redis.hget(keys.turn(session, 0), keys.UNHEARD)  # type: ignore[return-value]

    assert wait_until(unheard, "the api to write it down") == b"1"
