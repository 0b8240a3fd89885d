"""One engine stands in for another: what fails is passed by, rests, is tried again; no word is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import EngineBusy, EngineFailed, EngineUnavailable, SpeechError, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from tests.fakes import FickleEngine
from workers.tts.breaker import FAILURES, FIRST_REST_S, LONGEST_REST_S, Breaker
from workers.tts.chain import Chain
from workers.tts.engine import VoiceInfo
from workers.tts.registry import make_engine

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
