"""Chunk: a slice of one sentence's PCM, and its 16-byte header, the same in Redis and on the socket.

Every sentence is cut on one fixed grid: part 0 holds 40 ms, each later one 100 ms, the last what is left. So a
part's number names its samples, whichever attempt made it, and an attempt can go on where another fell silent.
Only lines of renders, which nobody hears before all of them is there, are cut as they come.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from contract.audio import SAMPLE_BYTES, ms_to_bytes

HEADER = struct.Struct("<IIIHBB")
"""u32 turn, u32 sentence, u32 part, u16 attempt, u8 flags, u8 version."""
VERSION = 1
LAST, FAILED = 1, 2

FIRST_PART_BYTES = ms_to_bytes(40)
"""Small, so that the first sound leaves early."""
PART_BYTES = ms_to_bytes(100)
MAX_PARTS = 1_200
"""Two minutes: more than any sentence of 240 characters; what bounds a stream in bytes."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A slice of one sentence's PCM under its sequence number (turn, sentence, part)."""

    turn: int
    sentence: int
    part: int
    attempt: int
    pcm: bytes
    """s16le mono, 24 kHz, whole samples; empty in a tombstone."""
    last: bool = False
    failed: bool = False

    def pack(self) -> bytes:
        """Header and PCM as they travel."""
        flags = LAST * self.last | FAILED * self.failed
        header = HEADER.pack(self.turn, self.sentence, self.part, self.attempt, flags, VERSION)
        return header + self.pcm


def unpack(frame: bytes) -> Chunk:
    """Read one frame.

    Raises: ValueError if it is no frame of ours.
    """
    if len(frame) < HEADER.size:
        raise ValueError(f"a frame has at least {HEADER.size} bytes, not {len(frame)}")
    turn, sentence, part, attempt, flags, version = HEADER.unpack_from(frame)
    if version != VERSION:
        raise ValueError(f"unknown frame version {version}")
    pcm = frame[HEADER.size :]
    if len(pcm) % SAMPLE_BYTES:
        raise ValueError("half a sample at the end of a frame")
    return Chunk(turn, sentence, part, attempt, pcm, bool(flags & LAST), bool(flags & FAILED))


def tombstone(turn: int, sentence: int, part: int, attempt: int) -> Chunk:
    """The end of a sentence that could not be spoken: last, failed, empty."""
    return Chunk(turn, sentence, part, attempt, b"", last=True, failed=True)


def part_size(part: int) -> int:
    """Bytes of a full part on the grid."""
    return FIRST_PART_BYTES if part == 0 else PART_BYTES


def part_start(part: int) -> int:
    """Byte of the sentence at which a part begins."""
    return 0 if part == 0 else FIRST_PART_BYTES + (part - 1) * PART_BYTES


MAX_PCM_BYTES = part_start(MAX_PARTS)
"""Of one sentence or line."""
