"""A sound in every format: whole, early, the same each time, in little memory."""

from __future__ import annotations

import errno
import io
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, cast

import av
import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.encoding.encoder import Chapter, file_encoder, stream_encoder
from api.encoding.formats import FILES, STREAMED
from api.encoding.sending import encoded
from api.errors import FormatUnknown
from contract.audio import SAMPLE_RATE_HZ, bytes_to_ms, ms_to_bytes
from tests.speaking import spoken

SPEECH = spoken("The tide is coming in, and nobody has seen the harbour master since noon.").tobytes()
SPEECH_MS = bytes_to_ms(len(SPEECH))
BLOCK = ms_to_bytes(100)
PRIMING_MS = 90
"""What an mp3 or adts stream has before its first sample and nowhere says so, and its last frame's padding."""


def blocks(pcm: bytes, size: int = BLOCK) -> list[bytes]:
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]


def streamed(name: str, pcm: bytes, channels: int = 1, size: int = BLOCK) -> bytes:
    encoder = stream_encoder(name, channels)
    return b"".join(map(encoder.write, blocks(pcm, size))) + encoder.finish()


def stereo(pcm: bytes) -> bytes:
    """The sound on the left, silence on the right."""
    mono = np.frombuffer(pcm, "<i2")
    return np.stack([mono, np.zeros_like(mono)], axis=1).tobytes()


def decoded(name: str, data: bytes) -> tuple[np.ndarray, int]:
    """Samples as (channel, time) between -1 and 1, and their rate."""
    options = {"sample_rate": str(SAMPLE_RATE_HZ)} if name == "pcm" else {}
    with av.open(io.BytesIO(data), format="s16le" if name == "pcm" else None, options=options) as container:
        stream = container.streams.audio[0]
        to_float = av.AudioResampler("fltp")
        frames = [out.to_ndarray() for frame in container.decode(stream) for out in to_float.resample(frame)]
        return np.concatenate(frames, axis=1), stream.rate


