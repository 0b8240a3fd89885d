"""Saying: one utterance while it is being said, its sound and what is understood of it so far. Not: when it ends."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import numpy as np

from api.listening.sound.resample import Floats
from api.listening.words.agreement import Agreement
from api.listening.words.barge_in import BargeIn
from api.listening.words.doubt import Sound
from api.listening.words.recognition import Recording
from contract.errors import RecognitionError
from contract.transcribe import HEARING_BYTES_PER_S

LOUD_FRAMES = 8
"""A quarter of a second decides how loud somebody was."""
KEPT_S = 8.0
"""So much of a long turn is kept for who judges it by its sound."""


@dataclass(slots=True)
class Saying:
    """From the first sound to the words."""

    recording: Recording
    """Of the piece that is being said now: what is longer than one recording is heard in pieces."""
    voiced_ms: int = 0
    barge_in: BargeIn | None = None
    """Where it began while a reply was playing."""
    agreement: Agreement = field(default_factory=Agreement)
    pieces: list[asyncio.Task[str]] = field(default_factory=list)
    """The words of the pieces before."""
    pause: int = 0
    """Counts how often speech went on after a pause, so that a look knows whether it saw all."""
    asked: int = -1
    """The pause until which somebody is looking."""
    known: tuple[int, str] | None = None
    """A pause and the words until then."""
    tone: tuple[int, float | None] | None = None
    """A pause and how probable it is, by the sound until then, that the turn is over; None: the model could not say."""
    failure: RecognitionError | None = None
    is_complete: bool = False
    """Nothing will follow, however short the silence: a button was let go, or no sound comes any more."""
    is_over: bool = False
    partial: asyncio.Task[None] | None = None
    partial_at: int = 0
    """Bytes of the recording at the last partial."""
    partial_every: int = 0
    """Bytes between two."""
    spoke_at: float = field(default_factory=time.monotonic)
    """When the newest frame of speech came."""
    done: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its words have been handed on."""
    levels: list[float] = field(default_factory=list)
    """In dBFS, of each frame."""
    _before: bytes = b""
    """The last seconds of the pieces before."""

    def add(self, pcm: bytes, level_dbfs: float) -> None:
        """The next frame."""
        self.recording.pcm += pcm
        self.levels.append(level_dbfs)

    @property
    def seconds(self) -> float:
        """Of the recording so far."""
        return len(self.recording.pcm) / HEARING_BYTES_PER_S

    @property
    def said(self) -> str:
        """The words of the pieces before, as far as they are known."""
        known = [task.result() for task in self.pieces if task.done() and not task.cancelled()]
        return " ".join(text for text in known if text)

    def whole(self, text: str) -> str:
        """The words of the pieces before, and these."""
        return " ".join(part for part in (self.said, text) if part)

    def last(self, seconds: float) -> bytes:
        """The end of all that was said, in one piece or several."""
        size = round(seconds * HEARING_BYTES_PER_S)
        pcm = bytes(self.recording.pcm[-size:])
        return (self._before + pcm)[-size:]

    def sound(self) -> Sound:
        """What is known of it without understanding it."""
        loudest = sorted(self.levels)[-LOUD_FRAMES:]
        return Sound(self.seconds, self.voiced_ms, sum(loudest) / len(loudest) if loudest else -100.0)

    def next_piece(self, recording: Recording, words: asyncio.Task[str], *, is_silent: bool) -> None:
        """What was said until now is one recording, what follows another."""
        self._before = self.last(KEPT_S)
        self.pieces.append(words)
        self.recording, self.agreement = recording, Agreement()
        self.pause += 1
        # In a pause the new piece is empty, and that is known.
        self.known, self.asked = ((self.pause, ""), self.pause) if is_silent else (None, -1)
        self.partial_at = self.voiced_ms = 0
        self.levels = []


def as_pcm(samples: Floats) -> bytes:
    """s16le."""
    return bytes(np.rint(np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())
