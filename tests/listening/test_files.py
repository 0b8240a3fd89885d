"""A sound file over HTTP: OpenAI's own client, every format, and files that would do harm if they were believed."""

from __future__ import annotations

import io
import json
import struct
import wave
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import psutil
import pytest

soundfile = pytest.importorskip("soundfile", reason="NOT TESTED: listening needs the extra whisper")

from tests.harness import Stack
from tests.speaking import Pcm, silence, spoken

RATE = 16_000
KEY = "sk-nobody"


def wav(pcm: Pcm, rate_hz: int = RATE, channels: int = 1) -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.repeat(pcm, channels).tobytes())
    return held.getvalue()


def written(pcm: Pcm, kind: str, subtype: str, rate_hz: int = RATE) -> bytes:
    held = io.BytesIO()
    soundfile.write(held, pcm, rate_hz, format=kind, subtype=subtype)
    return held.getvalue()


def said(*texts: str, gap_ms: float = 300) -> Pcm:
    parts = [silence(gap_ms, RATE)]
    for text in texts:
        parts += [spoken(text, rate_hz=RATE), silence(gap_ms, RATE)]
    return np.concatenate(parts)


@pytest.fixture
def client(hearing: Stack) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{hearing.url}/v1", api_key=KEY, max_retries=0, timeout=60) as made:
        yield made


def post(stack: Stack, data: bytes, **form: Any) -> httpx.Response:
    files = {"file": ("a.wav", data)}
    return httpx.post(f"{stack.url}/v1/audio/transcriptions", files=files, data={"model": "x", **form}, timeout=60)


def test_openai_s_own_client_reads_words(client: openai.OpenAI) -> None:
    sound = ("a.wav", wav(said("hello dragon please")))
    assert client.audio.transcriptions.create(model="whisper-1", file=sound).text == "hello dragon please"


@pytest.mark.parametrize(
    ("kind", "subtype", "rate_hz"),
    [("FLAC", "PCM_16", 44_100), ("OGG", "VORBIS", 48_000), ("OGG", "OPUS", 48_000), ("MP3", "MPEG_LAYER_III", 24_000)],
)
def test_every_kind_of_file_is_read(hearing: Stack, kind: str, subtype: str, rate_hz: int) -> None:
    pcm = np.concatenate((silence(300, rate_hz), spoken("hello dragon please", rate_hz=rate_hz), silence(300, rate_hz)))
    assert post(hearing, written(pcm, kind, subtype, rate_hz)).json() == {"text": "hello dragon please"}


def test_two_channels_are_one(hearing: Stack) -> None:
    assert post(hearing, wav(said("what time"), channels=2)).json() == {"text": "what time"}


