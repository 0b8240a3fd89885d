"""Takes for tests: real speech of espeak, and sounds whose every place is known."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.filter import Graph

from api.render.pieces import pieces
from api.render.reading.kinds import read_script
from api.render.script import Line, Script
from api.render.sound.takes import Take
from contract.audio import SAMPLE_RATE_HZ
from contract.voice import Voice
from tests.speaking import engine

VOICES = {"AVA": Voice("en-us+f3"), "BEN": Voice("en-gb+m3", pitch=0.8), "Narrator": Voice("en-us")}
PLAY = """[chapter One]
AVA: Good morning and welcome aboard.
BEN: I have packed nine sandwiches.
[pause 800ms]
AVA: Then there is nothing left to say.
[chapter Two]
Narrator: The ropes came off one by one.
BEN: Fine.
"""


def play() -> tuple[Script, list[Take]]:
    """A short play with two chapters, as its speakers say it."""
    script = read_script(PLAY, "harbour.txt", "plain")
    return script, [Take(line, tuple(say(piece, line.speaker) for piece in pieces(line.text))) for line in script.lines]


def say(text: str, speaker: str) -> bytes:
    return b"".join(engine().speak(text, VOICES[speaker], 1))


def line(number: int = 1, speaker: str = "AVA", pause_before_ms: int | None = None) -> Line:
    return Line(number, number, speaker, "Words.", pause_before_ms=pause_before_ms)


def tone(ms: int, level: float = 0.25, before_ms: int = 0, after_ms: int = 0, hz: float = 220.0) -> bytes:
    """A sine that begins and ends at its loudest, between silences."""
    at = np.arange(ms * SAMPLE_RATE_HZ // 1000)
    sine = np.cos(2 * np.pi * hz * at / SAMPLE_RATE_HZ) * level * 32_767
    silence = [np.zeros(length * SAMPLE_RATE_HZ // 1000) for length in (before_ms, after_ms)]
    return np.concatenate([silence[0], sine, silence[1]]).astype("<i2").tobytes()


def measure(pcm: bytes, channels: int = 1) -> tuple[float, float]:
    """LUFS and dB true peak, as FFmpeg has them."""
    layout = "stereo" if channels == 2 else "mono"
    graph = Graph()
    source = graph.add_abuffer(
        format="s16", sample_rate=SAMPLE_RATE_HZ, layout=layout, time_base=Fraction(1, SAMPLE_RATE_HZ)
    )
    meter, sink = graph.add("ebur128", "metadata=1:framelog=quiet:peak=true"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2")[None], "s16", layout)
    frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, 0
    source.push(frame)
    source.push(None)
    last: dict[str, str] = {}
    while True:
        try:
            last = sink.pull().metadata or last
        except (av.BlockingIOError, av.EOFError):
            return float(last["lavfi.r128.I"]), 20 * float(np.log10(float(last["lavfi.r128.true_peak"])))


def decoded(path: Path) -> tuple[npt.NDArray[np.float32], int]:
    """The first channel of a file, and its rate."""
    with av.open(path) as container:
        to_float = av.AudioResampler("fltp")
        frames = [out.to_ndarray() for frame in container.decode(audio=0) for out in to_float.resample(frame)]
        return np.concatenate(frames, axis=1)[0], container.streams.audio[0].rate


def stretches(samples: npt.NDArray[np.float32], rate: int, pause_ms: int = 200) -> list[tuple[int, int]]:
    """Where somebody speaks, as (start, end) in milliseconds: what is loud, with shorter pauses in it."""
    size = rate // 200
    power = np.square(samples[: len(samples) // size * size].reshape(-1, size)).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (-4.2))
    found: list[list[int]] = []
    for at in loud.tolist():
        if found and (at - found[-1][1]) * 5 <= pause_ms:
            found[-1][1] = at + 1
        else:
            found.append([at, at + 1])
    return [(start * 5, end * 5) for start, end in found]