def loudness_curve(samples: np.ndarray, rate: int) -> np.ndarray:
    """RMS in windows of 20 ms."""
    size = rate // 50
    return np.sqrt(np.square(samples[: len(samples) // size * size].reshape(-1, size)).mean(axis=1))


@pytest.mark.parametrize("name", STREAMED)
def test_what_was_said_comes_back(name: str) -> None:
    samples, rate = decoded(name, streamed(name, SPEECH))
    priming = PRIMING_MS if name in {"mp3", "aac"} else 1
    assert -1 <= samples.shape[1] * 1000 / rate - SPEECH_MS <= priming
    given = loudness_curve(np.frombuffer(SPEECH, "<i2") / 32_768, SAMPLE_RATE_HZ)
    heard = loudness_curve(samples[0], rate)[: len(given) + 4]
    likeness = [np.corrcoef(given[: len(heard) - lag], heard[lag:][: len(given)])[0, 1] for lag in range(4)]
    assert max(likeness) > 0.97


@pytest.mark.parametrize("name", sorted({*STREAMED} - {"pcm"}))
def test_left_stays_left(name: str) -> None:
    samples, _ = decoded(name, streamed(name, stereo(SPEECH), channels=2))
    left, right = np.abs(samples[0]).max(), np.abs(samples[1]).max()
    assert samples.shape[0] == 2
    assert right < left / 20


@pytest.mark.parametrize("name", STREAMED)
def test_the_first_sound_leaves_early(name: str) -> None:
    encoder = stream_encoder(name)
    head = (
        encoder.write(SPEECH[:BLOCK])
        + encoder.write(SPEECH[BLOCK : 2 * BLOCK])
        + encoder.write(SPEECH[2 * BLOCK : 3 * BLOCK])
    )
    samples, rate = decoded(name, head)
    assert samples.shape[1] >= 0.1 * rate, "of 0.3 s a third can be heard"


@pytest.mark.parametrize("name", STREAMED)
@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, len(SPEECH) // 4), max_size=12))
def test_the_file_does_not_depend_on_the_blocks(name: str, cuts: list[int]) -> None:
    pcm = SPEECH[: len(SPEECH) // 4]
    encoder, edges = stream_encoder(name), sorted({0, len(pcm), *cuts})
    assert b"".join(encoder.write(pcm[a:b]) for a, b in pairwise(edges)) + encoder.finish() == streamed(name, pcm)


@pytest.mark.parametrize("name", STREAMED)
def test_memory_does_not_grow_with_the_sound(name: str) -> None:
    encoder, process = stream_encoder(name), psutil.Process()
    for _ in range(50):
        encoder.write(bytes(BLOCK))
    before = process.memory_info().rss
    for _ in range(700):
        encoder.write(bytes(BLOCK))
    assert process.memory_info().rss - before < 1_600_000, "70 s are 3.4 MB"


@pytest.mark.parametrize("name", STREAMED)
def test_silence_of_no_length_is_a_file(name: str) -> None:
    data = streamed(name, b"")
    assert bool(data) == (name not in {"pcm", "aac"})


@pytest.mark.parametrize("name", FILES)
def test_a_file_knows_its_length_and_its_first_sample(name: str, tmp_path: Path) -> None:
    pcm = bytes(ms_to_bytes(500)) + SPEECH + bytes(ms_to_bytes(500))
    path = tmp_path / "file"
    write_file(path, name, pcm)
    with av.open(path) as container:
        assert container.duration
        assert abs(container.duration / av.time_base * 1000 - bytes_to_ms(len(pcm))) < 30
    samples, rate = decoded(name, path.read_bytes())
    curve = loudness_curve(samples[0], rate)
    first = int(np.flatnonzero(curve > curve.max() / 20)[0])
    assert 480 <= first * 20 <= 520


def test_a_book_has_chapters_and_a_title(tmp_path: Path) -> None:
    chapters = [Chapter("The Harbour", 0, 1500), Chapter("Ebbe & Flut ∞", 1500, SPEECH_MS)]
    write_file(tmp_path / "book.m4b", "m4b", SPEECH, "A Book", chapters)
    with av.open(tmp_path / "book.m4b") as container:
        found = container.chapters()
        assert [one["metadata"]["title"] for one in found] == [one.title for one in chapters]
        assert [one["start"] * one["time_base"] for one in found] == [0, Fraction(1500, 1000)]
        assert container.metadata["title"] == "A Book"


@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_is_said_and_not_survived(name: str) -> None:
    with pytest.raises(OSError) as raised, open("/dev/full", "r+b", buffering=0) as full:  # noqa: PTH123
        encoder = file_encoder(cast(BinaryIO, full), name)
        for block in blocks(SPEECH * 3):
            encoder.write(block)
        encoder.finish()
    assert raised.value.errno == errno.ENOSPC


async def test_what_is_made_can_be_sent_while_it_is_made() -> None:
    async def coming() -> object:
        for block in blocks(SPEECH):
            order.append("in")
            yield block

    order: list[str] = []
    data = b""
    async for piece in encoded(stream_encoder("opus"), coming()):  # type: ignore[arg-type]
        order.append("out")
        data += piece
    assert data == streamed("opus", SPEECH)
    assert order.index("out") <= 2


def test_an_unknown_format_names_those_that_are_known() -> None:
    with pytest.raises(FormatUnknown, match="wav, pcm, mp3"):
        stream_encoder("ogg")
    with pytest.raises(FormatUnknown, match="m4b"):
        file_encoder(io.BytesIO(), "pcm")


def write_file(path: Path, name: str, pcm: bytes, title: str = "", chapters: list[Chapter] | None = None) -> None:
    with path.open("w+b") as file:
        encoder = file_encoder(cast(BinaryIO, file), name, title=title, chapters=chapters or [])
        for block in blocks(pcm):
            encoder.write(block)
        encoder.finish()
