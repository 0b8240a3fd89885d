"""MicFrame: what a microphone sends, 8 bytes of header and samples. Not: what is heard in it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from api.errors import MessageInvalid

HEADER = struct.Struct("<II")
"""u32 timestamp in ms, u32 flags."""
SILENT, FIRST, LAST, PLAYING = 1 << 8, 1 << 9, 1 << 10, 1 << 11
PLAYBACK_SHIFT = 16
QUIETEST_DBFS = -60.0


@dataclass(frozen=True, slots=True)
class MicFrame:
    """One frame."""

    ms: int
    """Of the client's own clock."""
    is_first: bool
    """After a pause in which nothing was sent."""
    is_last: bool
    """The button was let go: what was said is complete."""
    is_playing: bool
    """The client's speaker sounds."""
    playback_dbfs: float
    """How loud, if it says so; else -60."""
    samples: npt.NDArray[np.float32]


def read_frame(data: bytes) -> MicFrame:
    """Raises: MessageInvalid."""
    if len(data) < HEADER.size or (len(data) - HEADER.size) % 2:
        raise MessageInvalid("A microphone frame is 8 bytes of header and whole 16-bit samples.")
    ms, flags = HEADER.unpack_from(data)
    samples = np.frombuffer(data, "<i2", offset=HEADER.size).astype(np.float32) / np.float32(32_768)
    loudness = flags >> PLAYBACK_SHIFT & 0xFF
    playback_dbfs = QUIETEST_DBFS * (1 - loudness / 255)
    return MicFrame(ms, bool(flags & FIRST), bool(flags & LAST), bool(flags & PLAYING), playback_dbfs, samples)


def level_dbfs(samples: npt.NDArray[np.float32]) -> float:
    """Loudness of some samples; -100 for silence."""
    power = float(np.dot(samples, samples)) / max(len(samples), 1)
    return 10 * float(np.log10(power)) if power > 1e-10 else -100.0
