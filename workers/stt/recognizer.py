"""What a recognizer is. Not: which ones exist (registry.py), who calls them (transcription.py)."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from contract.transcribe import TranscribeJob, Transcript

Samples = npt.NDArray[np.float32]
"""Mono at 16 kHz, -1 to 1."""


class Recognizer(Protocol):
    """Samples → Transcript. Made once per process; `load` runs before the first recording."""

    name: str
    """Its name in the registry."""

    def load(self, *, may_download: bool = True) -> None:
        """Get ready to listen.

        Raises: RecognizerUnavailable, with what mends it.
        """

    def about(self) -> dict[str, Any]:
        """What it listens with, for people: say its model and device."""

    def transcribe(self, samples: Samples, job: TranscribeJob) -> Transcript:
        """What is said in at most half a minute of sound, as `job` asks.

        The interpreter's lock must not be held for more than half a second on end: a worker that cannot say that it
        lives is taken for dead. A library called through ctypes or numpy lets go of it.
        Raises: RecognitionError and nothing else.
        """
