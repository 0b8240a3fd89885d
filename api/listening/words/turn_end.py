"""Turn end: how long a silence has to be until what was said is all, by its words or tone. Not: the silence."""

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
"""Of who has not finished, says a model of turns."""
COMPLETE = 0.5
"""Probability above which it says that they have."""

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
        """Probability that the turn is over, from the whole turn at 16 kHz. Takes its time: not for the event loop."""


class TurnEnd:
    """One listener's judgement; it learns whether the recognizer writes full stops at all."""

    def __init__(self, model: TurnModel | None = None) -> None:
        self.model = model
        self._punctuates = False

    @property
    def longest_ms(self) -> int:
        """After so much silence no words and no model could ask for more."""
        return MAX_HOLD_MS if self.model else TRAILING_MS

    def learn(self, text: str) -> None:
        """Take a whole transcript: a recognizer that has written one full stop means it when it writes none."""
        self._punctuates = self._punctuates or bool(_END.search(text.strip()))

    def hold_ms(self, text: str, complete: float | None = None) -> int:
        """How much silence it takes; `complete` is what the model says, if it has said anything."""
        if complete is not None:
            return HOLD_MS if complete >= COMPLETE else MAX_HOLD_MS
        text = text.strip()
        words = text.split()
        last = re.sub(r"[^\w']", "", words[-1]).casefold() if words else ""
        if _TRAILING_MARK.search(text) or last in _TRAILING:
            return TRAILING_MS
        if not words or _END.search(text) or not self._punctuates:
            return HOLD_MS
        return UNFINISHED_MS
