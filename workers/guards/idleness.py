"""Ends a worker that has gone deaf: idle, though the queues it should empty are not. Not: who starts it again.

After a broker was reset a consumer may come back without hearing anything, and nothing about the process shows it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

import psutil

log = logging.getLogger(__name__)

DEAF_S = 10.0
"""Longer than any reconnection, and than any message needs from the queue to an idle worker by a wide margin."""
LOOK_EVERY_S = 1.0
EXIT_DEAF = 75
"""EX_TEMPFAIL: start me again."""


class IdleCheck:
    """Looks once a second whether this process should have had something to do."""

    def __init__(self, count_waiting: Callable[[], int], is_idle: Callable[[], bool], count_taken: Callable[[], int]):
        """`count_waiting` says 0 when the broker does not answer: nobody is deaf to that."""
        self._count_waiting = count_waiting
        self._is_idle = is_idle
        self._count_taken = count_taken
        self._taken = -1
        self._since: float | None = None
        self._end = threading.Event()

    def start(self) -> None:
        """Begin to look, in a thread of its own."""
        threading.Thread(target=self._loop, name="idle-check", daemon=True).start()

    def stop(self) -> None:
        """A worker that is going takes nothing, and that is as it should be."""
        self._end.set()

    def is_deaf(self, now: float) -> bool:
        """Whether this worker has been idle, has taken nothing and had something to take for `DEAF_S` on end."""
        taken = self._count_taken()
        if taken != self._taken or not self._is_idle() or not self._count_waiting():
            self._taken, self._since = taken, None
            return False
        self._since = now if self._since is None else self._since
        return now - self._since >= DEAF_S

    def _loop(self) -> None:
        looked_s = 0.0
        while not self._end.wait(LOOK_EVERY_S):
            looked_s += LOOK_EVERY_S
            if self.is_deaf(looked_s):
                log.critical("idle for %.0f s although jobs wait in the queue: ending, to be started again", DEAF_S)
                _end_process()


def _end_process() -> None:
    """At once: what has stopped listening to its broker may not listen to a polite request either. It has no job."""
    for child in psutil.Process().children(recursive=True):
        child.kill()
    logging.shutdown()
    os._exit(EXIT_DEAF)
