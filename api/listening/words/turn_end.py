"""Turn end: how long a silence has to be until what was said is all, judged by its words. Not: the silence itself."""

from __future__ import annotations

import re
from typing import Protocol

import numpy as np
import numpy.typing as npt

HOLD_MS = 480
"""After a sentence that has an end."""
UNFINISHED_MS = HOLD_MS + 250
"""After one without, from a recognizer that writes ends."""
TRAILING_MS = HOLD_MS + 900
"""After a word that something follows."""
MAX_HOLD_MS = 3000
"""Whatever a model of turns says."""

_END = re.compile(r"[.?!。？！।؟…]+[\"'”’)\]]*$")
_TRAILING_MARK = re.compile(r"([,;:，、—-]|\.\.\.|…)$")
_WORDS = """
and or but so because um uh er hmm the a an to of with for my your if when that which like
und oder aber weil dass äh ähm der die das ein eine mit zu für wenn also
et ou mais parce que euh le la les un une de à avec pour si quand
y o pero porque eh el los las una con para e ma perché il lo di per se quando
"""
_TRAILING = frozenset(_WORDS.split())


class TurnModel(Protocol):
    """Says from the sound whether somebody has finished; Smart Turn is one."""

    def is_complete(self, samples: npt.NDArray[np.int16]) -> float:
        """Probability that the turn is over; the whole turn at 16 kHz, its last eight seconds at most."""


class TurnEnd:
    """One listener's judgement; it learns whether the recognizer writes full stops at all."""

    def __init__(self, model: TurnModel | None = None) -> None:
        self._model = model
        self._punctuates = False

    def learn(self, text: str) -> None:
        """Take a whole transcript: a recognizer that has written one full stop means it when it writes none."""
        self._punctuates = self._punctuates or bool(_END.search(text.strip()))

    def hold_ms(self, text: str, samples: npt.NDArray[np.int16] | None = None) -> int:
        """How much silence it takes."""
        text = text.strip()
        words = text.split()
        last = re.sub(r"[^\w']", "", words[-1]).casefold() if words else ""
        if _TRAILING_MARK.search(text) or last in _TRAILING:
            hold_ms = TRAILING_MS
        elif not words or _END.search(text) or not self._punctuates:
            hold_ms = HOLD_MS
        else:
            hold_ms = UNFINISHED_MS
        if self._model is not None and samples is not None:
            return HOLD_MS if self._model.is_complete(samples) >= 0.5 else max(hold_ms, MAX_HOLD_MS)
        return hold_ms
