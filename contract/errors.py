"""Everything that can go wrong, as one tree. Not: HTTP statuses, socket close codes.

CuelineError                what a person and a program may be told
├── SpeechError             a sentence could not be spoken
│   ├── EngineFailed        the engine raised or broke its contract
│   │   └── EngineBusy      it asks to be left alone for a while
│   ├── EngineUnavailable   the engine cannot be loaded here
│   ├── VoiceUnknown        no such voice, language or engine
│   ├── TextUnspeakable     nothing to say, or too long
│   ├── WorkerLost          every attempt fell silent
│   ├── NoWorker            nobody took the job
│   ├── QueueUnreachable    the broker did not take the job
│   ├── LogLost             the sentence's stream is gone
│   └── SpeechCancelled     nobody wants it any more
├── RecognitionError        a recording could not be understood
│   ├── RecognizerFailed      the recognizer raised
│   ├── RecognizerUnavailable it cannot be loaded here
│   ├── RecognizerLost        every attempt fell silent
│   └── NoRecognizer          nobody took the job
└── ConversationError       api/errors.py: requests, sessions, the language model
"""

from __future__ import annotations

from typing import Any, ClassVar


class CuelineError(Exception):
    """Something that a person can be told in a sentence and a program by a code."""

    code: ClassVar[str] = "failed"
    """Stable, snake_case, for programs."""
    retryable: ClassVar[bool] = False
    """Whether trying again may succeed."""
    default: ClassVar[str] = "Something went wrong."

    def __init__(self, text: str = "") -> None:
        super().__init__(text or self.default)
        self.text = text or self.default
        """A sentence for a person."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form for streams."""
        return {"code": self.code, "text": self.text}


class SpeechError(CuelineError):
    """A sentence could not be spoken."""

    code = "speech_failed"
    default = "This sentence could not be spoken."


class EngineFailed(SpeechError):
    code = "engine_failed"
    retryable = True
    default = "The voice engine failed on this sentence."


class EngineBusy(EngineFailed):
    default = "The voice engine is busy."

    def __init__(self, text: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s
        """What it asked for; 0: it did not say."""


class EngineUnavailable(SpeechError):
    code = "engine_unavailable"
    default = "The voice engine cannot be used here."


class VoiceUnknown(SpeechError):
    code = "voice_unknown"
    default = "There is no such voice."


class TextUnspeakable(SpeechError):
    code = "text_unspeakable"
    default = "There is nothing to speak in this text."


class WorkerLost(SpeechError):
    code = "worker_lost"
    retryable = True
    default = "The speech worker stopped answering."


class NoWorker(SpeechError):
    code = "no_worker"
    default = "No speech worker is running."


class QueueUnreachable(SpeechError):
    code = "queue_unreachable"
    retryable = True
    default = "The job queue cannot be reached."


class LogLost(SpeechError):
    code = "log_lost"
    retryable = True
    default = "The audio of this sentence is gone."


class SpeechCancelled(SpeechError):
    code = "cancelled"
    default = "This sentence was cancelled."


class RecognitionError(CuelineError):
    """A recording could not be understood."""

    code = "recognition_failed"
    default = "I did not catch that: what you said could not be recognized."


class RecognizerFailed(RecognitionError):
    code = "recognizer_failed"
    default = "I did not catch that: the recognizer failed."


class RecognizerUnavailable(RecognitionError):
    code = "recognizer_unavailable"
    default = "The recognizer cannot be used here."


class RecognizerLost(RecognitionError):
    code = "recognizer_lost"
    retryable = True
    default = "I did not catch that: the recognition worker stopped answering."


class NoRecognizer(RecognitionError):
    code = "no_recognizer"
    retryable = True
    default = "I did not catch that: no recognition worker is running."


_BY_CODE: dict[str, type[SpeechError]] = {kind.code: kind for kind in SpeechError.__subclasses__()}
_RECOGNITION: dict[str, type[RecognitionError]] = {kind.code: kind for kind in RecognitionError.__subclasses__()}


def error_from_dict(data: dict[str, Any]) -> SpeechError:
    """Read what `to_dict` wrote; an unknown code becomes a plain SpeechError."""
    return _BY_CODE.get(str(data.get("code")), SpeechError)(str(data.get("text", "")))


def recognition_error_from_dict(data: dict[str, Any]) -> RecognitionError:
    """The same for what ends a recognition."""
    return _RECOGNITION.get(str(data.get("code")), RecognitionError)(str(data.get("text", "")))
