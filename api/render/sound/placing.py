"""Placing: a speaker's place between left and right. Not: who speaks when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from api.render.script import NARRATOR
from api.render.sound.trimming import Samples

WIDTH = 0.6
"""How far apart speakers stand who were given no place: -1 is left, 1 right."""


def places(speakers: Iterable[str], wanted: Mapping[str, float]) -> dict[str, float]:
    """A place for each speaker: the wanted one, else side by side as they first speak, the narrator in the middle."""
    names = list(speakers)
    known = {name.casefold(): min(max(place, -1.0), 1.0) for name, place in wanted.items()}
    known.setdefault(NARRATOR.casefold(), 0.0)
    free = [name for name in names if name.casefold() not in known]
    spread = [-WIDTH + 2 * WIDTH * number / (len(free) - 1) for number in range(len(free))] if len(free) > 1 else [0.0]
    return {name: known[name.casefold()] for name in names if name.casefold() in known} | dict(
        zip(free, spread, strict=False)
    )


def gains(place: float, channels: int) -> npt.NDArray[np.float32]:
    """Factor on each channel; together as loud everywhere (equal power)."""
    if channels == 1:
        return np.ones(1, np.float32)
    angle = (place + 1) * np.pi / 4
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def samples_to_pcm(samples: Samples, factors: npt.NDArray[np.float32]) -> bytes:
    """s16le, interleaved."""
    placed = samples[:, None] * factors[None] * np.float32(32_768)
    return bytes(np.clip(np.rint(placed), -32_768, 32_767).astype("<i2").tobytes())
