"""Assembly: clips and silences, one after the other, and when each line begins and ends. Not: encoding.

Twice through the sound: `lay_out` finds where it begins and ends in each clip and how loud each speaker is; `blocks`
makes it. Neither ever holds more than some seconds of it, whatever the length of a clip, a line or a book.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from api.render.script import Line
from api.render.sound.clips import ms_to_samples, read_pcm, read_samples, samples_to_ms, size_of
from api.render.sound.limiting import CONTEXT, limited
from api.render.sound.loudness import NOTHING_LUFS, Loudness
from api.render.sound.placing import gains, places, samples_to_pcm
from api.render.sound.takes import Style, Take
from api.render.sound.trimming import WINDOW, Samples, SoundFinder, faded, pcm_to_samples
from contract.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ

BLOCK = SAMPLE_RATE_HZ * 2 // WINDOW * WINDOW
"""Short, so that no call into numpy keeps the lock of Python from an event loop for long."""
SILENCE_BLOCK = SAMPLE_RATE_HZ
MAX_GAIN_DB = 24.0
"""What is more silent than that is noise."""


class Cancelled(Exception):
    """Nobody wants the result any more; nothing of it is left behind."""


def never() -> bool:
    """Nobody cancels."""
    return False


@dataclass(frozen=True, slots=True)
class Clip:
    """The sound in a clip, and where it stands in the render."""

    source: Path | bytes
    first: int
    """Sample of the clip at which its sound begins."""
    length: int
    """Samples of sound."""
    start: int
    """Sample of the render at which it begins."""
    offset: int
    """Sample of the line's clips, one behind the other, at which this clip begins."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A line in the render; a silent one ends where it begins."""

    take: Take
    clips: tuple[Clip, ...]
    start: int
    end: int
    """Samples."""
    sha256: str
    """Of the line's clips as they were made."""

    @property
    def start_ms(self) -> int:
        """When it begins."""
        return samples_to_ms(self.start)

    @property
    def end_ms(self) -> int:
        """When it ends."""
        return samples_to_ms(self.end)


@dataclass(frozen=True, slots=True)
class Plan:
    """A render before its sound is made: what comes when, and how loud."""

    style: Style
    placed: tuple[Placed, ...]
    length: int
    """Samples per channel."""
    gains_db: Mapping[str, float]
    """Of each speaker."""
    places: Mapping[str, float]

    @property
    def duration_ms(self) -> int:
        """Of the whole."""
        return samples_to_ms(self.length)


def lay_out(
    takes: Sequence[Take],
    style: Style | None = None,
    pause_after_ms: int = 0,
    is_cancelled: Callable[[], bool] = never,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Plan:
    """Look at every clip and put it in its place, each speaker as loud as the style wants before any limit.

    Raises: AudioGone if a clip cannot be read, Cancelled.
    """
    style = style or Style()
    meters: dict[str, Loudness] = {}
    placed: list[Placed] = []
    at = 0
    for number, take in enumerate(takes, 1):
        meter = meters.setdefault(take.line.speaker, Loudness())
        one = place(take, style, at, not placed, meter, is_cancelled)
        placed.append(one)
        at = one.end
        on_progress(number / len(takes))
    wanted_db = {speaker: gain_db_for(meter.finish(), style) for speaker, meter in meters.items()}
    length = at + ms_to_samples(pause_after_ms)
    return Plan(style, tuple(placed), length, wanted_db, places(list(meters), style.places))


def blocks(plan: Plan, is_cancelled: Callable[[], bool] = never) -> Iterator[bytes]:
    """The whole render as s16le, interleaved if stereo, in blocks of two seconds at most.

    Raises: AudioGone, Cancelled.
    """
    at = 0
    for placed in plan.placed:
        speaker = placed.take.line.speaker
        factors = gains(plan.places[speaker], plan.style.channels)
        for clip in placed.clips:
            yield from silence(clip.start - at, plan.style.channels)
            for samples in clip_blocks(placed, clip, plan.gains_db[speaker], plan.style):
                if is_cancelled():
                    raise Cancelled
                yield samples_to_pcm(samples, factors)
            at = clip.start + clip.length
    yield from silence(plan.length - at, plan.style.channels)


def line_blocks(plan: Plan, placed: Placed) -> Iterator[bytes]:
    """One line alone as s16le mono, as loud as in the render. Raises: AudioGone."""
    at = placed.clips[0].start if placed.clips else placed.start
    for clip in placed.clips:
        yield from silence(clip.start - at, 1)
        for samples in clip_blocks(placed, clip, plan.gains_db[placed.take.line.speaker], plan.style):
            yield samples_to_pcm(samples, gains(0.0, 1))
        at = clip.start + clip.length


def clip_blocks(placed: Placed, clip: Clip, gain_db: float, style: Style) -> Iterator[Samples]:
    """The sound of a clip: faded at its edges, louder or softer, below the ceiling. Raises: AudioGone."""
    factor, ceiling = np.float32(10 ** (gain_db / 20)), 10 ** (style.peak_db / 20)
    for at in range(0, clip.length, BLOCK):
        # What is around a block decides about its limits, so that a cut between two of them is not heard.
        first, last = max(0, at - CONTEXT), min(clip.length, at + BLOCK + CONTEXT)
        samples = read_samples(placed.take.line, clip.source, clip.first + first, clip.first + last)
        shaped = limited(faded(samples, first, clip.length) * factor, ceiling)
        yield shaped[at - first : at - first + BLOCK]


def place(
    take: Take, style: Style, at: int, is_first: bool, meter: Loudness, is_cancelled: Callable[[], bool]
) -> Placed:
    """Put a line behind `at`, and let the meter hear it. Raises: AudioGone, Cancelled."""
    pause_ms = take.line.pause_before_ms
    if pause_ms is None:
        pause_ms = 0 if is_first or not take.clips else style.gap_ms
    start = end = at + ms_to_samples(pause_ms)
    clips: list[Clip] = []
    digest, offset = hashlib.sha256(), 0
    for source in take.clips:
        size, first, length = _look(take.line, source, meter, digest.update, is_cancelled)
        if length:
            begin = end + (ms_to_samples(style.piece_gap_ms) if clips else 0)
            clips.append(Clip(source, first, length, begin, offset))
            end = begin + length
        offset += size
    return Placed(take, tuple(clips), start, end, digest.hexdigest())


def _look(
    line: Line,
    source: Path | bytes,
    meter: Loudness,
    digest: Callable[[bytes], None],
    is_cancelled: Callable[[], bool],
) -> tuple[int, int, int]:
    """Samples of a clip, its first one that sounds, and how many do."""
    finder, size = SoundFinder(), size_of(line, source)
    for at in range(0, size, BLOCK):
        if is_cancelled():
            raise Cancelled
        pcm = read_pcm(line, source, at, min(size, at + BLOCK))
        digest(pcm)
        finder.push(pcm_to_samples(pcm))
    first, end = finder.finish()
    for at in range(first, end, BLOCK):
        samples = read_samples(line, source, at, min(end, at + BLOCK))
        meter.push(faded(samples, at - first, end - first))
    return size, first, end - first


def gain_db_for(lufs: float, style: Style) -> float:
    """What makes a speaker as loud as the style wants; nothing for who is silent."""
    return min(style.lufs - lufs, MAX_GAIN_DB) if lufs > NOTHING_LUFS else 0.0


def silence(samples: int, channels: int) -> Iterator[bytes]:
    """In blocks of a second."""
    for at in range(0, samples, SILENCE_BLOCK):
        yield bytes(min(SILENCE_BLOCK, samples - at) * SAMPLE_BYTES * channels)
