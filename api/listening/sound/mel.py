"""Mel: the last eight seconds of a sound as Whisper's encoder wants to see them. Not: what is seen in them.

The figures are Whisper's own: 80 bands of Slaney's scale, windows of 25 ms every 10 ms, eight powers of ten of range.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from contract.transcribe import HEARING_RATE_HZ

Floats = npt.NDArray[np.float32]

SECONDS = 8
BANDS = 80
WINDOW, HOP = 400, 160
COLUMNS = SECONDS * HEARING_RATE_HZ // HOP
_LINEAR_HZ, _LINEAR_MELS = 1000.0, 15.0
"""Below, the scale is straight; above, each octave is as wide as the last."""
_MELS_PER_LOG = 27 / np.log(6.4)
_FLOOR, _RANGE = 1e-10, 8.0


def last_seconds(samples: Floats) -> Floats:
    """BANDS rows by COLUMNS, roughly -1 to 1; what is shorter has its silence before it."""
    size = SECONDS * HEARING_RATE_HZ
    sound = np.zeros(size, np.float32)
    if len(samples):
        sound[-len(samples) :] = samples[-size:]
    sound = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    padded = np.pad(sound, WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:COLUMNS]
    power = np.square(np.abs(np.fft.rfft(windows * np.hanning(WINDOW + 1)[:-1])))
    loud = np.log10(np.maximum(_filters() @ power.T, _FLOOR))
    made: Floats = ((np.maximum(loud, loud.max() - _RANGE) + 4) / 4).astype(np.float32)
    return made


@lru_cache(maxsize=1)
def _filters() -> npt.NDArray[np.float64]:
    """One triangle per band, all of one area."""
    top = _LINEAR_MELS + np.log(HEARING_RATE_HZ / 2 / _LINEAR_HZ) * _MELS_PER_LOG
    corners = _hz(np.linspace(0, top, BANDS + 2))
    bins = np.linspace(0, HEARING_RATE_HZ / 2, WINDOW // 2 + 1)
    rising = (bins - corners[:-2, None]) / np.diff(corners)[:-1, None]
    falling = (corners[2:, None] - bins) / np.diff(corners)[1:, None]
    area = 2 / (corners[2:] - corners[:-2])
    made: npt.NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling)) * area[:, None]
    return made


def _hz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = np.maximum(mels - _LINEAR_MELS, 0)
    made: npt.NDArray[np.float64] = (
        np.minimum(mels, _LINEAR_MELS) * (_LINEAR_HZ / _LINEAR_MELS) * np.exp(above / _MELS_PER_LOG)
    )
    return made
