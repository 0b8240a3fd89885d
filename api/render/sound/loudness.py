"""Loudness: how loud somebody is, after EBU R 128. Not: making it louder.

FFmpeg's meter: gated at -70 LUFS and 10 LU below the mean, so silence between lines does not count.
"""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.filter import Graph

from api.render.sound.trimming import Samples
from contract.audio import SAMPLE_RATE_HZ

NOTHING_LUFS = -70.0
"""What the meter says of silence, and of less than 0.4 s of sound."""
_OFFSET_DB = -0.691
"""Between power and loudness. Source: ITU-R BS.1770."""
_INTEGRATED = "lavfi.r128.I"


class Loudness:
    """What is pushed is one stream of sound, measured as a whole. Memory does not grow with it."""

    def __init__(self) -> None:
        self._graph = Graph()
        self._source = self._graph.add_abuffer(
            format="flt", sample_rate=SAMPLE_RATE_HZ, layout="mono", time_base=Fraction(1, SAMPLE_RATE_HZ)
        )
        meter = self._graph.add("ebur128", "metadata=1:framelog=quiet:peak=none")
        self._sink = self._graph.add("abuffersink")
        self._source.link_to(meter)
        meter.link_to(self._sink)
        self._graph.configure()
        self._lufs, self._power, self._samples = NOTHING_LUFS, 0.0, 0

    def push(self, samples: Samples) -> None:
        """The next samples."""
        if not samples.size:
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], "flt", "mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, self._samples
        self._source.push(frame)
        self._samples += len(samples)
        self._power += float(np.square(samples, dtype=np.float64).sum())
        self._pull()

    def finish(self) -> float:
        """LUFS of all of it. What is too short for the meter is told by its power; silence is `NOTHING_LUFS`."""
        self._source.push(None)
        self._pull()
        if self._lufs > NOTHING_LUFS or not self._power:
            return self._lufs
        return max(NOTHING_LUFS, 10 * float(np.log10(self._power / self._samples)) + _OFFSET_DB)

    def _pull(self) -> None:
        while True:
            try:
                metadata = self._sink.pull().metadata
            except (av.BlockingIOError, av.EOFError):
                return
            # The last frame has none: it is what was left of a tenth of a second.
            if _INTEGRATED in metadata:
                self._lufs = float(metadata[_INTEGRATED])
