"""Doubt: what a recognizer makes up out of silence and noise is not taken for words. Not: the recognizer."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from contract.transcribe import Segment, Transcript

MIN_VOICED_MS = 120
MIN_LEVEL_DBFS = -50.0
"""Less of either is not even shown to the recognizer."""
NO_SPEECH_PROB, NO_SPEECH_LOGPROB = 0.6, -0.8
MIN_LOGPROB = -1.25
MAX_COMPRESSION = 2.4
MAX_CHARS_PER_S = 35
LOOP_WORDS, LOOP_TIMES = 4, 4
"""So many words at most, so often in a row, are a decoder that runs in a circle."""
PHANTOM_VOICED_MS, PHANTOM_LEVEL_DBFS = 350, -48.0
PHANTOMS = {
    "thank you",
    "thanks for watching",
    "thank you for watching",
    "you",
    "bye",
    "subtitles by the amara.org community",
    "untertitel der amara.org-community",
    "vielen dank",
}
"""What Whisper has seen most often under silence; believed of a loud, long enough sound only."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What is known of a recording without understanding it."""

    seconds: float
    voiced_ms: int
    level_dbfs: float
    """Of its loudest moments."""

    @property
    def is_worth_a_look(self) -> bool:
        """Whether it can hold a word at all."""
        return self.voiced_ms >= MIN_VOICED_MS and self.level_dbfs >= MIN_LEVEL_DBFS


def believed(transcript: Transcript, sound: Sound) -> str:
    """The text without what was made up; empty if all of it was."""
    if not sound.is_worth_a_look:
        return ""
    text = sure(transcript).text
    if len(text) > MAX_CHARS_PER_S * max(sound.seconds, 0.5) or _runs_in_a_circle(text):
        return ""
    return "" if _is_phantom(text, sound) else text


def sure(transcript: Transcript) -> Transcript:
    """Without the segments that were made up."""
    return replace(transcript, segments=tuple(part for part in transcript.segments if not _is_made_up(part)))


def _is_made_up(segment: Segment) -> bool:
    sounds_empty = segment.no_speech_prob > NO_SPEECH_PROB and segment.avg_logprob < NO_SPEECH_LOGPROB
    return sounds_empty or segment.avg_logprob < MIN_LOGPROB or segment.compression_ratio > MAX_COMPRESSION


def _is_phantom(text: str, sound: Sound) -> bool:
    is_faint = sound.voiced_ms < PHANTOM_VOICED_MS or sound.level_dbfs < PHANTOM_LEVEL_DBFS
    return is_faint and re.sub(r"[^\w .\-]", "", text.casefold()).strip(" .") in PHANTOMS


def _runs_in_a_circle(text: str) -> bool:
    words = text.casefold().split()
    for length in range(1, LOOP_WORDS + 1):
        for start in range(len(words) - length * LOOP_TIMES + 1):
            piece = words[start : start + length]
            times = LOOP_TIMES if length > 1 else LOOP_TIMES + 2
            if words[start : start + length * times] == piece * times:
                return True
    return False
