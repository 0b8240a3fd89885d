"""A recognizer hears, or says in one sentence why it cannot: Whisper with the toy model, and any server of that API."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from contract.errors import RecognizerFailed, RecognizerUnavailable
from contract.transcribe import TranscribeJob, Transcript
from tests.harness import TOY_WHISPER
from tests.speaking import silence, spoken
from workers.settings import settings
from workers.stt.openai_audio import OpenAIRecognizer
from workers.stt.registry import make_recognizer
from workers.stt.whisper import WhisperRecognizer

RATE = 16_000


@pytest.fixture(autouse=True)
def fresh_settings() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def samples(text: str) -> Any:
    pcm = np.concatenate((silence(300, RATE), spoken(text, rate_hz=RATE), silence(300, RATE)))
    return pcm.astype(np.float32) / np.float32(32_768)


def job(**fields: Any) -> TranscribeJob:
    return TranscribeJob(**{"recording": "r", "revision": 1, "kind": "final", "size": 0, "inbox": "", **fields})


@pytest.fixture
def whisper(monkeypatch: pytest.MonkeyPatch) -> WhisperRecognizer:
    pytest.importorskip("faster_whisper", reason="NOT TESTED: listening needs the extra whisper")
    monkeypatch.setenv("CUELINE_WHISPER_MODEL", str(TOY_WHISPER))
    made = WhisperRecognizer()
    made.load()
    return made


def test_whisper_hears_words_and_finds_the_language(whisper: WhisperRecognizer) -> None:
    heard = whisper.transcribe(samples("hello dragon please"), job())
    assert (heard.text, heard.language) == ("hello dragon please", "en")
    assert heard.language_probability > 0.7
    assert heard.engine_ms > 0


def test_whisper_says_when_each_word_was_said(whisper: WhisperRecognizer) -> None:
    heard = whisper.transcribe(samples("hello dragon please"), job(times="words", language="en"))
    assert [word.text for segment in heard.segments for word in segment.words] == heard.text.split()


@pytest.mark.parametrize("model", ["/no/such/place", "./nowhere"])
def test_a_model_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    pytest.importorskip("faster_whisper", reason="NOT TESTED: listening needs the extra whisper")
    monkeypatch.setenv("CUELINE_WHISPER_MODEL", model)
    with pytest.raises(RecognizerUnavailable, match=r"CUELINE_WHISPER_MODEL.*\.$"):
        WhisperRecognizer().load()


def test_a_directory_that_holds_no_model_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper", reason="NOT TESTED: listening needs the extra whisper")
    monkeypatch.setenv("CUELINE_WHISPER_MODEL", str(tmp_path))
    with pytest.raises(RecognizerUnavailable, match="is no Whisper model"):
        WhisperRecognizer().load()


def test_a_recognizer_that_does_not_exist_is_named() -> None:
    with pytest.raises(RecognizerUnavailable, match="nobody"):
        make_recognizer("nobody")


def test_a_check_downloads_nothing_and_says_how_to_get_a_model(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper", reason="NOT TESTED: listening needs the extra whisper")
    env = {"PATH": "/usr/bin", "CUELINE_STT_ENGINE": "whisper", "HF_HOME": str(tmp_path), "HOME": str(tmp_path)}
    argv = [sys.executable, "-m", "workers.stt.check"]
    ended = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    said = json.loads(ended.stdout)
    assert not said["ok"]
    assert "CUELINE_WHISPER_MODEL" in said["detail"]


class Server:
    """A transcription server that hears how much it was sent."""

    def __init__(self) -> None:
        routes = [Route("/v1/audio/transcriptions", self.answer, methods=["POST"])]
        self._server = uvicorn.Server(
            uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=0, log_level="error")
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self.asked: dict[str, str] = {}

    def start(self) -> str:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}/v1"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(5)

    async def answer(self, request: Request) -> JSONResponse:
        async with request.form() as form:
            self.asked = {name: str(value) for name, value in form.items() if name != "file"}
            size = len(await form["file"].read())  # type: ignore[union-attr]
        if self.asked.get("prompt") == "fail":
            return JSONResponse({"error": {"message": "told to fail"}}, status_code=500)
        segment = {"id": 0, "start": 0.1, "end": 0.9, "text": " It rains.", "avg_logprob": -0.3, "no_speech_prob": 0.1}
        return JSONResponse({"text": f"{size}", "language": "english", "duration": 1.0, "segments": [segment]})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    monkeypatch.setenv("CUELINE_STT_BASE_URL", made.start())
    yield made
    made.stop()


def test_any_server_of_that_api_is_a_recognizer(server: Server) -> None:
    recognizer = OpenAIRecognizer()
    recognizer.load()
    heard: Transcript = recognizer.transcribe(samples("stop"), job(language="en", prompt="names"))
    assert (heard.text, heard.language) == ("It rains.", "en")
    assert heard.segments[0].avg_logprob == -0.3
    assert server.asked["language"] == "en"
    assert server.asked["prompt"] == "names"
    with pytest.raises(RecognizerFailed) as failure:
        recognizer.transcribe(samples("stop"), job(prompt="fail"))
    assert "127.0.0.1" not in failure.value.text


def test_a_server_that_is_not_named_cannot_be_asked() -> None:
    with pytest.raises(RecognizerUnavailable, match="CUELINE_STT_BASE_URL"):
        OpenAIRecognizer().load()
