"""Hears one job: recording → recognizer → transcript in the log. Not: Celery, Redis commands, what is believed."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np

from contract.errors import RecognitionError, RecognizerFailed
from contract.transcribe import TranscribeJob, Transcript
from workers.stt.recognizer import Recognizer, Samples

log = logging.getLogger(__name__)


class Log(Protocol):
    """Where it goes; `workers.stt.transcript_log.TranscriptLog` in production."""

    def claim(self) -> bytes | None: ...
    def finish(self, transcript: Transcript) -> bool: ...
    def fail(self, error: RecognitionError) -> bool: ...
    def beating(self) -> AbstractContextManager[None]: ...


def transcribe(job: TranscribeJob, recognizer: Recognizer, transcript_log: Log) -> str:
    """Hear `job` and say in one word how it went: heard, stale, unwanted or failed.

    A failure of the recognizer is written to the log, never raised: the owner decides what follows.
    """
    recording = transcript_log.claim()
    if recording is None:
        return "stale"
    with transcript_log.beating():
        try:
            transcript = recognizer.transcribe(_samples(recording), job)
        except RecognitionError as error:
            return _fail(transcript_log, error)
        except Exception as error:
            log.exception("recognizer %s broke", recognizer.name)
            return _fail(transcript_log, RecognizerFailed(f"The recognizer failed: {type(error).__name__}."))
    return "heard" if transcript_log.finish(transcript) else "unwanted"


def _fail(transcript_log: Log, error: RecognitionError) -> str:
    return "failed" if transcript_log.fail(error) else "unwanted"


def _samples(recording: bytes) -> Samples:
    return np.frombuffer(recording, "<i2").astype(np.float32) / np.float32(32_768)
