"""TranscribeJob and Transcript: a request to hear a recording, and what was heard. Not: how it is recognized."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

TRANSCRIBE_TASK = "cueline.transcribe"

FINAL_QUEUE = "stt.final"
"""What somebody has said to the end, and waits to be answered."""
PARTIAL_QUEUE = "stt.partial"
"""What somebody is saying; worthless a moment later."""
FILE_QUEUE = "stt.file"
"""Pieces of recordings that were sent as files."""
HEARING_QUEUES = (FINAL_QUEUE, PARTIAL_QUEUE, FILE_QUEUE)
"""In the order of their importance."""

HEARING_RATE_HZ = 16_000
"""Of every recording that is to be recognized: s16le, mono."""
HEARING_BYTES_PER_S = 2 * HEARING_RATE_HZ
MAX_RECORDING_S = 30.0
"""What one job may hold: more is heard in pieces."""
MAX_PROMPT_CHARS = 1_000

Kind = Literal["partial", "final", "file"]
Times = Literal["none", "segments", "words"]
QUEUE_OF: dict[Kind, str] = {"partial": PARTIAL_QUEUE, "final": FINAL_QUEUE, "file": FILE_QUEUE}


@dataclass(frozen=True, slots=True)
class TranscribeJob:
    """One look at a recording. Delivered at least once; Redis refuses what is stale."""

    recording: str
    """Name of the recording; see keys.recording and keys.transcript."""
    revision: int
    """Counts from 1 within a recording; a claim of a newer one makes the older ones worthless."""
    kind: Kind
    size: int
    """Bytes of the recording that are to be heard, from its start."""
    inbox: str
    """Key of the stream at which the owner hears the bell."""
    language: str = ""
    """ISO 639-1; empty: find out."""
    prompt: str = ""
    """What was said before, or names that may occur."""
    temperature: float = 0.0
    times: Times = "none"
    """Whether to say when each segment, or each word, was said."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; `from_dict` is its inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TranscribeJob:
        """Read what `to_dict` wrote; fields of a newer version are ignored."""
        return cls(**_known(cls, data))


@dataclass(frozen=True, slots=True)
class Word:
    """One word and when it was said, in seconds from the start of the recording."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech, and how sure the recognizer is of it."""

    text: str
    start: float
    end: float
    avg_logprob: float = 0.0
    no_speech_prob: float = 0.0
    compression_ratio: float = 1.0
    words: tuple[Word, ...] = ()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Segment:
        """Read what `asdict` wrote."""
        words = tuple(Word(**_known(Word, word)) for word in data.get("words", ()))
        return cls(**{**_known(cls, data), "words": words})


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard in one job."""

    segments: tuple[Segment, ...] = ()
    language: str = ""
    """ISO 639-1; empty if the recognizer does not say."""
    language_probability: float = 0.0
    engine_ms: float = 0.0
    """Time in the recognizer itself, beside which every queue and wire is overhead."""
    name: str = field(default="", compare=False)
    """Name of the recognizer."""

    @property
    def text(self) -> str:
        """All segments as one line."""
        return " ".join(part for segment in self.segments if (part := segment.text.strip()))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; `from_dict` is its inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Transcript:
        """Read what `to_dict` wrote; fields of a newer version are ignored."""
        segments = tuple(Segment.from_dict(segment) for segment in data.get("segments", ()))
        return cls(**{**_known(cls, data), "segments": segments})


def _known(kind: Any, data: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in data.items() if name in names}
