"""Peaks: the outline of a line's sound, as a page draws it. Not: the sound."""

from __future__ import annotations

import numpy as np

from contract.audio import SAMPLE_RATE_HZ

PER_MINUTE = 800
WINDOW = SAMPLE_RATE_HZ * 60 // PER_MINUTE
"""Samples of one pair."""


def find_peaks(pcm: bytes) -> list[int]:
    """Least and greatest sample of each 75 ms, from -128 to 127, one after the other."""
    samples = np.frombuffer(pcm, "<i2")
    if not len(samples):
        return []
    starts = np.arange(0, len(samples), WINDOW)
    pairs = np.stack([np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)], axis=1)
    found: list[int] = (pairs >> 8).ravel().tolist()
    return found
