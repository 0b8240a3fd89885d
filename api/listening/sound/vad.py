"""VAD: how probable it is that a frame is speech. Silero's network, run frame by frame. Not: where speech ends.

The network lies in the faster-whisper package, whose own use of it knows whole files only: it forgets everything
between two calls. Here the state belongs to whoever speaks, and one network serves all. The package itself, and what
it loads, stays outside: only its file is opened.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from api.listening.sound.network import NetworkMissing, open_network

Floats = npt.NDArray[np.float32]

FRAME_SAMPLES = 512
FRAME_MS = 32
CONTEXT_SAMPLES = 64
"""Of the frame before, which the network wants to see too."""
MISSING = (
    "This server cannot listen: its package for hearing speech is missing. Install it with "
    "CUELINE_STT_ENGINE=whisper make run, or pip install 'cueline[whisper]'."
)


class VadMissing(Exception):
    """There is nothing here that could tell speech from noise."""


class VadModel:
    """The network; one per process, for any number of speakers and threads."""

    def __init__(self) -> None:
        """Raises: VadMissing."""
        try:
            self._session = open_network(find_model())
        except NetworkMissing as error:
            raise VadMissing(MISSING) from error

    def run(self, frame: Floats, h: Floats, c: Floats) -> tuple[float, Floats, Floats]:
        """Probability of one frame with its context, and the state after it."""
        probabilities, h, c = self._session.run(None, {"input": frame[None], "h": h, "c": c})
        return float(probabilities[0]), h, c


class Vad:
    """One speaker's state."""

    def __init__(self, model: VadModel) -> None:
        self._model = model
        self.reset()

    def reset(self) -> None:
        """Forget what was heard: what comes next does not follow it."""
        self._h = np.zeros((1, 1, 128), np.float32)
        self._c = np.zeros((1, 1, 128), np.float32)
        self._input = np.zeros(CONTEXT_SAMPLES + FRAME_SAMPLES, np.float32)

    def probability(self, frame: Floats) -> float:
        """Of speech in the next 32 ms."""
        self._input[:CONTEXT_SAMPLES] = self._input[-CONTEXT_SAMPLES:]
        self._input[CONTEXT_SAMPLES:] = frame
        probability, self._h, self._c = self._model.run(self._input, self._h, self._c)
        return probability


def find_model() -> Path:
    """Raises: VadMissing."""
    spec = find_spec("faster_whisper")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder, "assets").glob("silero_vad_v6*.onnx")):
            return path
    raise VadMissing(MISSING)
