"""Any server with OpenAI's transcription API as a recognizer. Not: what is believed of what it hears."""

from __future__ import annotations

import io
import time
import wave
from typing import Any

import httpx2
import numpy as np
import openai
from openai import OpenAI

from contract.errors import RecognizerFailed, RecognizerUnavailable
from contract.transcribe import HEARING_RATE_HZ, Segment, TranscribeJob, Transcript, Word
from workers.settings import settings
from workers.stt.recognizer import Samples

ANSWER_S = 20.0


class OpenAIRecognizer:
    """A client of one server."""

    name = "openai_audio"

    def __init__(self) -> None:
        self._client: OpenAI | None = None

    def load(self, *, may_download: bool = True) -> None:
        """Make the client; the server is asked with the first recording.

        Raises: RecognizerUnavailable.
        """
        chosen = settings()
        if not chosen.stt_base_url:
            raise RecognizerUnavailable("CUELINE_STT_BASE_URL: name the server that the recognizer openai_audio asks.")
        self._client = OpenAI(
            base_url=chosen.stt_base_url,
            api_key=chosen.stt_api_key or "none",
            max_retries=0,
            timeout=httpx2.Timeout(ANSWER_S, connect=3.0),
        )

    def about(self) -> dict[str, Any]:
        """The model that is asked for; the server stays unnamed."""
        return {"model": settings().stt_model}

    def transcribe(self, samples: Samples, job: TranscribeJob) -> Transcript:
        """Ask the server once."""
        if self._client is None:
            raise RecognizerUnavailable
        started = time.perf_counter()
        asked: dict[str, Any] = {"response_format": "verbose_json", "temperature": job.temperature}
        if job.language:
            asked["language"] = job.language
        if job.prompt:
            asked["prompt"] = job.prompt
        if job.times == "words":
            asked["timestamp_granularities"] = ["segment", "word"]
        try:
            answer = self._client.audio.transcriptions.create(
                file=("speech.wav", _wav(samples), "audio/wav"), model=settings().stt_model, **asked
            )
            data = answer.model_dump()
        except (openai.OpenAIError, httpx2.HTTPError, OSError, ValueError, AttributeError, TypeError) as error:
            # Its text may hold the server's address.
            raise RecognizerFailed(f"The transcription server failed: {type(error).__name__}.") from error
        seconds = len(samples) / HEARING_RATE_HZ
        took_ms = (time.perf_counter() - started) * 1000
        language = str(data.get("language") or "")
        return Transcript(_segments(data, seconds), _code(language), 1.0 if language else 0.0, took_ms, self.name)


def _segments(data: dict[str, Any], seconds: float) -> tuple[Segment, ...]:
    words = tuple(Word(str(w["word"]).strip(), float(w["start"]), float(w["end"])) for w in data.get("words") or ())
    found = [_segment(segment, words) for segment in data.get("segments") or () if str(segment.get("text", "")).strip()]
    text = str(data.get("text") or "").strip()
    if not found and text:
        return (Segment(text, 0.0, seconds, words=words),)
    return tuple(found)


def _segment(data: dict[str, Any], words: tuple[Word, ...]) -> Segment:
    start, end = float(data.get("start") or 0), float(data.get("end") or 0)
    return Segment(
        str(data["text"]).strip(),
        start,
        end,
        float(data.get("avg_logprob") or 0),
        float(data.get("no_speech_prob") or 0),
        float(data.get("compression_ratio") or 1),
        tuple(word for word in words if start <= word.start < max(end, start + 0.01)),
    )


def _code(language: str) -> str:
    """Servers say `en` or `english`."""
    return _NAMES.get(language.casefold(), language.casefold() if len(language) <= 3 else "")


_NAMES = {
    "english": "en",
    "german": "de",
    "french": "fr",
    "spanish": "es",
    "italian": "it",
    "portuguese": "pt",
    "dutch": "nl",
    "polish": "pl",
    "russian": "ru",
    "chinese": "zh",
    "japanese": "ja",
    "korean": "ko",
    "arabic": "ar",
    "hindi": "hi",
    "turkish": "tr",
}


def _wav(samples: Samples) -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(HEARING_RATE_HZ)
        file.writeframes(np.rint(np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())
    return held.getvalue()
