"""The head of a wav file, its length known or not. Not: what follows it."""

from __future__ import annotations

import struct

from contract.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ

HEAD_BYTES = 44
UNKNOWN = 0xFFFF_FFFF


def wav_head(size: int | None, channels: int = 1) -> bytes:
    """For `size` bytes of PCM; while nobody knows how many, or there are more than 4 GiB, sizes are at their maximum.

    Source: the de facto practice of ffmpeg and sox when they write to a pipe.
    """
    is_known = size is not None and size + 36 < UNKNOWN
    data, riff = (size, size + 36) if size is not None and is_known else (UNKNOWN, UNKNOWN)
    frame_bytes = channels * SAMPLE_BYTES
    fmt = struct.pack(
        "<4sIHHIIHH",
        *(b"fmt ", 16, 1, channels, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * frame_bytes, frame_bytes, 8 * SAMPLE_BYTES),
    )
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + fmt + struct.pack("<4sI", b"data", data)
