"""From rows to frames to windows: nothing lost, nothing doubled, nothing that is no sound."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workers.tts.higgs.codec import FRAME_SAMPLES
from workers.tts.higgs.prompt import delayed
from workers.tts.higgs.tracks import Tracks
from workers.tts.higgs.window import COMMON_WIDTHS, WIDTH, Windows, as_pcm

BOS, EOS = 1024, 1025


def codes_of(frames: int, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(seed).integers(0, 1024, (8, frames)).astype(np.uint16)


def added(tracks: Tracks, rows: np.ndarray) -> list[str]:  # type: ignore[type-arg]
    """Rows into slot 1; the reasons of those that were due."""
    reasons = []
    for row in rows:
        for slot, reason in tracks.add(np.array([1]), row[None]):
            assert slot == 1
            reasons.append(reason)
            if reason:
                return reasons
            tracks.want(1, 10_000)
    return reasons


@given(frames=st.integers(0, 60))
def test_delayed_rows_become_the_frames_that_they_were(frames: int) -> None:
    tracks, codes = Tracks(2, 128, 8, BOS, EOS), codes_of(frames)
    tracks.begin(1, 10_000, 100)
    assert added(tracks, delayed(codes, BOS, EOS)[1:]) == ["stop"]
    assert np.array_equal(tracks.codes(1), codes)


def test_a_frame_with_a_start_in_it_is_left_out() -> None:
    tracks, codes = Tracks(2, 128, 8, BOS, EOS), codes_of(20)
    tracks.begin(1, 10_000, 100)
    rows = delayed(codes, BOS, EOS)[1:]
    rows[12, 3] = BOS  # of frame 9
    added(tracks, rows)
    assert np.array_equal(tracks.codes(1), np.delete(codes, 9, axis=1))


def test_a_sentence_that_does_not_end_is_ended() -> None:
    tracks = Tracks(2, 128, 8, BOS, EOS)
    tracks.begin(1, 10_000, 15)
    assert added(tracks, delayed(codes_of(60), BOS, EOS)[1:]) == ["length"]
    assert tracks.frames(1) == 15


def test_one_that_makes_nothing_but_starts_is_ended_as_well() -> None:
    tracks = Tracks(2, 128, 8, BOS, EOS)
    tracks.begin(1, 10_000, 15)
    assert added(tracks, np.full((60, 8), BOS)) == ["length"]
    assert tracks.frames(1) == 0


@given(frames=st.integers(1, 400))
def test_windows_hand_over_every_frame_once_and_reach_far_enough(frames: int) -> None:
    windows, heard, said = Windows(), 0, 0
    line = np.arange(frames * FRAME_SAMPLES, dtype=np.float32)
    parts = []
    have = 0
    while have < frames:
        have = min(frames, max(have + 1, windows.wanted))
        is_last = have == frames
        window = windows.cut(have, is_last=is_last)
        if window is None:
            continue
        assert window.start == heard
        assert window.low == 0 or window.low <= window.start - 11
        assert window.is_last or window.start == 0 or window.high >= window.end + 10
        assert window.width in COMMON_WIDTHS or window.width < WIDTH
        heard = window.end
        parts.append(windows.take(window, line[window.low * FRAME_SAMPLES : window.high * FRAME_SAMPLES]))
        said += 1
    parts.append(windows.rest())
    assert heard == frames
    # The fade crosses two decodes that are the same here.
    assert np.allclose(np.concatenate(parts), line, atol=0.05 * FRAME_SAMPLES / 480)


def test_what_is_too_loud_is_clipped_and_not_wrapped() -> None:
    assert as_pcm(np.array([2.0, -2.0, 0.5], np.float32)) == np.array([32_767, -32_767, 16_384], "<i2").tobytes()
