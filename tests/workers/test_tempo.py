"""Speed and pitch for engines that have neither, on a voice that can be measured."""

from __future__ import annotations

import numpy as np
import pytest

from contract.voice import Voice
from tests.workers.test_engines import pitch_hz
from workers.tempo import altered
from workers.tts.espeak import EspeakEngine

SECOND = 48_000


@pytest.fixture(scope="module")
def tone() -> bytes:
    engine = EspeakEngine()
    engine.load()
    return b"".join(engine.speak("Many men may moan all morning long.", Voice(), 1))


def made(pcm: bytes, rate: float, pitch: float) -> bytes:
    return b"".join(altered([pcm[start : start + 4_800] for start in range(0, len(pcm), 4_800)], rate, pitch))


@pytest.mark.parametrize("rate", [0.25, 0.5, 1.5, 4.0])
def test_a_rate_changes_the_length_and_not_the_pitch(tone: bytes, rate: float) -> None:
    changed = made(tone, rate, 1.0)
    assert abs(len(changed) * rate / len(tone) - 1) < 0.1
    assert abs(pitch_hz(changed) / pitch_hz(tone) - 1) < 0.15


@pytest.mark.parametrize("pitch", [0.75, 2.0])
def test_a_pitch_changes_the_pitch_and_not_the_length(tone: bytes, pitch: float) -> None:
    changed = made(tone, 1.0, pitch)
    assert abs(len(changed) / len(tone) - 1) < 0.1
    assert abs(pitch_hz(changed) / pitch_hz(tone) / pitch - 1) < 0.2


def test_without_a_change_every_sample_stays(tone: bytes) -> None:
    assert made(tone, 1.0, 1.0) == tone


def test_the_same_sound_is_altered_in_the_same_way_and_in_whole_samples(tone: bytes) -> None:
    assert made(tone, 1.7, 1.2) == made(tone, 1.7, 1.2)
    assert not len(made(tone, 1.7, 1.2)) % 2
    assert np.frombuffer(made(tone, 1.7, 1.2), "<i2").any()
