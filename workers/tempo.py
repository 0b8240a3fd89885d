"""Faster, slower, higher, lower: for engines that know but one way to speak. FFmpeg's filters do it. Not: volume."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import numpy as np
from av.filter import Graph

from contract.audio import SAMPLE_RATE_HZ


def altered(blocks: Iterable[bytes], rate: float, pitch: float) -> Iterator[bytes]:
    """s16le mono 24 kHz at `rate` times its speed and `pitch` times its height; as it is where both are 1."""
    if rate == 1 and pitch == 1:
        yield from blocks
        return
    graph = Graph()
    source = graph.add_abuffer(
        format="s16", sample_rate=SAMPLE_RATE_HZ, layout="mono", time_base=Fraction(1, SAMPLE_RATE_HZ)
    )
    filters = [source]
    if pitch != 1:
        filters.append(graph.add("asetrate", str(round(SAMPLE_RATE_HZ * pitch))))
        filters.append(graph.add("aresample", str(SAMPLE_RATE_HZ)))
    filters += [graph.add("atempo", f"{step:.6f}") for step in _steps(rate / pitch)]
    filters += [graph.add("aformat", "sample_fmts=s16:channel_layouts=mono"), graph.add("abuffersink")]
    for one, next_one in pairwise(filters):
        one.link_to(next_one)
    graph.configure()
    count = 0
    for block in blocks:
        frame = av.AudioFrame.from_ndarray(np.frombuffer(block, "<i2")[None], "s16", "mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, count
        count += frame.samples
        source.push(frame)
        yield from _made(filters[-1])
    source.push(None)
    yield from _made(filters[-1])


def _steps(factor: float) -> list[float]:
    """Factors of at least a half, which is what sounds well in one step."""
    steps = []
    while factor < 0.5:
        steps.append(0.5)
        factor /= 0.5
    return [*steps, factor]


def _made(sink: av.filter.FilterContext) -> Iterator[bytes]:
    while True:
        try:
            frame: Any = sink.pull()
        except (BlockingIOError, EOFError):
            return
        if pcm := bytes(frame.to_ndarray()[0].astype("<i2").tobytes()):
            yield pcm
