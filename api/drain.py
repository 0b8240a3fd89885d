"""Drain: what happens between being asked to end and ending. Not: the ending itself (main.py)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType


def when_asked_to_end(act: Callable[[], None]) -> None:
    """Have `act` called at the first SIGTERM or SIGINT, before the server itself hears of it and closes its doors."""
    if threading.current_thread() is not threading.main_thread():
        return  # a server inside a test: nobody sends it signals
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def hear(received: int, frame: FrameType | None, before: object = before) -> None:
            act()
            if callable(before):
                before(received, frame)

        signal.signal(number, hear)
