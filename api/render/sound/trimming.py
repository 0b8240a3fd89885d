"""Trimming: where the sound in a clip begins and ends, and edges without clicks. Not: how loud it is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from contract.audio import SAMPLE_RATE_HZ

Samples = npt.NDArray[np.float32]
"""Between -1 and 1, mono."""

WINDOW = SAMPLE_RATE_HZ * 5 // 1000
BELOW_PEAK_DB, FLOOR_DB = -42.0, -60.0
"""Silence is below this, against the clip's loudest window, and never above what nobody hears."""
LEAD = SAMPLE_RATE_HZ * 10 // 1000
TAIL = SAMPLE_RATE_HZ * 40 // 1000
"""Kept before and behind the sound: an f begins, and a room ends, below any threshold."""
FADE_IN, FADE_OUT = SAMPLE_RATE_HZ * 3 // 1000, SAMPLE_RATE_HZ * 20 // 1000


class SoundFinder:
    """Finds the sound in a clip that is pushed block by block; all blocks but the last hold whole windows."""

    def __init__(self) -> None:
        self._powers: list[npt.NDArray[np.float64]] = []
        self._samples = 0

    def push(self, samples: Samples) -> None:
        """The next samples."""
        whole = np.pad(samples, (0, -len(samples) % WINDOW))
        self._powers.append(np.square(whole.reshape(-1, WINDOW)).mean(axis=1, dtype=np.float64))
        self._samples += len(samples)

    def finish(self) -> tuple[int, int]:
        """First sample to keep and the one behind the last; equal if there is only silence."""
        power = np.concatenate([np.zeros(0), *self._powers])
        threshold = max(power.max(initial=0) * 10 ** (BELOW_PEAK_DB / 10), 10 ** (FLOOR_DB / 10))
        loud = np.flatnonzero(power > threshold)
        if not loud.size:
            return 0, 0
        start, end = int(loud[0]) * WINDOW - LEAD, int(loud[-1] + 1) * WINDOW + TAIL
        return max(0, start), min(self._samples, end)


def faded(samples: Samples, at: int, length: int) -> Samples:
    """Samples from `at` on of a sound of `length`, which rises from silence and falls into it."""
    fade_in, fade_out = min(FADE_IN, length // 2), min(FADE_OUT, length // 2)
    shaped = samples.copy()
    if at < fade_in:
        rise = _rising(fade_in)[at : at + len(shaped)]
        shaped[: len(rise)] *= rise
    if at + len(shaped) > length - fade_out:
        fall_at = max(0, length - fade_out - at)
        first = max(0, at - (length - fade_out))
        fall = _rising(fade_out)[::-1][first:][: len(shaped) - fall_at]
        shaped[fall_at : fall_at + len(fall)] *= fall
    return shaped


def _rising(length: int) -> Samples:
    angle = np.arange(length, dtype=np.float32) * np.float32(np.pi / max(1, length))
    rising: Samples = ((1 - np.cos(angle)) / 2).astype(np.float32)
    return rising


def pcm_to_samples(pcm: bytes) -> Samples:
    """s16le to floats; half a sample at the end is dropped."""
    return np.frombuffer(pcm, "<i2", len(pcm) // 2).astype(np.float32) / np.float32(32_768)
