"""A speech server that fails in each way that they do: the sentence ends with what happened, and the next one works."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from contract.audio import bytes_to_ms
from contract.errors import EngineBusy, EngineFailed, EngineUnavailable, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from tests.fakes import FakeSpeechServer
from tests.workers.asking import ready, said
from workers.settings import settings
from workers.tts import openai_speech
from workers.tts.openai_speech import OPENAI_VOICES, OpenAISpeechEngine

KEY = "sk-a-secret-that-nobody-may-see"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeSpeechServer]:
    with FakeSpeechServer() as made:
        yield made


@pytest.fixture
def engine(server: FakeSpeechServer) -> Iterator[OpenAISpeechEngine]:
    with ready(OpenAISpeechEngine, CUELINE_TTS_BASE_URL=server.url, CUELINE_TTS_API_KEY=KEY) as made:
        yield made


def test_the_server_is_asked_for_what_the_voice_says(engine: OpenAISpeechEngine, server: FakeSpeechServer) -> None:
    voice = Voice("coral", rate=1.25, description="Warm and slow.", scene="In a cave.")
    assert said(engine, "It rains.", voice)
    assert server.asked[-1] == {
        "model": "tts-1",
        "input": "It rains.",
        "voice": "coral",
        "response_format": "pcm",
        "speed": 1.25,
        "instructions": "Warm and slow. In a cave.",
    }
    assert server.keys[-1] == f"Bearer {KEY}"


def test_a_voice_without_words_brings_no_instructions(engine: OpenAISpeechEngine, server: FakeSpeechServer) -> None:
    said(engine)
    assert "instructions" not in server.asked[-1]


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("FAIL 401 x", EngineUnavailable, "CUELINE_TTS_API_KEY"),
        ("FAIL 403 x", EngineUnavailable, "CUELINE_TTS_API_KEY"),
        ("FAIL 404 x", EngineUnavailable, "CUELINE_TTS_MODEL"),
        ("FAIL 400 voice", VoiceUnknown, "voice"),
        ("FAIL 400 input", TextUnspeakable, "text"),
        ("FAIL 413 x", TextUnspeakable, "text"),
        ("FAIL 400 x", EngineFailed, "400"),
        ("FAIL 500 x", EngineFailed, "500"),
        ("CUT one two three", EngineFailed, "broke off"),
        ("MUTE x", EngineFailed, "without any sound"),
        ("PAGE x", EngineFailed, "text/html"),
    ],
)
def test_a_failure_is_told_in_our_words_and_the_next_sentence_works(
    engine: OpenAISpeechEngine, text: str, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as failure:
        said(engine, text)
    assert KEY not in str(failure.value)
    assert said(engine)


def test_a_short_wait_is_waited_for(engine: OpenAISpeechEngine) -> None:
    assert said(engine, "BUSY 0.1 but then it speaks")


def test_a_long_wait_is_told(engine: OpenAISpeechEngine, server: FakeSpeechServer) -> None:
    before = len(server.asked)
    with pytest.raises(EngineBusy) as failure:
        said(engine, "BUSY 60 and it will not speak")
    assert failure.value.retry_after_s == 60
    assert len(server.asked) == before + 1


@pytest.mark.parametrize("text", ["NEVER", "STALL one two three four"])
def test_a_silent_server_is_not_waited_for_for_ever(
    server: FakeSpeechServer, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(openai_speech, "SILENCE_S", 0.3)
    with (
        ready(OpenAISpeechEngine, CUELINE_TTS_BASE_URL=server.url) as impatient,
        pytest.raises(EngineFailed),
    ):
        said(impatient, text)


def test_a_server_that_is_not_there_is_told() -> None:
    with (
        ready(OpenAISpeechEngine, CUELINE_TTS_BASE_URL="http://127.0.0.1:9/v1") as lonely,
        pytest.raises(EngineFailed, match="cannot be reached"),
    ):
        said(lonely)


def test_a_server_that_is_not_named_cannot_be_asked() -> None:
    with pytest.raises(EngineUnavailable, match="CUELINE_TTS_BASE_URL"), ready(OpenAISpeechEngine):
        pass


def test_openai_itself_is_asked_for_no_model_that_nobody_named() -> None:
    openai = {"CUELINE_TTS_BASE_URL": "https://api.openai.com/v1"}
    with pytest.raises(EngineUnavailable, match="CUELINE_TTS_MODEL"), ready(OpenAISpeechEngine, **openai):
        pass


def test_samples_cut_in_halves_by_the_network_stay_whole(engine: OpenAISpeechEngine) -> None:
    blocks = list(engine.speak("ODD blocks of sound", Voice(), 1))
    assert not any(len(block) % 2 for block in blocks)


def test_another_rate_is_resampled(engine: OpenAISpeechEngine) -> None:
    fast, slow = said(engine, "RATE 24000 one"), said(engine, "RATE 12000 one")
    assert 1.8 < bytes_to_ms(len(slow)) / bytes_to_ms(len(fast)) < 2.2


def test_a_text_beyond_the_limit_of_a_request_is_asked_for_in_pieces(
    engine: OpenAISpeechEngine, server: FakeSpeechServer
) -> None:
    before = len(server.asked)
    blocks = engine.speak("word " * 1_000, Voice(), 1)
    assert sum(map(len, blocks))
    inputs = [asked["input"] for asked in server.asked[before:]]
    assert len(inputs) == 2
    assert all(len(text) <= 4096 for text in inputs)
    assert " ".join(inputs) == ("word " * 1_000).strip()


def test_closing_ends_the_request(engine: OpenAISpeechEngine, server: FakeSpeechServer) -> None:
    blocks = engine.speak("STALL one two three four five", Voice(), 1)
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    until = time.monotonic() + 10
    while server.open and time.monotonic() < until:
        time.sleep(0.01)
    assert not server.open


def test_without_a_list_it_offers_the_voices_of_openai(engine: OpenAISpeechEngine) -> None:
    assert [voice.name for voice in engine.voices()] == list(OPENAI_VOICES)


def test_a_server_that_lists_its_voices_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = ["af_bella", {"id": "bm_lewis", "name": "Lewis", "language": "en-GB", "gender": "male"}, 7, {"id": "\0"}]
    with FakeSpeechServer(listed) as server:
        monkeypatch.setenv("CUELINE_TTS_BASE_URL", server.url)
        settings.cache_clear()
        engine = OpenAISpeechEngine()
        engine.load()
        assert [(voice.name, voice.language, voice.gender) for voice in engine.voices()] == [
            ("af_bella", "en-us", ""),
            ("bm_lewis", "en-gb", "male"),
        ]
        assert said(engine, voice=Voice("af_bella+bm_lewis(2)"))
        assert server.asked[-1]["voice"] == "af_bella+bm_lewis(2)"
        monkeypatch.setenv("CUELINE_TTS_VOICES", "bm_lewis, af_bella")
        settings.cache_clear()
        engine.load()
        assert said(engine)
        assert server.asked[-1]["voice"] == "bm_lewis"


def test_the_key_is_never_shown(engine: OpenAISpeechEngine) -> None:
    assert KEY not in repr(settings())
