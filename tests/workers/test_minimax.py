"""MiniMax as it is when it fails: with a code, a status, in the midst of a sentence, or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from contract.errors import EngineBusy, EngineFailed, EngineUnavailable, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from tests.fakes import FakeMiniMax
from tests.workers.asking import ready, said
from workers.settings import settings
from workers.tts import minimax
from workers.tts.minimax import VOICES, MiniMaxEngine

KEY = "a-secret-that-nobody-may-see"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeMiniMax]:
    with FakeMiniMax() as made:
        yield made


@pytest.fixture
def engine(server: FakeMiniMax) -> Iterator[MiniMaxEngine]:
    with ready(MiniMaxEngine, CUELINE_MINIMAX_BASE_URL=server.url, CUELINE_MINIMAX_API_KEY=KEY) as made:
        yield made


def test_the_service_is_asked_for_what_the_voice_says(engine: MiniMaxEngine, server: FakeMiniMax) -> None:
    assert said(engine, "It rains.", Voice("Casual_Guy", language="de", rate=1.5, pitch=2.0))
    asked = server.asked[-1]
    assert asked["voice_setting"] == {"voice_id": "Casual_Guy", "speed": 1.5, "vol": 1.0, "pitch": 12}
    assert asked["audio_setting"] == {"sample_rate": 24_000, "format": "pcm", "channel": 1}
    assert (asked["language_boost"], asked["stream"]) == ("German", True)
    assert server.keys[-1] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("CODE 1004 x", EngineUnavailable, "CUELINE_MINIMAX_API_KEY"),
        ("CODE 2049 x", EngineUnavailable, "CUELINE_MINIMAX_API_KEY"),
        ("CODE 1008 x", EngineUnavailable, "nothing left"),
        ("CODE 1002 x", EngineBusy, "too often"),
        ("CODE 1026 x", TextUnspeakable, "text"),
        ("CODE 2054 x", VoiceUnknown, "voice"),
        ("CODE 1000 x", EngineFailed, "1000"),
        ("LATER 1002 one two three", EngineBusy, "too often"),
        ("FAIL 401 x", EngineUnavailable, "CUELINE_MINIMAX_API_KEY"),
        ("FAIL 429 x", EngineBusy, "busy"),
        ("FAIL 500 x", EngineFailed, "500"),
        ("CUT one two three", EngineFailed, "broke off"),
        ("SHORT one two three", EngineFailed, "broke off"),
        ("ODD one two three", EngineFailed, "broke off"),
    ],
)
def test_a_failure_is_told_in_our_words_and_the_next_sentence_works(
    engine: MiniMaxEngine, text: str, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as failure:
        said(engine, text)
    assert KEY not in str(failure.value)
    assert said(engine)


def test_a_silent_service_is_not_waited_for_for_ever(engine: MiniMaxEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minimax, "SILENCE_S", 0.3)
    impatient = MiniMaxEngine()
    impatient.load()
    with pytest.raises(EngineFailed, match="in time"):
        said(impatient, "NEVER")


def test_their_marks_and_sounds_are_no_markup(engine: MiniMaxEngine, server: FakeMiniMax) -> None:
    said(engine, "One <#9.5#> two (laughs) three.")
    text = server.asked[-1]["text"]
    assert "<#" not in text
    assert "#>" not in text
    assert "(" not in text


def test_closing_ends_the_request(engine: MiniMaxEngine, server: FakeMiniMax) -> None:
    blocks = engine.speak("STALL one two three four five", Voice(), 1)
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    until = time.monotonic() + 10
    while server.open and time.monotonic() < until:
        time.sleep(0.01)
    assert not server.open


def test_the_voices_are_those_of_the_account(engine: MiniMaxEngine, server: FakeMiniMax) -> None:
    voices = [(voice.name, voice.gender) for voice in engine.voices()]
    assert voices == [("Calm_Woman", "female"), ("Casual_Guy", "male"), ("mine-1", "")]
    server.lists = False
    try:
        engine.load()
    finally:
        server.lists = True
    assert [voice.name for voice in engine.voices()] == [name for name, _ in VOICES]


@pytest.mark.parametrize("key", ["", "two\nlines"])
def test_without_a_key_that_can_be_sent_it_is_unavailable(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("CUELINE_MINIMAX_API_KEY", key)
    settings.cache_clear()
    with pytest.raises(EngineUnavailable, match="CUELINE_MINIMAX_API_KEY"):
        MiniMaxEngine().load()
    settings.cache_clear()


def test_the_key_is_never_shown(engine: MiniMaxEngine) -> None:
    assert KEY not in repr(settings())
