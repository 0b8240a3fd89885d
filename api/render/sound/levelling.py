"""Levelling: a plan whose speakers, and the whole, are as loud as wanted behind the limiter. Not: where lines stand.

The limiter takes up to a decibel of peaky voices, and the edges of many short lines count as softer speech. Both are
measured on the sound as it will be, on its beginning only: a book's tenth hour is as loud as its first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from api.render.sound.assembly import Cancelled, Placed, Plan, clip_blocks, lay_out, never
from api.render.sound.loudness import NOTHING_LUFS, Loudness
from api.render.sound.takes import Style, Take
from contract.audio import SAMPLE_RATE_HZ

SPEAKER_SAMPLES = SAMPLE_RATE_HZ * 60
WHOLE_SAMPLES = SAMPLE_RATE_HZ * 60 * 10
ROUNDS, MAX_LOSS_DB, MAX_OFFSET_DB = 3, 3.0, 1.5


def prepare(
    takes: Sequence[Take],
    style: Style | None = None,
    pause_after_ms: int = 0,
    is_cancelled: Callable[[], bool] = never,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Plan:
    """Look at every clip; `on_progress` is told the share that is done.

    Raises: AudioGone if a clip cannot be read, Cancelled.
    """
    plan = lay_out(takes, style or Style(), pause_after_ms, is_cancelled, on_progress)
    gains_db = {
        speaker: _without_loss(plan, [one for one in plan.placed if one.take.line.speaker == speaker], is_cancelled)
        for speaker in plan.gains_db
    }
    plan = replace(plan, gains_db=gains_db)
    lufs = _loudness(_first(plan.placed, WHOLE_SAMPLES), gains_db, plan.style, is_cancelled, with_gaps=True)
    offset_db = plan.style.lufs - lufs if lufs > NOTHING_LUFS else 0.0
    offset_db = min(max(offset_db, -MAX_OFFSET_DB), MAX_OFFSET_DB)
    return replace(plan, gains_db={speaker: gain_db + offset_db for speaker, gain_db in gains_db.items()})


def _without_loss(plan: Plan, said: list[Placed], is_cancelled: Callable[[], bool]) -> float:
    """The gain of a speaker with what the limiter takes put back."""
    sample, speaker = _first(said, SPEAKER_SAMPLES), said[0].take.line.speaker
    wanted_db = found_db = plan.gains_db[speaker]
    before = _loudness(sample, {speaker: 0.0}, replace(plan.style, peak_db=0.0), is_cancelled)
    for _ in range(ROUNDS if before > NOTHING_LUFS else 0):
        loss = before + found_db - _loudness(sample, {speaker: found_db}, plan.style, is_cancelled)
        found_db = wanted_db + min(max(loss, 0.0), MAX_LOSS_DB)
    return found_db


def _first(placed: Sequence[Placed], samples: int) -> list[Placed]:
    """Lines until there is that much sound."""
    found: list[Placed] = []
    for one in placed:
        if samples <= 0:
            break
        found.append(one)
        samples -= sum(clip.length for clip in one.clips)
    return found


def _loudness(
    placed: Sequence[Placed],
    gains_db: dict[str, float],
    style: Style,
    is_cancelled: Callable[[], bool],
    *,
    with_gaps: bool = False,
) -> float:
    meter, at = Loudness(), 0
    for one in placed:
        for clip in one.clips:
            if with_gaps:
                meter.push(np.zeros(clip.start - at, np.float32))
                at = clip.start + clip.length
            for samples in clip_blocks(one, clip, gains_db[one.take.line.speaker], style):
                if is_cancelled():
                    raise Cancelled
                meter.push(samples)
    return meter.finish()
