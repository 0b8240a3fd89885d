"""Real speech for tests: espeak's voices as a microphone would send them, on a socket, over noise, with known edges."""

from __future__ import annotations

import asyncio
import struct
import time
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from contract.audio import SAMPLE_RATE_HZ
from contract.voice import Voice
from tests.harness import Client
from workers.tts.espeak import EspeakEngine

Pcm = npt.NDArray[np.int16]
FRAME_MS = 20
FIRST, LAST, PLAYING = 1 << 9, 1 << 10, 1 << 11
VOICES = ("en-us", "en-us+f3", "en-gb", "en-us+m3")
"""Those that the toy model understands."""


@lru_cache(maxsize=1)
def engine() -> EspeakEngine:
    made = EspeakEngine()
    made.load()
    return made


@lru_cache(maxsize=256)
def _spoken(text: str, voice: str, rate: float, rate_hz: int) -> Pcm:
    pcm = np.frombuffer(b"".join(engine().speak(text, Voice(voice, rate=rate), 1)), "<i2")
    loud = np.flatnonzero(np.abs(pcm) > 100)
    pcm = pcm[loud[0] : loud[-1] + 1]
    if rate_hz != SAMPLE_RATE_HZ:
        floats = soxr.resample(pcm.astype(np.float32), SAMPLE_RATE_HZ, rate_hz)
        pcm = np.clip(np.rint(floats), -32_768, 32_767).astype("<i2")
    return pcm


def spoken(text: str, voice: str = "en-us", rate: float = 0.9, rate_hz: int = SAMPLE_RATE_HZ) -> Pcm:
    """Speech without the silence around it: its edges are its first and last sample."""
    return _spoken(text, voice, rate, rate_hz)


def silence(ms: float, rate_hz: int = SAMPLE_RATE_HZ) -> Pcm:
    return np.zeros(int(ms * rate_hz / 1000), "<i2")


def noise(samples: int, dbfs: float, seed: int = 1) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(samples) * 32_768 * 10 ** (dbfs / 20)


def over(pcm: Pcm, sound: npt.NDArray[np.float64]) -> Pcm:
    """Both at once."""
    return np.clip(np.rint(pcm + sound[: len(pcm)]), -32_768, 32_767).astype("<i2")


def level(pcm: npt.NDArray[Any]) -> float:
    return float(10 * np.log10(np.mean((pcm / 32_768.0) ** 2) + 1e-12))


def frame(pcm: Pcm | bytes, flags: int = 0, ms: int = 0) -> bytes:
    """As the page sends it."""
    return struct.pack("<II", ms, flags) + (pcm if isinstance(pcm, bytes) else pcm.tobytes())


class Microphone:
    """Sends sound on a socket in frames of 20 ms, at the pace of speech or `speed` times faster."""

    def __init__(self, client: Client, rate_hz: int = SAMPLE_RATE_HZ, speed: float = 1.0) -> None:
        self._client = client
        self._samples = rate_hz * FRAME_MS // 1000
        self._speed = speed
        self._rest = np.zeros(0, "<i2")
        self._is_first = True

    async def send(self, *sounds: Pcm, flags: int = 0) -> float:
        """Returns when the last sample has been sent, and when that was."""
        pcm = np.concatenate([self._rest, *sounds])
        whole = len(pcm) // self._samples * self._samples
        self._rest = pcm[whole:]
        started = time.monotonic()
        for number, start in enumerate(range(0, whole, self._samples)):
            wait_s = started + number * FRAME_MS / 1000 / self._speed - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            first = FIRST if self._is_first else 0
            await self._client.socket.send(frame(pcm[start : start + self._samples], flags | first))
            self._is_first = False
        return time.monotonic()

    async def let_go(self) -> None:
        """The button."""
        await self._client.socket.send(frame(b"", LAST))
        self._is_first = True
