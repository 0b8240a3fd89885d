"""SmartTurn: whether somebody has finished, judged by how they sound. Not: their words, how long to wait.

Runs any network of Smart Turn's shape (version 3 and later): `input_features`, 1 by 80 by 800, to one probability.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from api.listening.sound.mel import BANDS, COLUMNS, last_seconds
from api.listening.sound.network import NetworkMissing, open_network

INPUT = "input_features"


class TurnModelBroken(Exception):
    """The file that was named is of no use; the text is for a person."""


class SmartTurn:
    """The network; one per process, for any number of speakers and threads."""

    def __init__(self, path: Path) -> None:
        """Open it, and have it judge silence once.

        Raises: TurnModelBroken.
        """
        try:
            self._session = open_network(path)
            self._run(np.zeros((BANDS, COLUMNS), np.float32))
        except NetworkMissing as error:
            lacks = "is no network" if error.is_installed else "needs the package onnxruntime"
            raise TurnModelBroken(f"CUELINE_TURN_MODEL: {path.name} {lacks}.") from error
        except Exception as error:
            raise TurnModelBroken(
                f"CUELINE_TURN_MODEL: {path.name} is no turn model: it does not make one probability of "
                f"{INPUT}, 1 by {BANDS} by {COLUMNS}."
            ) from error

    def is_complete(self, samples: npt.NDArray[np.int16]) -> float:
        """Probability that the turn is over; takes the whole turn at 16 kHz and looks at its last eight seconds."""
        return self._run(last_seconds(samples.astype(np.float32) / np.float32(32_768)))

    def _run(self, features: npt.NDArray[np.float32]) -> float:
        """Raises: ValueError if what it says is no probability."""
        (said,) = np.ravel(self._session.run(None, {INPUT: features[None]})[0])
        if not 0 <= said <= 1:
            raise ValueError(f"{said} is no probability")
        return float(said)
