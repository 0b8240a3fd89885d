"""Any rate from 8 to 48 kHz to the 16 kHz that is listened to, as it comes. Not: codecs, more than one channel."""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np
import numpy.typing as npt

from contract.transcribe import HEARING_RATE_HZ

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

ZEROS = 16
"""Zero crossings of the filter on each side: about a millisecond of delay, -80 dB of what must not be heard."""
MAX_PHASES = 512
"""For odd rates; between two of so many the difference cannot be heard."""
PASSBAND = 0.92


class Resampler:
    """One microphone's way to 16 kHz. What comes out depends on the samples alone, never on where frames were cut."""

    def __init__(self, rate_hz: int) -> None:
        common = gcd(rate_hz, HEARING_RATE_HZ)
        self._up, self._down = HEARING_RATE_HZ // common, rate_hz // common
        self._filters = _filters(rate_hz)
        self._half = self._filters.shape[1] // 2
        self._held = np.zeros(self._half - 1, np.float32)
        self._next = 0
        """Place of the next output sample in the held input, in steps of one `up`th of a sample."""

    def push(self, samples: Floats) -> Floats:
        """What these make, as far as the filter can see."""
        if self._up == self._down:
            return samples
        held = np.concatenate((self._held, samples))
        width = self._filters.shape[1]
        count = ((len(held) - width) * self._up - self._next) // self._down + 1
        if count <= 0:
            self._held = held
            return np.zeros(0, np.float32)
        places: Integers = self._next + np.arange(count, dtype=np.int64) * self._down
        starts, phases = places // self._up, (places % self._up) * len(self._filters) // self._up
        windows = np.lib.stride_tricks.sliding_window_view(held, width)[starts]
        out: Floats = np.einsum("ij,ij->i", windows, self._filters[phases])
        following = self._next + count * self._down
        used = min(following // self._up, len(held))
        self._held, self._next = held[used:], following - used * self._up
        return out


@lru_cache(maxsize=16)
def _filters(rate_hz: int) -> Floats:
    """One windowed sinc per phase, each for the input samples around one output sample."""
    common = gcd(rate_hz, HEARING_RATE_HZ)
    phases = min(HEARING_RATE_HZ // common, MAX_PHASES)
    cutoff = min(1.0, HEARING_RATE_HZ / rate_hz) * PASSBAND
    half = int(np.ceil(ZEROS / cutoff))
    offsets = np.arange(-half + 1, half + 1)[None, :] - (np.arange(phases) / phases)[:, None]
    window = np.cos(np.pi * np.clip(offsets / (half + 1), -1, 1) / 2) ** 2
    taps = cutoff * np.sinc(cutoff * offsets) * window
    made: Floats = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
    return made
