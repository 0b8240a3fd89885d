"""Takes: lines as they were spoken, and how the render of them shall sound. Not: the sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from api.render.script import Line


@dataclass(frozen=True, slots=True)
class Style:
    """How a render sounds."""

    gap_ms: int = 350
    """Between two lines that ask for no pause of their own, 0 to 10 000."""
    piece_gap_ms: int = 120
    """Between two clips of one line, 0 to 10 000."""
    lufs: float = -16.0
    """Loudness of each speaker, after EBU R 128, -40 to -8."""
    peak_db: float = -1.0
    """Highest true peak, -20 to 0."""
    channels: int = 1
    """2: each speaker has a place between left and right."""
    places: Mapping[str, float] = field(default_factory=dict)
    """Speaker → -1 (left) to 1 (right); who is not in it stands beside the others, the narrator in the middle."""

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("gap_ms", self.gap_ms, 0, 10_000),
            ("piece_gap_ms", self.piece_gap_ms, 0, 10_000),
            ("lufs", self.lufs, -40, -8),
            ("peak_db", self.peak_db, -20, 0),
            ("channels", self.channels, 1, 2),
        ):
            if not least <= value <= most:
                raise ValueError(f"{name} must lie between {least} and {most}, not {value}")


@dataclass(frozen=True, slots=True)
class Word:
    """A spoken word, and when, in milliseconds of its line's clips as they are, one behind the other."""

    text: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Take:
    """A line as it was spoken."""

    line: Line
    clips: tuple[Path | bytes, ...] = ()
    """s16le mono, 24 kHz, one for each piece of the line; none: the line is silent."""
    words: tuple[Word, ...] = ()
    """If the engine told."""
