"""Clips: samples out of a file or out of memory, a few seconds at a time. Not: where files of a line lie."""

from __future__ import annotations

from pathlib import Path

from api.errors import AudioGone
from api.render.script import Line
from api.render.sound.trimming import Samples, pcm_to_samples
from contract.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ


def samples_to_ms(samples: int) -> int:
    """To the nearest millisecond."""
    return (samples * 1000 + SAMPLE_RATE_HZ // 2) // SAMPLE_RATE_HZ


def ms_to_samples(ms: int) -> int:
    """Samples of one channel."""
    return ms * SAMPLE_RATE_HZ // 1000


def size_of(line: Line, source: Path | bytes) -> int:
    """Samples of a clip. Raises: AudioGone."""
    if isinstance(source, bytes):
        return len(source) // SAMPLE_BYTES
    try:
        return source.stat().st_size // SAMPLE_BYTES
    except OSError as error:
        raise _gone(line) from error


def read_samples(line: Line, source: Path | bytes, first: int, end: int) -> Samples:
    """Samples from `first` to before `end`. Raises: AudioGone."""
    return pcm_to_samples(read_pcm(line, source, first, end))


def read_pcm(line: Line, source: Path | bytes, first: int, end: int) -> bytes:
    """The same as s16le. Raises: AudioGone."""
    if isinstance(source, bytes):
        return source[first * SAMPLE_BYTES : end * SAMPLE_BYTES]
    try:
        with source.open("rb") as file:
            file.seek(first * SAMPLE_BYTES)
            pcm = file.read((end - first) * SAMPLE_BYTES)
    except OSError as error:
        raise _gone(line) from error
    if len(pcm) < (end - first) * SAMPLE_BYTES:
        raise _gone(line)
    return pcm


def _gone(line: Line) -> AudioGone:
    return AudioGone(f"The sound of line {line.number} is not there any more: render it again.")
