"""An engine that costs what a small network costs a processor: one thread of it, in blocks. It says nothing at all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from contract.audio import SAMPLE_BYTES, ms_to_bytes
from contract.voice import Voice
from workers.tts.engine import Pool, VoiceInfo

BLOCK_MS, MS_PER_CHAR = 100, 65
LAYERS = 240
"""A block passes through so many; all of them take about a twentieth of the time that it lasts."""


class NetworkEngine:
    """What comes out of one layer goes into the next; no layer has learnt anything."""

    name = "network"
    pool: Pool = "prefork"
    repeatable = True
    version = "1"

    def load(self) -> None:
        """There is nothing to load."""

    def voices(self) -> list[VoiceInfo]:
        """Two names for one sound."""
        return [VoiceInfo(name, name, "en-us") for name in ("en-us+f3", "en-gb+m3")]

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        """Yield s16le mono 24 kHz PCM, as much of it as the text would be."""
        samples = ms_to_bytes(BLOCK_MS) // SAMPLE_BYTES
        for place in range(max(1, len(text) * MS_PER_CHAR // BLOCK_MS)):
            block = np.linspace(0.0, 1.0 + place, samples)
            for layer in range(LAYERS):
                block = np.tanh(np.sin(block * layer))
            yield (block * 8000).astype("<i2").tobytes()
