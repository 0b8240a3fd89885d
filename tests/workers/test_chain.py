"""One engine stands in for another: what fails is passed by, rests, is tried again; no word is lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.audio import bytes_to_ms
from contract.errors import EngineBusy, EngineFailed, EngineUnavailable, SpeechError, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from tests.conftest import model_env
from tests.fakes import FakeModelServer, FickleEngine, counter_pcm
from tests.harness import Stack, wait_until
from tests.workers.test_synthesis import JOB, Shelf
from workers.cache import Cache
from workers.synthesis import speak
from workers.tts.engine import VoiceInfo
from workers.tts.registry import make_engine
from workers.tts.relief.breaker import FAILURES, FIRST_REST_S, LONGEST_REST_S, Breaker
from workers.tts.relief.chain import Chain
from workers.tts.relief.watched import Watched

ANNA = VoiceInfo("anna", "Anna", "en-us", "female")
BERT = VoiceInfo("bert", "Bert", "en-us", "male")
CLARA = VoiceInfo("clara", "Clara", "en-gb", "female")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def first() -> FickleEngine:
    return FickleEngine("first", [ANNA, BERT])


@pytest.fixture
def second() -> FickleEngine:
    return FickleEngine("second", [BERT, CLARA])


@pytest.fixture
def chain(first: FickleEngine, second: FickleEngine, clock: Clock) -> Chain:
    made = Chain([first, second], clock)
    made.load()
    return made


def said(chain: Chain, voice: Voice | None = None, text: str = "It rains.") -> list[bytes]:
    return list(chain.speak(text, voice or Voice(), 1))


def states(chain: Chain) -> dict[str, str]:
    return {health["engine"]: health["state"] for health in chain.health()}


def test_the_first_engine_speaks_while_it_can(chain: Chain, first: FickleEngine, second: FickleEngine) -> None:
    assert said(chain)
    assert (len(first.spoken), len(second.spoken)) == (1, 0)


@pytest.mark.parametrize("error", [EngineFailed(), EngineUnavailable(), EngineBusy("", 30), ZeroDivisionError()])
def test_what_fails_before_its_first_sound_is_passed_by(
    chain: Chain, first: FickleEngine, second: FickleEngine, error: Exception
) -> None:
    first.error = error
    assert said(chain) == second.blocks
    assert len(second.spoken) == 1


def test_an_engine_without_a_sound_is_passed_by(chain: Chain, first: FickleEngine, second: FickleEngine) -> None:
    first.blocks = []
    assert said(chain) == second.blocks


def test_two_voices_never_share_a_sentence(chain: Chain, first: FickleEngine, second: FickleEngine) -> None:
    first.error, first.fails_after = ZeroDivisionError(), 1
    blocks = chain.speak("It rains.", Voice(), 1)
    assert next(blocks) == first.blocks[0]
    with pytest.raises(EngineFailed):
        list(blocks)
    assert not second.spoken


def test_the_next_attempt_at_a_sentence_that_broke_off_is_another_engines(
    chain: Chain, first: FickleEngine, second: FickleEngine
) -> None:
    first.error, first.fails_after = EngineFailed(), 1
    with pytest.raises(EngineFailed):
        said(chain)
    assert said(chain) == second.blocks


def test_a_trial_that_is_cancelled_is_no_trial(chain: Chain, first: FickleEngine, clock: Clock) -> None:
    first.error = EngineBusy("Too many.", 20)
    said(chain)
    first.error = None
    for _ in range(2):
        clock.now += 30
        blocks = chain.speak("It rains.", Voice(), 1)
        assert next(blocks) == first.blocks[0]
        blocks.close()  # type: ignore[attr-defined]
    assert said(chain) == first.blocks
    assert states(chain)["first"] == "ok"


def test_closing_closes_the_engine_that_speaks(chain: Chain, first: FickleEngine) -> None:
    blocks = chain.speak("It rains.", Voice(), 1)
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    assert first.closed == 1


def test_what_fails_again_and_again_rests_and_is_tried_again(
    chain: Chain, first: FickleEngine, second: FickleEngine, clock: Clock
) -> None:
    first.error = EngineFailed("It is out of order.")
    for _ in range(FAILURES + 2):
        assert said(chain) == second.blocks
    assert len(first.spoken) == FAILURES
    assert chain.health()[0] == {"engine": "first", "state": "resting", "why": "It is out of order."}
    first.error = None
    clock.now += FIRST_REST_S + 1
    assert said(chain) == first.blocks
    assert states(chain) == {"first": "ok", "second": "ok"}


def test_an_engine_that_says_for_how_long_is_left_alone_at_once(
    chain: Chain, first: FickleEngine, clock: Clock
) -> None:
    first.error = EngineBusy("Too many.", 60)
    said(chain)
    said(chain)
    clock.now += 59
    said(chain)
    assert len(first.spoken) == 1
    clock.now += 2
    said(chain)
    assert len(first.spoken) == 2


def test_when_all_fail_the_first_failure_is_told_and_nobody_is_given_up(
    chain: Chain, first: FickleEngine, second: FickleEngine
) -> None:
    first.error, second.error = EngineFailed("first"), EngineFailed("second")
    for _ in range(FAILURES + 3):
        with pytest.raises(EngineFailed, match="first"):
            said(chain)
    assert states(chain) == {"first": "resting", "second": "resting"}
    second.error = None
    assert said(chain) == second.blocks


def test_a_sentence_that_is_to_blame_itself_is_no_failure(chain: Chain, first: FickleEngine) -> None:
    first.error = TextUnspeakable()
    for _ in range(FAILURES + 1):
        said(chain)
    assert states(chain)["first"] == "ok"


def test_a_voice_is_spoken_by_the_engine_that_has_it(chain: Chain, first: FickleEngine, second: FickleEngine) -> None:
    first.knows_others = False
    said(chain, Voice("clara", language="en-gb"))
    assert second.spoken == [Voice("clara", language="en-gb")]


def test_a_stand_in_is_of_the_same_gender_and_language(chain: Chain, first: FickleEngine, second: FickleEngine) -> None:
    first.error = EngineFailed()
    said(chain, Voice("anna", rate=1.5))
    assert second.spoken == [Voice("clara", language="en-gb", rate=1.5)]


def test_a_mixture_that_only_the_broken_engine_knows_is_spoken_all_the_same(
    chain: Chain, first: FickleEngine, second: FickleEngine
) -> None:
    first.error, second.knows_others = EngineFailed(), False
    assert said(chain, Voice("anna+bert(2)")) == second.blocks
    assert second.spoken[-1].name == "default"


def test_a_voice_that_nobody_has_is_refused(chain: Chain, first: FickleEngine, second: FickleEngine) -> None:
    first.knows_others = second.knows_others = False
    with pytest.raises(VoiceUnknown):
        said(chain, Voice("nobody"))
    assert states(chain) == {"first": "ok", "second": "ok"}


def test_a_voice_may_name_who_comes_first(chain: Chain, first: FickleEngine, second: FickleEngine) -> None:
    said(chain, Voice("bert", engine="second"))
    assert (len(first.spoken), len(second.spoken)) == (0, 1)
    second.error = EngineFailed()
    assert said(chain, Voice("bert", engine="second")) == first.blocks


def test_a_voice_may_have_a_chain_of_its_own(chain: Chain, first: FickleEngine, second: FickleEngine) -> None:
    said(chain, Voice(engine="second,first"))
    assert (len(first.spoken), len(second.spoken)) == (0, 1)
    with pytest.raises(VoiceUnknown):
        said(chain, Voice(engine="third,fourth"))


def test_what_cannot_be_loaded_is_left_out_and_named(first: FickleEngine, second: FickleEngine, clock: Clock) -> None:
    first.missing = "Its file is missing."
    made = Chain([first, second], clock)
    made.load()
    assert [voice.name for voice in made.voices()] == ["bert", "clara"]
    assert {voice.engine for voice in made.voices()} == {"second"}
    assert made.health()[0] == {"engine": "first", "state": "missing", "why": "Its file is missing."}
    assert said(made, Voice("anna", engine="first")) == second.blocks


def test_a_chain_of_nothing_says_what_would_mend_the_first(first: FickleEngine, second: FickleEngine) -> None:
    first.missing, second.missing = "Its file is missing.", "So is this one."
    with pytest.raises(EngineUnavailable, match="Its file"):
        Chain([first, second]).load()


def test_a_chain_needs_the_strictest_pool(first: FickleEngine, second: FickleEngine) -> None:
    assert Chain([first, second]).pool == "solo"
    second.pool = "threads"
    assert Chain([first, second]).pool == "threads"
    first.pool = "prefork"
    assert Chain([first, second]).pool == "prefork"


def test_names_with_commas_between_are_a_chain() -> None:
    made = make_engine("openai_speech,espeak")
    assert (made.name, made.repeatable) == ("openai_speech,espeak", False)
    with pytest.raises(EngineUnavailable, match="nobody"):
        make_engine("espeak,nobody")


STEPS = st.lists(st.tuples(st.booleans(), st.floats(0, 400)), max_size=60)


@given(STEPS)
def test_a_breaker_never_rests_for_longer_than_its_bound(steps: list[tuple[bool, float]]) -> None:
    breaker, now = Breaker(), 0.0
    for fails, later_s in steps:
        if breaker.allows(now):
            breaker.fail(now, "x") if fails else breaker.succeed()
        assert breaker.rests_s(now) <= LONGEST_REST_S
        now += later_s
    assert breaker.allows(now + LONGEST_REST_S)


def test_rests_grow_and_a_success_ends_them() -> None:
    breaker, now, rests = Breaker(), 0.0, []
    for _ in range(FAILURES):
        breaker.fail(now, "x")
    for _ in range(7):
        rests.append(breaker.rests_s(now))
        now += rests[-1]
        assert breaker.allows(now)
        assert not breaker.allows(now), "one trial at a time"
        breaker.fail(now, "x")
    assert rests == sorted(rests)
    assert rests[-1] == LONGEST_REST_S
    breaker.succeed()
    assert breaker.allows(now)


@given(st.sampled_from([EngineFailed(), EngineUnavailable(), VoiceUnknown(), KeyError("x"), OSError("x")]))
def test_only_a_speech_error_leaves_a_chain(error: Exception) -> None:
    broken = FickleEngine("broken", [ANNA])
    broken.error = error
    made = Chain([broken, broken])
    made.load()
    with pytest.raises(SpeechError):
        said(made)


# what is kept


@pytest.fixture
def kept(first: FickleEngine, second: FickleEngine, tmp_path: Path) -> Cache:
    """A cache, and two engines whose sound can be told apart."""
    for number, engine in enumerate((first, second)):
        engine.version, engine.blocks = "1", [bytes([number + 1, 0]) * 960] * 3
    return Cache(tmp_path / "cache", 2**24)


def spoken(chain: Chain, cache: Cache, **changes: Any) -> tuple[str, bytes]:
    shelf = Shelf()
    outcome = speak(replace(JOB, **changes), chain, shelf, cache)
    return outcome, b"".join(chunk.pcm for chunk in shelf.chunks)


def test_a_chain_says_again_what_its_first_engine_said(chain: Chain, first: FickleEngine, kept: Cache) -> None:
    once, again = spoken(chain, kept), spoken(chain, kept)
    assert (once[0], again[0]) == ("spoken", "cached")
    assert once[1] == again[1] == b"".join(first.blocks)


def test_what_stood_in_is_never_taken_for_the_engine_itself(
    chain: Chain, first: FickleEngine, second: FickleEngine, kept: Cache
) -> None:
    first.error = EngineFailed()
    assert spoken(chain, kept) == ("spoken", b"".join(second.blocks))
    first.error = None
    assert spoken(chain, kept) == ("spoken", b"".join(first.blocks))
    assert spoken(chain, kept)[0] == "cached"


def test_what_a_resting_engine_said_before_is_still_its_own(
    chain: Chain, first: FickleEngine, second: FickleEngine, kept: Cache
) -> None:
    mine = spoken(chain, kept)[1]
    first.error = EngineBusy("Too many.", 60)
    assert spoken(chain, kept, text="Something else.")[1] == b"".join(second.blocks)
    assert states(chain)["first"] == "resting"
    assert spoken(chain, kept) == ("cached", mine)


def test_a_chain_and_its_engine_alone_share_what_is_kept(chain: Chain, first: FickleEngine, kept: Cache) -> None:
    assert spoken(chain, kept)[0] == "spoken"
    assert speak(JOB, first, Shelf(), kept) == "cached"


def test_each_voice_is_kept_under_the_engine_that_has_it(
    chain: Chain, first: FickleEngine, second: FickleEngine, kept: Cache
) -> None:
    clara = replace(JOB.voice, name="clara")
    assert spoken(chain, kept, voice=clara) == ("spoken", b"".join(second.blocks))
    assert spoken(chain, kept, voice=clara)[0] == "cached"
    second.error = EngineFailed()
    assert spoken(chain, kept, voice=clara, text="Something else.")[1] == b"".join(first.blocks)
    second.error = None
    assert spoken(chain, kept, voice=clara, text="Something else.") == ("spoken", b"".join(second.blocks))


# one alone


def test_an_engine_alone_rests_for_all_to_see_and_is_asked_all_the_same(first: FickleEngine, clock: Clock) -> None:
    watched = Watched(first, clock)
    watched.load()
    assert watched.health() == [{"engine": "first", "state": "ok"}]
    first.error = EngineFailed("It is out of order.")
    for _ in range(FAILURES):
        with pytest.raises(EngineFailed):
            list(watched.speak("It rains.", Voice(), 1))
    assert watched.health() == [{"engine": "first", "state": "resting", "why": "It is out of order."}]
    first.error = None
    assert list(watched.speak("It rains.", Voice(), 1)) == first.blocks
    assert watched.health() == [{"engine": "first", "state": "ok"}]


def test_what_is_the_sentences_own_fault_makes_no_engine_rest(first: FickleEngine, clock: Clock) -> None:
    watched = Watched(first, clock)
    first.error = TextUnspeakable()
    for _ in range(2 * FAILURES):
        with pytest.raises(TextUnspeakable):
            list(watched.speak("…", Voice(), 1))
    first.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        list(watched.speak("It rains.", Voice(), 1))
    blocks = watched.speak("It rains.", Voice(), 1)
    blocks.close()  # type: ignore[attr-defined]
    assert watched.health() == [{"engine": "first", "state": "ok"}]


# real workers


async def test_a_broken_engine_costs_no_sentence_and_everybody_sees_it_rest(
    tmp_path: Path, model: FakeModelServer
) -> None:
    env = {**model_env(model), "CUELINE_CACHE_MB": "64"}
    stack = Stack(tmp_path, engine="tests.fakes:CounterEngine,espeak", env=env)
    try:
        stack.start(workers=1)
        assert stack.get("/readyz")[1]["engines"] == {"counter": "ok", "espeak": "ok"}
        async with stack.listen() as client:
            await client.send(type="settings", voice="default")
            whole = await client.ask("SAY This is said by the first one.")
            assert client.pcm(whole) == counter_pcm("This is said by the first one.")
            for number in range(FAILURES):
                broken = await client.ask(f"SAY Now explode please, number {number}.")
                assert 1_000 < bytes_to_ms(len(client.pcm(broken))) < 4_000
            assert not client.messages("error")
            states = {"counter": "resting", "espeak": "ok"}
            await asyncio.to_thread(
                wait_until, lambda: stack.get("/readyz")[1]["engines"] == states, "the engine to be seen resting"
            )
            other = await client.ask("SAY This is said by the other one.")
            assert client.pcm(other) not in (b"", counter_pcm("This is said by the other one."))
            again = await client.ask("SAY This is said by the first one.")
            assert client.pcm(again) == client.pcm(whole), "kept of the one that rests"
            assert client.messages("sentence", state="done", turn=again)[0]["cached"]
    finally:
        stack.stop()
