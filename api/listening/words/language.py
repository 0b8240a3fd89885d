"""Language: the one that was chosen, or the one that was heard as soon as that is sure. Not: recognition."""

from __future__ import annotations

from contract.transcribe import Transcript

SURE, LIKELY = 0.7, 0.5
MIN_VOICED_MS = 1500
"""Shorter utterances sound like any language."""


class Language:
    """Of one speaker."""

    def __init__(self, chosen: str = "") -> None:
        self.code = chosen
        """ISO 639-1; empty while it is not known."""
        self._candidate = ""

    def learn(self, transcript: Transcript, voiced_ms: int) -> None:
        """Take a whole utterance."""
        if self.code or voiced_ms < MIN_VOICED_MS or not transcript.text:
            return
        found, probability = transcript.language, transcript.language_probability
        if probability >= SURE or (probability >= LIKELY and found == self._candidate):
            self.code = found
        self._candidate = found if probability >= LIKELY else ""
