"""Breaker: whether an engine that failed is asked again yet. Pure. Not: engines, clocks, what stands in for them."""

from __future__ import annotations

FAILURES = 3
"""In a row, until an engine is left alone. One may be the sentence's fault."""
FIRST_REST_S, LONGEST_REST_S = 10.0, 300.0


class Breaker:
    """One engine's. Times are in seconds of any one clock.

    Closed, every sentence is given to the engine. Open, it rests; each rest is twice as long as the last one. After a
    rest one sentence is given to it on trial, which closes the breaker or opens it again.
    """

    def __init__(self) -> None:
        self.why = ""
        """What went wrong last; empty after a success."""
        self._failures = 0
        self._rest_s = 0.0
        self._opened_until = 0.0
        self._on_trial = False

    def allows(self, now: float) -> bool:
        """Whether a sentence may be given to the engine; the first one after a rest is its trial."""
        if not self._rest_s:
            return True
        if now < self._opened_until or self._on_trial:
            return False
        self._on_trial = True
        return True

    def rests_s(self, now: float) -> float:
        """Seconds until the next trial; 0 while the breaker is closed or a trial is due."""
        # The clock may be so far that its sums are rounded.
        return min(max(0.0, self._opened_until - now), self._rest_s)

    def succeed(self) -> None:
        """A sentence was spoken to its end."""
        self.why, self._failures, self._rest_s, self._on_trial = "", 0, 0.0, False

    def fail(self, now: float, why: str, rest_s: float = 0.0) -> None:
        """A sentence failed; `rest_s` is how long the engine itself asks to be left alone, if it does."""
        self.why = why
        self._failures += 1
        if rest_s or self._on_trial or self._failures >= FAILURES:
            self._rest_s = min(max(rest_s, 2 * self._rest_s, FIRST_REST_S), LONGEST_REST_S)
            self._opened_until = now + self._rest_s
        self._on_trial = False

    def give_up_trial(self) -> None:
        """The trial told nothing: the sentence was cancelled, or could be spoken by nobody."""
        self._on_trial = False
