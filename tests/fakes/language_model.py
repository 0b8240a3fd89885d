"""What stands where our own language model stands."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence


class EndlessModel:
    """One that says the same for ever, a token in a few milliseconds, and knows how often it was stopped."""

    def __init__(self) -> None:
        self.begun = self.closed = self.most_at_once = 0
        self._lock = threading.Lock()

    def prompt(self, messages: Sequence[dict[str, str]]) -> list[int]:
        return [0] * len(messages)

    def reply(self, prompt: Sequence[int], most: int) -> Iterator[str]:
        with self._lock:
            self.begun += 1
            self.most_at_once = max(self.most_at_once, self.begun - self.closed)
        try:
            while True:
                time.sleep(0.002)
                yield "again "
        finally:
            with self._lock:
                self.closed += 1
