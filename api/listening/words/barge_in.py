"""Barge-in: what becomes of a reply when somebody speaks into it. Not: echo (echo.py), what is answered.

Two stages and a way back: at the first sound the reply grows quiet, at words it pauses, and only words that two looks
agree on, or that were said to the end, cut it. Whatever proves to be nothing, or a mere "mhm", lets it go on from
where it paused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from api.listening.timing import BARGE_INS

SUSTAINED_MS = 128
"""So much speech is meant; words are looked for from here on."""
LONG_MS = 600
"""So much pauses the reply, whatever the words are."""

_SIGNS = """
mhm mm mmm hm hmm uh huh uhhuh aha ah oh yeah yep yes ok okay right sure i see go on exactly really wow nice cool
ja jaja genau klar achso ach so stimmt gut oui d'accord sí si vale claro sì certo
"""
BACKCHANNELS = frozenset(_SIGNS.split())
"""Words that say: I am listening. Said alone, in any number, they interrupt nobody."""

Step = Literal["ducked", "held", "resumed", "interrupted"]


class BargeIn:
    """One attempt, from its first sound to what it was."""

    def __init__(self, say: Callable[[Step], None]) -> None:
        self._say = say
        self.step: Step = "ducked"
        say("ducked")

    def go_on(self, voiced_ms: int) -> None:
        """It lasts."""
        if voiced_ms >= LONG_MS:
            self._move("held")

    def take_words(self, content: str, stable: str) -> None:
        """What is understood so far."""
        if has_words(stable):
            self._move("interrupted")
        elif has_words(content):
            self._move("held")

    def end(self, text: str) -> bool:
        """What was said; True if it is to be answered."""
        if has_words(text):
            self._move("interrupted")
        if self.step == "interrupted":
            BARGE_INS.labels(result="interrupted").inc()
            return bool(text)
        BARGE_INS.labels(result="backchannel" if text else "nothing").inc()
        self._move("resumed")
        return False

    def _move(self, step: Step) -> None:
        if self.step in {step, "interrupted", "resumed"}:
            return
        self.step = step
        self._say(step)


def has_words(text: str) -> bool:
    """Whether this is more than a sign of listening."""
    return any(word not in BACKCHANNELS for word in re.findall(r"[\w']+", text.casefold()))
