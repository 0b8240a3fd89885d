"""Limiting: no true peak above a ceiling, without being heard. Not: loudness.

Between two samples the wave may go higher than both: it is looked at four times as finely. Where it exceeds the
ceiling the gain sinks beforehand and rises behind, over a few milliseconds each.
"""

from __future__ import annotations

import numpy as np

from api.render.sound.trimming import Samples
from contract.audio import SAMPLE_RATE_HZ

REACH = SAMPLE_RATE_HZ * 4 // 1000
"""Samples over which the gain sinks, and over which it rises again."""
_OVERSAMPLING, _TAPS = 4, 24
HEADROOM = 0.99
"""For what stands between the quarters that are looked at, and for rounding."""
CONTEXT = 2 * REACH + _TAPS
"""Samples around a block that decide about it."""


def _phases() -> list[Samples]:
    """Filters that give the wave at each quarter between two samples: a windowed sinc."""
    at = np.arange(_TAPS) - _TAPS / 2 + 1
    window = np.kaiser(_TAPS * _OVERSAMPLING + 1, 7.0)
    phases = []
    for phase in range(_OVERSAMPLING):
        taps = np.sinc(at - phase / _OVERSAMPLING)
        places = (np.arange(_TAPS) + 1) * _OVERSAMPLING - phase
        phases.append((taps * window[places]).astype(np.float32))
    return phases


_PHASES = _phases()


def true_peaks(samples: Samples) -> Samples:
    """At each sample the highest that the wave reaches from there to the next."""
    if not samples.size:
        return samples
    peaks = np.abs(samples)
    for phase in _PHASES[1:]:
        # The place of a tap: what `at` is 0 for stands at the sample itself.
        wave = np.convolve(samples, phase[::-1])[_TAPS // 2 : _TAPS // 2 + len(samples)]
        np.maximum(peaks, np.abs(wave), out=peaks)
    return peaks


def limited(samples: Samples, ceiling: float) -> Samples:
    """The same below `ceiling` (1 is full scale), at the same place in time."""
    ceiling *= HEADROOM
    # No wave of ours swings more than twice as high between samples: most clips need no further look.
    if np.abs(samples).max(initial=0) <= ceiling / 2:
        return samples
    peaks = true_peaks(samples)
    over = peaks > ceiling
    if not over.any():
        return samples
    gain = np.ones(len(samples) + 2 * REACH, np.float32)
    gain[REACH:-REACH][over] = ceiling / peaks[over]
    gain = _lowest_within(gain, REACH)
    smooth = np.hanning(2 * REACH + 3)[1:-1].astype(np.float32)
    gain = np.convolve(gain, smooth / smooth.sum(), "same")[REACH:-REACH]
    # What is far from any peak stays as it was, to the bit.
    gain[gain > 1 - 1e-6] = 1
    return (samples * gain).astype(np.float32)


def _lowest_within(values: Samples, reach: int) -> Samples:
    """At each place the lowest value not farther than `reach`, by doubling the look."""
    low, seen = values, 1
    while seen < 2 * reach + 1:
        step = min(seen, 2 * reach + 1 - seen)
        shifted = np.concatenate([low[step:], np.ones(step, np.float32)])
        low, seen = np.minimum(low, shifted), seen + step
    return np.concatenate([np.ones(reach, np.float32), low[: len(values) - reach]])
