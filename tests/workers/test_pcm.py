"""Promises of the resampler and of the grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.audio import SAMPLE_RATE_HZ
from contract.chunk import FIRST_PART_BYTES, MAX_PARTS, MAX_PCM_BYTES, PART_BYTES, part_size, part_start
from workers.pcm import FADE_SAMPLES, SEAM_PAUSE_MS, Resampler, gathered, grid, seamed

cuts = st.lists(st.integers(0, 20_000), max_size=12)
SPEECH = (
    (np.sin(np.arange(22_050) / 9) * 12_000 + np.random.default_rng(1).normal(0, 900, 22_050)).astype("<i2").tobytes()
)


def cut(audio: bytes, sizes: list[int]) -> list[bytes]:
    blocks, start = [], 0
    for size in sizes:
        blocks.append(audio[start : start + size])
        start += size
    return [*blocks, audio[start:]]


def resample(blocks: list[bytes], rate_hz: int) -> bytes:
    resampler = Resampler(rate_hz)
    return b"".join([*(resampler.push(block) for block in blocks), resampler.flush()])


@given(st.integers(0, 20_000), cuts)
def test_the_grid_is_the_same_however_the_audio_is_cut(samples: int, sizes: list[int]) -> None:
    audio = bytes(i % 251 for i in range(2 * samples))
    assert list(grid(cut(audio, sizes))) == list(grid([audio]))


@given(st.integers(0, 20_000), cuts)
def test_the_grid_loses_nothing_and_ends_once(samples: int, sizes: list[int]) -> None:
    audio = bytes(i % 251 for i in range(2 * samples))
    parts = list(grid(cut(audio, sizes)))
    assert b"".join(pcm for _, pcm, _ in parts) == audio
    assert [part for part, _, _ in parts] == list(range(len(parts)))
    assert [last for _, _, last in parts] == [False] * (len(parts) - 1) + [True]
    assert all(len(pcm) == part_size(part) for part, pcm, last in parts if not last)


def test_no_audio_is_one_empty_last_part() -> None:
    assert list(grid([])) == list(grid([b"", b""])) == [(0, b"", True)]


def test_a_full_part_leaves_before_the_next_block_exists() -> None:
    parts = grid(iter([bytes(FIRST_PART_BYTES)]))
    assert next(parts) == (0, bytes(FIRST_PART_BYTES), False)
    assert next(parts) == (1, b"", True)


@pytest.mark.parametrize("beyond", [-2, 0, 2, 3 * PART_BYTES])
def test_endless_audio_ends_cleanly_at_the_last_part(beyond: int) -> None:
    *_, (part, pcm, last) = grid([bytes(part_start(MAX_PARTS) + beyond)])
    assert (part, last) == (MAX_PARTS - 1, True)
    assert len(pcm) == PART_BYTES + min(beyond, 0)


def test_endless_audio_is_not_read_beyond_the_last_part() -> None:
    blocks = iter([bytes(part_start(MAX_PARTS)), b"never asked for"])
    list(grid(blocks))
    assert next(blocks) == b"never asked for"


def test_half_a_sample_never_leaves() -> None:
    assert list(grid([b"abc"])) == [(0, b"ab", True)]


@given(st.lists(st.integers(0, 3_000), max_size=12))
def test_resampling_is_the_same_however_the_audio_is_cut(sizes: list[int]) -> None:
    assert resample(cut(SPEECH, [2 * size for size in sizes]), 22_050) == resample([SPEECH], 22_050)


def test_resampling_keeps_the_duration_to_the_last_sample() -> None:
    assert len(resample([SPEECH], 22_050)) == 2 * SAMPLE_RATE_HZ


def test_resampling_keeps_the_end() -> None:
    click = bytes(2 * 22_000) + np.full(50, 20_000, "<i2").tobytes()
    tail = np.frombuffer(resample([click], 22_050), "<i2")[-50:]
    assert tail.max() > 15_000


def test_resampling_clips_and_never_wraps() -> None:
    square = np.where(np.arange(22_050) % 100 < 50, 32_767, -32_768).astype("<i2")
    resampled = np.frombuffer(resample([square.tobytes()], 22_050), "<i2").astype(int)
    halves = resampled.reshape(-1)[2_000:3_000]
    assert (halves.max(), halves.min()) == (32_767, -32_768)
    assert np.count_nonzero(np.abs(np.diff(halves)) > 60_000) <= 2 * 1_000 / 108 + 2


def test_24_khz_passes_untouched() -> None:
    assert resample([SPEECH[:100], SPEECH[100:]], 24_000) == SPEECH


def test_no_audio_resamples_to_none() -> None:
    assert resample([], 22_050) == b""


LOUD = st.lists(st.integers(-32_768, 32_767), min_size=0, max_size=2_000).map(lambda s: np.array(s, "<i2").tobytes())


@given(LOUD, st.integers(-32_768, 32_767), st.lists(st.integers(1, 300), max_size=6))
def test_a_seam_fades_out_pauses_and_fades_in_wherever_the_blocks_were_cut(
    pcm: bytes, last_sample: int, sizes: list[int]
) -> None:
    blocks = cut(pcm, [2 * size for size in sizes])
    joined = np.frombuffer(b"".join(seamed(blocks, last_sample)), "<i2").astype(int)
    pause = SEAM_PAUSE_MS * SAMPLE_RATE_HZ // 1000
    falling, silence = joined[:FADE_SAMPLES], joined[FADE_SAMPLES : FADE_SAMPLES + pause]
    start, told = joined[FADE_SAMPLES + pause :], np.frombuffer(pcm, "<i2").astype(int)
    assert falling[0] == last_sample
    assert np.abs(np.diff([*falling, 0])).max() <= 32_768 / FADE_SAMPLES + 1
    assert not silence.any()
    assert len(start) == len(told)
    assert (start[FADE_SAMPLES:] == told[FADE_SAMPLES:]).all()
    rising = np.arange(min(FADE_SAMPLES, len(told))) / FADE_SAMPLES
    assert (np.abs(start[:FADE_SAMPLES] - told[:FADE_SAMPLES] * rising) <= 0.5).all()


def test_a_grid_may_begin_at_any_part_and_still_ends_at_the_last() -> None:
    parts = list(grid([bytes(2 * PART_BYTES + 2)], 7))
    assert [(part, len(pcm), last) for part, pcm, last in parts] == [
        (7, PART_BYTES, False),
        (8, PART_BYTES, False),
        (9, 2, True),
    ]
    *_, (part, _, last) = grid([bytes(PART_BYTES)] * 9, MAX_PARTS - 3)
    assert (part, last) == (MAX_PARTS - 1, True)


@given(st.binary(max_size=400), st.lists(st.integers(1, 50), max_size=20))
def test_a_line_is_all_there_however_it_comes(audio: bytes, sizes: list[int]) -> None:
    parts = list(gathered(cut(audio, sizes)))
    assert b"".join(pcm for _, pcm, _ in parts) == audio[: len(audio) - len(audio) % 2]
    assert [part for part, _, _ in parts] == list(range(len(parts)))
    assert [last for _, _, last in parts] == [False] * (len(parts) - 1) + [True]


def test_a_line_is_few_parts_and_a_slow_one_is_seen_to_go_on() -> None:
    second, times = bytes(48_000), iter(range(100))
    assert [len(pcm) for _, pcm, _ in gathered([second] * 25, lambda: 0.0)] == [480_000, 480_000, 240_000]
    assert len(list(gathered([bytes(3)] * 6, lambda: 0.6 * next(times)))) == 4
    *_, (_, _, last) = gathered([second] * 200, lambda: 0.0)
    assert (last, sum(len(pcm) for _, pcm, _ in gathered([second] * 200))) == (True, MAX_PCM_BYTES)
