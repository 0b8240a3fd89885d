"""What is stable, what is believed, in which language, and whether it was all."""

from __future__ import annotations

import pytest

from api.listening.words.agreement import Agreement
from api.listening.words.barge_in import BargeIn, Step, has_words
from api.listening.words.doubt import Sound, believed, sure
from api.listening.words.language import Language
from api.listening.words.turn_end import HOLD_MS, TRAILING_MS, UNFINISHED_MS, TurnEnd
from contract.transcribe import Segment, TranscribeJob, Transcript, Word

CLEAR = Sound(seconds=2.0, voiced_ms=1500, level_dbfs=-25.0)
FAINT = Sound(seconds=0.6, voiced_ms=200, level_dbfs=-40.0)


def heard(text: str, **of_segment: float) -> Transcript:
    return Transcript((Segment(text, 0, 1, **of_segment),), "en", 0.9)


def test_what_two_looks_hear_alike_is_stable_and_stays() -> None:
    agreement = Agreement()
    agreement.update("seven")
    assert (agreement.stable, agreement.content) == ("", "seven")
    agreement.update("Seven two")
    assert (agreement.stable, agreement.content) == ("Seven", "Seven two")
    agreement.update("seven music, one")
    assert (agreement.stable, agreement.content) == ("Seven", "Seven music, one")
    agreement.update("Seven music. One three")
    assert agreement.stable == "Seven music. One"
    agreement.update("")
    assert agreement.stable == agreement.content == "Seven music. One"


@pytest.mark.parametrize(
    ("transcript", "sound"),
    [
        (heard("you", no_speech_prob=0.9, avg_logprob=-0.9), CLEAR),
        (heard("mumble", avg_logprob=-1.3), CLEAR),
        (heard("la la", compression_ratio=2.6), CLEAR),
        (heard("one two one two one two one two one two"), CLEAR),
        (heard("no no no no no no no"), CLEAR),
        (heard("a" * 90), CLEAR),
        (heard("Thank you."), FAINT),
        (heard("Thanks for watching!"), FAINT),
        (heard("hello"), Sound(1.0, 60, -20.0)),
        (heard("hello"), Sound(1.0, 800, -53.0)),
    ],
)
def test_what_is_made_up_is_not_believed(transcript: Transcript, sound: Sound) -> None:
    assert believed(transcript, sound) == ""


@pytest.mark.parametrize(
    ("transcript", "sound"),
    [
        (heard("Thank you."), CLEAR),
        (heard("stop"), FAINT),
        (heard("no no no"), CLEAR),
        (heard("hello", no_speech_prob=0.9, avg_logprob=-0.2), CLEAR),
    ],
)
def test_what_was_said_is_believed(transcript: Transcript, sound: Sound) -> None:
    assert believed(transcript, sound) == transcript.text


def test_only_the_made_up_part_is_left_out() -> None:
    both = Transcript((Segment("It rains.", 0, 1, -0.2), Segment("Bye bye bye", 1, 2, -1.6)), "en", 0.9)
    assert believed(both, CLEAR) == "It rains."
    assert sure(both).segments == both.segments[:1]


@pytest.mark.parametrize(
    ("text", "hold_ms"),
    [
        ("It rains.", HOLD_MS),
        ("Does it?", HOLD_MS),
        ("真的吗？", HOLD_MS),
        ("", HOLD_MS),
        ("I would like to", TRAILING_MS),
        ("It rains and", TRAILING_MS),
        ("Well, um...", TRAILING_MS),
        ("Ich weiß, aber", TRAILING_MS),
        ("first,", TRAILING_MS),
        ("It rains today", UNFINISHED_MS),
    ],
)
def test_a_silence_is_long_enough_for_its_words(text: str, hold_ms: int) -> None:
    turn_end = TurnEnd()
    turn_end.learn("This one writes full stops.")
    assert turn_end.hold_ms(text) == hold_ms


def test_a_recognizer_without_full_stops_is_not_waited_for() -> None:
    turn_end = TurnEnd()
    turn_end.learn("it rains today")
    assert turn_end.hold_ms("it rains today") == HOLD_MS


def test_a_model_of_turns_decides_against_the_words() -> None:
    assert TurnEnd().hold_ms("It rains and", complete=0.9) == HOLD_MS
    assert TurnEnd().hold_ms("It rains.", complete=0.1) > TRAILING_MS


def test_a_language_is_taken_when_it_is_sure() -> None:
    def said(language: str, probability: float) -> Transcript:
        return Transcript((Segment("words", 0, 1),), language, probability)

    language = Language()
    language.learn(said("es", 0.95), voiced_ms=600)
    assert language.code == ""
    language.learn(said("en", 0.6), voiced_ms=2000)
    language.learn(said("de", 0.6), voiced_ms=2000)
    assert language.code == ""
    language.learn(said("de", 0.55), voiced_ms=2000)
    assert language.code == "de"
    language.learn(said("en", 0.99), voiced_ms=9000)
    assert language.code == "de"
    chosen = Language("fr")
    chosen.learn(said("en", 0.99), voiced_ms=9000)
    assert chosen.code == "fr"


@pytest.mark.parametrize("text", ["mhm", "Yeah.", "uh huh, right", "I see.", "", "genau, ja"])
def test_a_sign_of_listening_is_none_of_speaking(text: str) -> None:
    assert not has_words(text)


def barge_in() -> tuple[BargeIn, list[Step]]:
    steps: list[Step] = []
    return BargeIn(steps.append), steps


def test_a_cough_lets_the_reply_go_on() -> None:
    attempt, steps = barge_in()
    attempt.go_on(200)
    assert not attempt.end("")
    assert steps == ["ducked", "resumed"]


def test_a_long_sound_without_words_pauses_the_reply_and_lets_it_go_on() -> None:
    attempt, steps = barge_in()
    attempt.go_on(640)
    attempt.go_on(960)
    assert not attempt.end("mhm")
    assert steps == ["ducked", "held", "resumed"]


def test_words_pause_and_agreed_words_cut_the_reply() -> None:
    attempt, steps = barge_in()
    attempt.take_words("stop", "")
    attempt.take_words("stop it", "stop")
    attempt.go_on(900)
    assert attempt.end("stop it")
    assert steps == ["ducked", "held", "interrupted"]


def test_words_to_the_end_cut_the_reply_even_if_nobody_looked_before() -> None:
    attempt, steps = barge_in()
    assert attempt.end("stop")
    assert steps == ["ducked", "interrupted"]


def test_a_job_and_a_transcript_survive_the_wire() -> None:
    job = TranscribeJob("r", 3, "final", 320, "inbox", "en", "names", 0.2, "words")
    assert TranscribeJob.from_dict({**job.to_dict(), "newer": 1}) == job
    words = (Word("it", 0.1, 0.2), Word("rains", 0.3, 0.5))
    transcript = Transcript((Segment("it rains", 0.1, 0.5, -0.2, 0.01, 1.1, words),), "en", 0.9, 12.5, "whisper")
    read = Transcript.from_dict({**transcript.to_dict(), "newer": 1})
    assert read == transcript
    assert read.text == "it rains"
