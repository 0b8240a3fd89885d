"""Everything that can go wrong, as one tree. Not: HTTP statuses, socket close codes.

CuelineError                what a person and a program may be told
├── SpeechError             a sentence could not be spoken
│   ├── EngineFailed        the engine raised or broke its contract
│   ├── EngineUnavailable   the engine cannot be loaded here
│   ├── VoiceUnknown        no such voice, language or engine
│   ├── TextUnspeakable     nothing to say, or too long
│   ├── WorkerLost          every attempt fell silent
│   ├── NoWorker            nobody took the job
│   ├── QueueUnreachable    the broker did not take the job
│   ├── LogLost             the sentence's stream is gone
│   └── SpeechCancelled     nobody wants it any more
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
    default = "The audio of this sentence is gone."


class SpeechCancelled(SpeechError):
    code = "cancelled"
    default = "This sentence was cancelled."


_BY_CODE: dict[str, type[SpeechError]] = {kind.code: kind for kind in SpeechError.__subclasses__()}


def error_from_dict(data: dict[str, Any]) -> SpeechError:
    """Read what `to_dict` wrote; an unknown code becomes a plain SpeechError."""
    return _BY_CODE.get(str(data.get("code")), SpeechError)(str(data.get("text", "")))
