"""PCM on its way out: any rate to 24 kHz, any blocks to the fixed grid. It must never know who speaks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import soxr

from contract.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, ms_to_bytes
from contract.chunk import MAX_PARTS, MAX_PCM_BYTES, part_size

FADE_SAMPLES = SAMPLE_RATE_HZ * 5 // 1000
LINE_PART_BYTES, LINE_PART_S = ms_to_bytes(10_000), 1.0
"""A part of a line has so much sound, or what was made in this time: an engine that is slow is seen to go on."""
SEAM_PAUSE_MS = 80
"""Long enough to be heard as a new start, short enough not to be taken for its end."""


class Resampler:
    """One sentence's way to 24 kHz: `push` every block, then `flush` once.

    What comes out depends on the samples alone, never on where the blocks were cut. The filter holds back
    about 23 ms until `flush`, and adds no delay to the sound itself.
    """

    def __init__(self, rate_hz: int) -> None:
        self._stream = None
        if rate_hz != SAMPLE_RATE_HZ:
            # Floats on purpose: for int16 soxr adds dither with a seed of its own, and the same samples
            # came out differently each time.
            self._stream = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")

    def push(self, block: bytes) -> bytes:
        """s16le mono at the engine's rate, whole samples, to 24 kHz; empty while the filter fills."""
        return self._resample(block, last=False)

    def flush(self) -> bytes:
        """What the filter still holds."""
        return self._resample(b"", last=True)

    def _resample(self, block: bytes, last: bool) -> bytes:
        if self._stream is None:
            return block
        samples = np.frombuffer(block, "<i2").astype(np.float32)
        resampled = np.rint(self._stream.resample_chunk(samples, last=last))
        return bytes(np.clip(resampled, -32_768, 32_767).astype("<i2").tobytes())


def resampled(samples: npt.NDArray[np.float32], from_hz: int, to_hz: int) -> npt.NDArray[np.float32]:
    """All of a mono recording at another rate."""
    return np.asarray(soxr.resample(samples, from_hz, to_hz), np.float32)


def blocks_of(pcm: bytes, block_ms: int = 100) -> Iterator[bytes]:
    """`pcm` in blocks short enough to be stopped between; whole samples, none empty."""
    size = ms_to_bytes(block_ms)
    for start in range(0, len(pcm), size):
        yield pcm[start : start + size]


def seamed(blocks: Iterable[bytes], last_sample: int) -> Iterator[bytes]:
    """A start that may follow any sound: `last_sample` fades out, a short pause, then the blocks fade in."""
    rising = np.linspace(0, 1, FADE_SAMPLES, endpoint=False)
    falling = np.rint(last_sample * (1 - rising)).astype("<i2")
    yield bytes(falling.tobytes()) + bytes(ms_to_bytes(SEAM_PAUSE_MS))
    faded = 0
    for block in blocks:
        samples = np.frombuffer(block, "<i2").astype(np.float64)
        slope = rising[faded : faded + len(samples)]
        samples[: len(slope)] *= slope
        faded += len(slope)
        yield bytes(np.rint(samples).astype("<i2").tobytes())


def grid(blocks: Iterable[bytes], first: int = 0) -> Iterator[tuple[int, bytes, bool]]:
    """Cut blocks of any size into (part, pcm, last) on the grid of `contract.chunk`, from part `first` on.

    A full part leaves at once, without waiting to learn whether it was the last; so a sentence that ends
    exactly on the grid ends with an empty part. `last` is true exactly once, part `first` if there is no audio.
    What goes beyond `MAX_PARTS`, and half a sample at the very end, is cut off. The caller closes `blocks`.
    """
    part, held = first, bytearray()
    for block in blocks:
        held += block
        while len(held) >= (size := part_size(part)):
            pcm = bytes(held[:size])
            del held[:size]
            yield part, pcm, part + 1 == MAX_PARTS
            part += 1
            if part == MAX_PARTS:
                return
    del held[len(held) - len(held) % SAMPLE_BYTES :]
    yield part, bytes(held), True


def gathered(blocks: Iterable[bytes], clock: Callable[[], float] = time.monotonic) -> Iterator[tuple[int, bytes, bool]]:
    """As `grid`, for a line that nobody hears before its end: few parts, as large as they come."""
    part, held, room, began = 0, bytearray(), MAX_PCM_BYTES, clock()
    for block in blocks:
        held += block[:room]
        room -= len(block)
        if room <= 0:
            break
        if len(held) >= LINE_PART_BYTES or clock() - began > LINE_PART_S:
            whole = len(held) - len(held) % SAMPLE_BYTES
            yield part, bytes(held[:whole]), False
            del held[:whole]
            part, began = part + 1, clock()
    del held[len(held) - len(held) % SAMPLE_BYTES :]
    yield part, bytes(held), True
