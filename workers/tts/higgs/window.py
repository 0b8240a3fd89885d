"""Cuts one sentence's codes into windows to decode, and their samples into what is heard. Not: the decoding.

The first piece leaves before anything behind it exists; where it ends, its last 20 ms are crossed with the same
20 ms decoded again. From there on every sample is that of one decode of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workers.tts.higgs.codec import FRAME_SAMPLES, RATE_HZ, REACH, Samples

PIECES = (10, 10, 15, 25)
"""Frames of the first pieces: 0.4 s are enough to begin, and while they are heard the next must be made."""
PIECE = 50
"""Frames of every further one: the longer, the less is decoded twice."""
WIDTH = REACH + 1 + PIECE + REACH
"""Frames that a window has at least, if there are so many before it."""
COMMON_WIDTHS = (10, 30, 45, 70, WIDTH)
"""Of the first pieces and all but a short sentence's last."""
FADE_SAMPLES = RATE_HZ // 50


@dataclass(frozen=True, slots=True)
class Window:
    """Frames [low, high) are to be decoded, of which [start, end) are new."""

    start: int
    end: int
    low: int
    high: int
    is_last: bool

    @property
    def width(self) -> int:
        """In frames; windows of one width can be decoded together."""
        return self.high - self.low


class Windows:
    """One sentence on its way from codes to sound."""

    def __init__(self) -> None:
        self._heard = 0
        self._pieces = 0
        self._tail: Samples | None = None

    @property
    def wanted(self) -> int:
        """Frames that must exist before the next window can be cut."""
        size = PIECES[self._pieces] if self._pieces < len(PIECES) else PIECE
        return self._heard + size + (REACH if self._heard else 0)

    def cut(self, frames: int, *, is_last: bool) -> Window | None:
        """The next window, given how many frames there are; None: nothing is to be decoded (any more)."""
        start = self._heard
        end = frames if is_last or not start else frames - REACH
        if end <= start:
            return None
        self._heard = end
        self._pieces += 1
        high = min(frames, end + REACH)
        # One frame more than it reaches: the fade goes back by half of one. What lies further back changes nothing,
        # and makes nearly all windows one shape.
        return Window(start, end, max(0, min(start - REACH - 1, high - WIDTH)), high, is_last)

    def take(self, window: Window, samples: Samples) -> Samples:
        """What is heard of a window's samples, float32."""
        skip = (window.start - window.low) * FRAME_SAMPLES
        heard = samples[skip : skip + (window.end - window.start) * FRAME_SAMPLES]
        if self._tail is not None:
            again = samples[skip - FADE_SAMPLES : skip]
            rising = np.linspace(0, 1, FADE_SAMPLES, dtype=np.float32)
            heard = np.concatenate([self._tail * (1 - rising) + again * rising, heard])
            self._tail = None
        if window.start == 0 and not window.is_last:
            heard, self._tail = heard[:-FADE_SAMPLES], heard[-FADE_SAMPLES:].copy()
        return heard

    def rest(self) -> Samples:
        """What is still held when nothing follows."""
        held = self._tail if self._tail is not None else np.zeros(0, np.float32)
        self._tail = None
        return held


def as_pcm(samples: Samples) -> bytes:
    """s16le; the decoder's output is not bounded."""
    return bytes(np.rint(np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())
