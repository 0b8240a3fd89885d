"""Agreement: what two looks in a row heard alike is stable (LocalAgreement-2). Not: when they are made."""

from __future__ import annotations

import re

_MARKS = re.compile(r"[^\w']+")


class Agreement:
    """The words of one recording, each look from its start. What is stable never shrinks."""

    def __init__(self) -> None:
        self._stable: list[str] = []
        self._last: list[str] = []

    def update(self, text: str) -> None:
        """Take what the newest look heard."""
        words = text.split()
        agreed = 0
        for before, now in zip(self._last, words, strict=False):
            if _bare(before) != _bare(now):
                break
            agreed += 1
        if agreed > len(self._stable):
            self._stable += words[len(self._stable) : agreed]
        self._last = words

    @property
    def stable(self) -> str:
        """What will hardly change."""
        return " ".join(self._stable)

    @property
    def content(self) -> str:
        """All of it: the stable part, and what may still change."""
        return " ".join((*self._stable, *self._last[len(self._stable) :]))


def _bare(word: str) -> str:
    """A word without the case and the marks that come and go."""
    return _MARKS.sub("", word).casefold()
