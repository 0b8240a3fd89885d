"""Where speech begins and ends, at any rate, in noise, softly: real speech, the real network, known edges."""

from __future__ import annotations

import statistics
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="NOT TESTED: listening needs the extra whisper (make .venv/.dev installs it)")

from api.listening.sound.endpoint import Endpointer
from api.listening.sound.frames import level_dbfs
from api.listening.sound.resample import Resampler
from api.listening.sound.vad import FRAME_MS, FRAME_SAMPLES, Vad, VadModel
from contract.transcribe import HEARING_RATE_HZ as RATE
from tests.speaking import VOICES, Pcm, level, noise, over, silence, spoken

TEXTS = ("one two three", "hello story please", "what time", "seven dragon music thanks", "stop", "weather today")


@pytest.fixture(scope="module")
def model() -> VadModel:
    return VadModel()


def floats(pcm: Pcm) -> np.ndarray:
    return pcm.astype(np.float32) / np.float32(32_768)


def edges(model: VadModel, pcm: Pcm, end_ms: int = 480) -> list[tuple[float, float]]:
    """(start, end) of each utterance that is heard, in ms; a start is where its first frame of speech began."""
    vad, endpointer, found = Vad(model), Endpointer(), []
    started = 0.0
    for number in range(len(pcm) // FRAME_SAMPLES):
        frame = floats(pcm[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES])
        event = endpointer.push(vad.probability(frame), level_dbfs(frame))
        now = (number + 1) * FRAME_MS
        if event == "started":
            started = now - 3 * FRAME_MS
        if endpointer.is_speaking and endpointer.silence_ms >= end_ms:
            found.append((started, now - endpointer.silence_ms))
            endpointer.reset()
    return found


def utterances(dbfs: float = -23.0) -> list[Pcm]:
    made = [spoken(text, voice, rate_hz=RATE) for voice in VOICES for text in TEXTS]
    return [np.rint(pcm * 10 ** ((dbfs - level(pcm)) / 20)).astype("<i2") for pcm in made]


@pytest.mark.parametrize(("snr_db", "late_ms"), [(None, 110), (20, 170), (10, 300)])
def test_speech_is_found_where_it_is(model: VadModel, snr_db: float | None, late_ms: int) -> None:
    early, late = [], []
    for number, speech in enumerate(utterances()):
        before, after = silence(700, RATE), silence(900, RATE)
        room = np.concatenate((before, speech, after))
        if snr_db is not None:
            room = over(room, noise(len(room), -23 - snr_db, seed=number))
        found = edges(model, room)
        assert len(found) == 1, f"utterance {number} is heard {len(found)} times"
        early.append(found[0][0] - 700)
        late.append(found[0][1] - 700 - len(speech) * 1000 / RATE)
    assert abs(statistics.median(early)) < 60
    assert max(early) < 200
    assert statistics.median(late) < late_ms
    assert min(late) > -200


@pytest.mark.parametrize("dbfs", [-35, -70])
def test_noise_alone_is_not_speech(model: VadModel, dbfs: float) -> None:
    sound = noise(20 * RATE, dbfs)
    hum = 32_768 * 10 ** (dbfs / 20) * np.sin(2 * np.pi * 50 * np.arange(20 * RATE) / RATE)
    assert edges(model, over(silence(20_000, RATE), sound)) == []
    assert edges(model, over(silence(20_000, RATE), hum)) == []


def test_what_is_too_soft_is_not_speech(model: VadModel) -> None:
    pieces = [np.concatenate((silence(700, RATE), speech, silence(700, RATE))) for speech in utterances(-62)]
    assert sum(len(edges(model, piece)) for piece in pieces) <= 2


def test_a_network_has_no_memory_of_its_own(model: VadModel) -> None:
    """Two who speak at once hear what each would alone."""
    one, other = (floats(np.concatenate((silence(300, RATE), spoken(text, rate_hz=RATE)))) for text in TEXTS[:2])

    def listen(vad: Vad, sound: np.ndarray, number: int) -> float:
        return vad.probability(sound[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES])

    count = min(len(one), len(other)) // FRAME_SAMPLES
    alone = Vad(model)
    expected = [listen(alone, one, number) for number in range(count)]
    first, second = Vad(model), Vad(model)
    together = []
    for number in range(count):
        together.append(listen(first, one, number))
        listen(second, other, number)
    assert together == expected


def test_the_network_loads_nothing_of_whisper() -> None:
    code = (
        "import sys; from api.listening.sound.vad import VadModel; VadModel(); import api.main;"
        "sys.exit(any(name in sys.modules for name in ('faster_whisper', 'ctranslate2', 'tokenizers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_an_api_that_does_not_listen_loads_none_of_it() -> None:
    code = "import sys; import api.main; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 22_050, 24_000, 44_100, 47_999, 48_000])
def test_any_rate_becomes_the_same_sound(rate_hz: int) -> None:
    seconds, hz = 2, 440
    tone = (0.5 * np.sin(2 * np.pi * hz * np.arange(seconds * rate_hz) / rate_hz)).astype(np.float32)
    made = Resampler(rate_hz).push(tone)
    assert abs(len(made) - seconds * RATE) < 0.01 * RATE
    inside = made[1000:-1000]
    spectrum = np.abs(np.fft.rfft(inside * np.blackman(len(inside))))
    peak = int(np.argmax(spectrum))
    assert abs(peak * RATE / len(inside) - hz) < 1
    assert abs(float(np.sqrt(np.mean(inside**2))) - 0.5 / np.sqrt(2)) < 0.005
    other = spectrum.copy()
    other[peak - 12 : peak + 13] = 0
    assert 20 * np.log10(spectrum[peak] / other.max()) > 60


@pytest.mark.parametrize("rate_hz", [24_000, 44_100, 8000])
def test_where_frames_are_cut_changes_no_sample(rate_hz: int) -> None:
    sound = np.random.default_rng(3).standard_normal(rate_hz).astype(np.float32)
    whole = Resampler(rate_hz).push(sound)
    cut, parts, place = Resampler(rate_hz), [], 0
    for size in np.random.default_rng(4).integers(1, 1500, 2000):
        parts.append(cut.push(sound[place : place + size]))
        place += int(size)
        if place >= len(sound):
            break
    assert np.array_equal(np.concatenate(parts), whole)


def test_what_16_khz_cannot_hold_is_not_folded_into_it() -> None:
    high = np.sin(2 * np.pi * 11_000 * np.arange(48_000) / 48_000).astype(np.float32)
    made = Resampler(48_000).push(high)
    assert level_dbfs(made[200:-200]) < -60