def test_words_and_segments_have_their_times(client: openai.OpenAI) -> None:
    pcm = said("hello dragon please")
    answer = client.audio.transcriptions.create(
        model="whisper-1",
        file=("a.wav", wav(pcm)),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        language="en",
    )
    assert answer.language == "en"
    assert abs(float(answer.duration) - len(pcm) / RATE) < 0.1
    assert answer.segments
    assert answer.words
    assert [word.word for word in answer.words] == answer.text.split()
    times = [time for word in answer.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[-1] <= float(answer.duration) + 0.1


def test_subtitles_are_subtitles(hearing: Stack) -> None:
    sound = wav(said("hello dragon please"))
    srt = post(hearing, sound, response_format="srt").text
    assert srt.startswith("1\n00:00:00,")
    assert "hello dragon please" in srt
    vtt = post(hearing, sound, response_format="vtt").text
    assert vtt.startswith("WEBVTT\n\n00:00:00.")
    assert post(hearing, sound, response_format="text").text == "hello dragon please\n"


def test_a_long_file_is_understood_in_pieces_and_streamed(client: openai.OpenAI) -> None:
    texts = ["hello dragon please", "what time", "weather today", "four five six"]
    pcm = np.concatenate([np.concatenate((said(text), silence(14_000, RATE))) for text in texts])
    events = list(
        client.audio.transcriptions.create(model="whisper-1", file=("a.wav", wav(pcm)), stream=True, language="en")
    )
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert len(deltas) >= 2
    assert events[-1].type == "transcript.text.done"
    assert "".join(deltas) == events[-1].text
    assert events[-1].text.startswith("hello dragon please")


def test_silence_has_no_words(hearing: Stack) -> None:
    assert post(hearing, wav(silence(2000, RATE))).json() == {"text": ""}


def bomb(kind: str, subtype: str, seconds: int, rate_hz: int = 8_000) -> bytes:
    """Few samples a second are soon packed; unpacked they still fill more memory than the server may take for them."""
    held = io.BytesIO()
    with soundfile.SoundFile(held, "w", rate_hz, 1, format=kind, subtype=subtype) as file:
        for _ in range(seconds // 10):
            file.write(np.zeros(rate_hz * 10, np.int16))
    return held.getvalue()


def lying_wav() -> bytes:
    """A header that promises a minute, before four hours."""
    header = wav(silence(10, RATE))[:40]
    return header + struct.pack("<I", 1000) + bytes(20 * 1024 * 1024)


@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (lambda: bomb("FLAC", "PCM_16", 7200), 413, "audio_too_long"),
        (lambda: bomb("OGG", "VORBIS", 3600), 413, "audio_too_long"),
        (lambda: wav(silence(10, RATE), channels=1024), 400, "audio_unreadable"),
        (lambda: wav(silence(10, RATE), rate_hz=4_000_000), 400, "audio_unreadable"),
        (lambda: b"RIFF" + bytes(5000), 400, "audio_unreadable"),
        (lambda: b"", 400, "audio_unreadable"),
        (lambda: bytes(26 * 1024 * 1024), 413, "audio_too_long"),
    ],
    ids=["flac", "vorbis", "channels", "rate", "garbage", "empty", "large"],
)
def test_a_file_that_would_do_harm_is_refused(hearing: Stack, make: Any, status: int, code: str) -> None:
    assert hearing.api
    api = psutil.Process(hearing.api.popen.pid)
    before = api.memory_info().rss
    answer = post(hearing, make())
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert answer.json()["error"]["message"].endswith(".")
    assert api.memory_info().rss - before < 96 * 1024 * 1024
    assert hearing.get("/healthz")[0] == 200


def test_a_header_that_lies_costs_nothing(hearing: Stack) -> None:
    assert post(hearing, lying_wav()).status_code in {200, 400, 413}


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"response_format": "epic"}, "response_format"),
        ({"temperature": "7"}, "temperature"),
        ({"language": "English"}, "language"),
        ({"prompt": "x" * 2000}, "prompt"),
    ],
)
def test_a_wish_that_makes_no_sense_is_named(hearing: Stack, form: dict[str, str], param: str) -> None:
    answer = post(hearing, wav(said("stop")), **form)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_without_a_recognizer_it_says_what_is_missing(stack: Stack) -> None:
    answer = post(stack, wav(silence(100, RATE)))
    assert answer.status_code == 501
    assert "CUELINE_STT_ENGINE" in answer.json()["error"]["message"]


def test_with_keys_it_wants_one(hearing: Stack) -> None:
    guarded = hearing.another_api_with({"CUELINE_API_KEYS": "k" * 32})
    assert guarded.api
    try:
        guarded.wait_until_ready()
        sound = wav(said("what time"))
        answer = post(guarded, sound)
        assert answer.status_code == 401
        assert json.loads(answer.text)["error"]["type"] == "authentication_error"
        with openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="k" * 32, max_retries=0) as keyed:
            assert keyed.audio.transcriptions.create(model="whisper-1", file=("a.wav", sound)).text == "what time"
    finally:
        guarded.api.stop()
