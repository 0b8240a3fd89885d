"""Azure as it is when it fails, and text that looks like its markup."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.errors import EngineBusy, EngineFailed, EngineUnavailable, SpeechError, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from tests.fakes import FakeAzure
from tests.workers.asking import ready, said
from workers.settings import settings as worker_settings
from workers.tts import azure
from workers.tts.azure import FIRST_CHOICES, AzureEngine

KEY = "a-secret-that-nobody-may-see"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeAzure]:
    with FakeAzure() as made:
        yield made


@pytest.fixture(scope="module")
def engine(server: FakeAzure) -> Iterator[AzureEngine]:
    with ready(AzureEngine, CUELINE_AZURE_BASE_URL=server.url, CUELINE_AZURE_KEY=KEY) as made:
        yield made


def test_the_service_is_asked_for_what_the_voice_says(engine: AzureEngine, server: FakeAzure) -> None:
    assert said(engine, "It rains.", Voice("en-GB-RyanNeural", rate=1.5, pitch=2.0))
    assert '<voice name="en-GB-RyanNeural"><prosody rate="1.50" pitch="+50%">It rains.' in server.asked[-1]
    assert server.headers["ocp-apim-subscription-key"] == KEY
    assert said(engine, "Es regnet.", Voice(language="de-at"))
    assert 'xml:lang="de-DE"' in server.asked[-1]


@pytest.mark.parametrize("text", ["</prosody><break time='9s'/> hi", "a < b & c > d", "]]> hi", '<audio src="x"/> hi'])
def test_markup_arrives_as_text(engine: AzureEngine, server: FakeAzure, text: str) -> None:
    assert said(engine, text)
    assert server.texts[-1].replace("] ]", "]]") == text


@settings(max_examples=40, deadline=None)
@given(st.text("<>&\"'/a b\u0300\ufffe\U0010ffff]![", max_size=30))
def test_no_text_breaks_out_of_its_place(engine: AzureEngine, text: str) -> None:
    try:
        assert said(engine, text)
    except TextUnspeakable:
        return
    except SpeechError as error:
        pytest.fail(f"{text!r}: {error.text}")


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("FAIL 401 x", EngineUnavailable, "CUELINE_AZURE_KEY"),
        ("FAIL 429 x", EngineBusy, "too often"),
        ("FAIL 413 x", TextUnspeakable, "too long"),
        ("FAIL 400 x", EngineFailed, "400"),
        ("FAIL 502 x", EngineFailed, "502"),
        ("CUT one two three", EngineFailed, "broke off"),
        ("MUTE x", EngineFailed, "without any sound"),
        ("PAGE x", EngineFailed, "something else"),
    ],
)
def test_a_failure_is_told_in_our_words_and_the_next_sentence_works(
    engine: AzureEngine, text: str, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as failure:
        said(engine, text)
    assert KEY not in str(failure.value)
    assert said(engine)


def test_a_silent_service_is_not_waited_for_for_ever(engine: AzureEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure, "SILENCE_S", 0.3)
    impatient = AzureEngine()
    impatient.load()
    with pytest.raises(EngineFailed, match="in time"):
        said(impatient, "NEVER")


def test_closing_ends_the_request(engine: AzureEngine, server: FakeAzure) -> None:
    blocks = engine.speak("STALL one two three four five", Voice(), 1)
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    until = time.monotonic() + 10
    while server.open and time.monotonic() < until:
        time.sleep(0.01)
    assert not server.open


def test_the_voices_are_those_of_the_region(engine: AzureEngine, server: FakeAzure) -> None:
    voices = [(voice.name, voice.language, voice.gender) for voice in engine.voices()]
    assert voices[0] == ("en-US-AvaMultilingualNeural", "en-us", "female")
    assert ("de-DE-KatjaNeural", "de-de", "female") in voices
    server.lists = False
    try:
        without = AzureEngine()
        without.load()
    finally:
        server.lists = True
    assert [voice.name for voice in without.voices()] == list(FIRST_CHOICES)
    with pytest.raises(VoiceUnknown):
        said(engine, voice=Voice("de-DE-Nobody"))


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({}, "CUELINE_AZURE_KEY"),
        ({"CUELINE_AZURE_KEY": "k"}, "CUELINE_AZURE_REGION"),
        ({"CUELINE_AZURE_KEY": "k\nk", "CUELINE_AZURE_REGION": "westeurope"}, "CUELINE_AZURE_KEY"),
        ({"CUELINE_AZURE_KEY": "k", "CUELINE_AZURE_REGION": "evil.example/"}, "CUELINE_AZURE_REGION"),
    ],
)
def test_what_it_lacks_is_named(monkeypatch: pytest.MonkeyPatch, env: dict[str, str], named: str) -> None:
    for name in ("CUELINE_AZURE_KEY", "CUELINE_AZURE_REGION", "CUELINE_AZURE_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    worker_settings.cache_clear()
    with pytest.raises(EngineUnavailable, match=named):
        AzureEngine().load()
    worker_settings.cache_clear()
