"""Endpointer: from probabilities to where speech begins and how long it has been silent. Not: whether a turn ends."""

from __future__ import annotations

from typing import Literal

from api.listening.sound.vad import FRAME_MS

SPEECH, SILENCE = 0.5, 0.35
"""Probabilities above and below which a frame is one or the other; between them it stays what it was."""
START_FRAMES = 3
"""96 ms; a single frame that is not speech may lie between them."""
RESUME_FRAMES = 2
"""After a pause one frame alone is a click."""
PAUSE_MS = 200
"""Silence after which what was said may be all."""
FLOOR_DBFS = -55.0
"""Softer than this nothing is speech, whatever it sounds like."""

Event = Literal["started", "resumed", "paused"]


class Endpointer:
    """One speaker: silent, or speaking with pauses, until `reset`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Wait for the next start."""
        self.is_speaking = False
        self.silence_ms = 0
        """Since the last frame of speech."""
        self.voiced_ms = 0
        """Speech since the start."""
        self._run = 0
        self._misses = 0

    def push(self, probability: float, level_dbfs: float, threshold: float = SPEECH) -> Event | None:
        """Take the next frame."""
        is_voiced = probability >= threshold and level_dbfs > FLOOR_DBFS
        if not self.is_speaking:
            return self._wait(is_voiced)
        is_paused = self.silence_ms >= PAUSE_MS
        if is_voiced or (not is_paused and probability >= SILENCE and level_dbfs > FLOOR_DBFS):
            self._run += 1
            if is_paused and self._run < RESUME_FRAMES:
                self.silence_ms += FRAME_MS
                return None
            self.voiced_ms += FRAME_MS
            self.silence_ms = 0
            return "resumed" if is_paused else None
        self._run = 0
        self.silence_ms += FRAME_MS
        return "paused" if not is_paused and self.silence_ms >= PAUSE_MS else None

    def _wait(self, is_voiced: bool) -> Event | None:
        self._misses = 0 if is_voiced else self._misses + 1
        if is_voiced:
            self._run += 1
        elif self._misses > 1:
            self._run = 0
        if self._run < START_FRAMES:
            return None
        self.is_speaking, self.silence_ms, self.voiced_ms = True, 0, START_FRAMES * FRAME_MS
        return "started"
