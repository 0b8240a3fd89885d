"""SpeechJob: the request to speak one sentence, and the names under which it travels. Not: how it is spoken."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from contract.voice import Voice

SPEAK_TASK = "cueline.speak"

TALK_QUEUE = "speech"
"""Sentences somebody waits for."""
BATCH_QUEUE = "speech.batch"
"""Lines of a render; workers take from it only while `TALK_QUEUE` is empty."""
QUEUES = (TALK_QUEUE, BATCH_QUEUE)
"""In the order of their importance."""

AUDIO_VERSION = 1
"""Part of the content hash: raise it when the same job would sound different after a change of ours."""


@dataclass(frozen=True, slots=True)
class SpeechJob:
    """One sentence to be spoken by one attempt. Delivered at least once; Redis refuses what is stale."""

    session: str
    turn: int
    sentence: int
    attempt: int
    """Counts from 1; each new one fences those before it."""
    text: str
    """Cleaned for speech: no markup, no control tokens."""
    voice: Voice
    character: str
    """Name of who speaks, for people who watch the queue."""
    inbox: str
    """Key of the stream at which the owner hears the bell."""
    speaker: str = ""
    """Id of that character."""
    context: str = ""
    """Of what an engine may go on from: it keeps what it remembers of a voice by session, speaker and this, which
    changes with a reset and with the speaker's voice. No part of the sound's own name."""
    from_part: int = 0
    """First part still missing in the log: an attempt after the first goes on from there."""
    seam: int | None = None
    """The last sample that listeners were given, if no engine can go on behind it: then the sentence is spoken from
    its start, numbered from `from_part`, behind a fade from that sample and a short pause."""
    render: str = ""
    """Title of the render whose line this is; empty: somebody listens. Its turn is the line's number."""
    lines: int = 0
    """How many lines that render has."""

    @property
    def is_line(self) -> bool:
        """Whether it is a line of a render, which may wait."""
        return self.lines > 0

    @property
    def queue(self) -> str:
        """The queue it belongs into."""
        return BATCH_QUEUE if self.is_line else TALK_QUEUE

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; `from_dict` is its inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SpeechJob:
        """Read what `to_dict` wrote; fields of a newer version are ignored."""
        known = {field.name for field in fields(cls)}
        values = {name: value for name, value in data.items() if name in known}
        return cls(**{**values, "voice": Voice.from_dict(values["voice"])})

    def content_hash(self) -> str:
        """Name of the sound itself: equal for jobs that must sound equal, whoever asks and how often."""
        content = {"text": self.text, "voice": self.voice.to_dict(), "version": AUDIO_VERSION}
        return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()

    def seed(self) -> int:
        """31-bit seed from the content, so that a second attempt makes the same samples."""
        return int(self.content_hash()[:8], 16) & 0x7FFF_FFFF

    def label(self, chars: int = 48) -> str:
        """One readable line for Flower and logs: first words, no audio, no secrets."""
        words = self.text if len(self.text) <= chars else self.text[: chars - 1] + "…"
        return words.encode("unicode_escape").decode("ascii") if not words.isprintable() else words
