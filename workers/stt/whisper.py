"""Whisper by faster-whisper: any of its models, by name or directory. Not: what is believed of what it hears."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import RecognizerFailed, RecognizerUnavailable
from contract.transcribe import HEARING_RATE_HZ, Segment, TranscribeJob, Transcript, Word
from workers.settings import settings
from workers.stt.recognizer import Samples

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

TOKENS_PER_S = 8
"""Nobody says more; a decoder that has lost the thread would go on for ever."""
MIN_TOKENS = 24
FINAL_BEAMS = 5
NO_PACKAGE = (
    "The package faster-whisper is missing: pip install 'cueline[whisper]', or CUELINE_STT_ENGINE=whisper make run."
)


class WhisperRecognizer:
    """One model in this process."""

    name = "whisper"

    def __init__(self) -> None:
        self._model: WhisperModel | None = None
        self._device = ""

    def load(self, *, may_download: bool = True) -> None:
        """Load the model; a name that is not here yet is downloaded.

        Raises: RecognizerUnavailable.
        """
        chosen = settings()
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise RecognizerUnavailable(NO_PACKAGE) from error
        path = Path(chosen.whisper_model).expanduser()
        if not path.is_dir() and ("/" in chosen.whisper_model and not _is_hub_name(chosen.whisper_model)):
            raise RecognizerUnavailable(f"CUELINE_WHISPER_MODEL: there is no directory {chosen.whisper_model}.")
        try:
            self._model = WhisperModel(
                str(path) if path.is_dir() else chosen.whisper_model,
                device=chosen.whisper_device,
                compute_type=chosen.whisper_compute_type,
                # One decode at a time: more threads than cores would only wait for each other.
                cpu_threads=min(os.cpu_count() or 1, 8),
                local_files_only=path.is_dir() or not may_download,
            )
        except Exception as error:
            problem = _why_not(chosen.whisper_model, error, is_directory=path.is_dir(), was_sought=may_download)
            raise RecognizerUnavailable(problem) from error
        self._device = str(self._model.model.device)

    def about(self) -> dict[str, Any]:
        """Model, device, languages."""
        model = self._loaded()
        return {
            "model": Path(settings().whisper_model).name,
            "device": self._device,
            "multilingual": model.model.is_multilingual,
        }

    def transcribe(self, samples: Samples, job: TranscribeJob) -> Transcript:
        """Decode from the start: greedily what is still being said, with a beam what was said."""
        model, started = self._loaded(), time.perf_counter()
        seconds = len(samples) / HEARING_RATE_HZ
        try:
            found, info = model.transcribe(
                samples,
                language=job.language or None,
                initial_prompt=job.prompt or None,
                temperature=job.temperature,
                beam_size=1 if job.kind == "partial" else FINAL_BEAMS,
                condition_on_previous_text=False,
                # Without them a decode is shorter, and nothing is cut at a guess of the model's.
                without_timestamps=job.times == "none",
                word_timestamps=job.times == "words",
                max_new_tokens=MIN_TOKENS + int(TOKENS_PER_S * seconds),
                # What is believed is decided where the sound is known: api/listening/doubt.py.
                no_speech_threshold=None,
                log_prob_threshold=None,
                compression_ratio_threshold=None,
            )
            segments = tuple(_segment(segment) for segment in found)
        except ValueError as error:
            raise RecognizerFailed(f"The recognizer refused: {error}.") from error
        took_ms = (time.perf_counter() - started) * 1000
        return Transcript(segments, info.language, info.language_probability, took_ms, self.name)

    def _loaded(self) -> WhisperModel:
        if self._model is None:
            raise RecognizerUnavailable("Whisper has not been loaded yet.")
        return self._model


def _segment(segment: Any) -> Segment:
    words = tuple(Word(word.word.strip(), word.start, word.end) for word in segment.words or ())
    return Segment(
        segment.text.strip(),
        segment.start,
        segment.end,
        segment.avg_logprob,
        segment.no_speech_prob,
        segment.compression_ratio,
        words,
    )


def _is_hub_name(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith((".", "~", "/"))


def _why_not(name: str, error: Exception, *, is_directory: bool, was_sought: bool) -> str:
    if is_directory:
        return f"CUELINE_WHISPER_MODEL: {name} is no Whisper model for faster-whisper: {_first_line(error)}."
    what = f"could not be downloaded ({_first_line(error)})" if was_sought else "will be downloaded at the first start"
    return (
        f"The Whisper model {name!r} is not here and {what}. CUELINE_WHISPER_MODEL names another, "
        "or a directory that holds one."
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120].rstrip(".")
