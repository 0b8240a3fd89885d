"""Quiet: says the same thing once and then how often, while everybody complains of one cause. Not: what is said."""

from __future__ import annotations

import logging
import time

EVERY_S = 5.0
MAX_REASONS = 500


class Quiet(logging.Filter):
    """Lets one record of a kind pass every few seconds; it says how many like it were kept back.

    A kind is where it comes from, its text without the values, and its last value where that is no number: by
    custom the reason. When Redis goes, every session and every loop says so, many times a second.
    """

    def __init__(self, every_s: float = EVERY_S) -> None:
        super().__init__()
        self._every_s = every_s
        self._said: dict[tuple[str, str, str], tuple[float, int]] = {}
        """Kind → when it was said last, how often it was kept back since."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is written."""
        kind = (record.name, record.msg if isinstance(record.msg, str) else "", _reason(record))
        now = time.monotonic()
        said_at, kept_back = self._said.get(kind, (-self._every_s, 0))
        if now - said_at < self._every_s:
            self._said[kind] = (said_at, kept_back + 1)
            return False
        if len(self._said) >= MAX_REASONS:
            self._said.clear()
        self._said[kind] = (now, 0)
        if kept_back:
            record.msg, record.args = f"{record.getMessage()} (and {kept_back} more like it)", ()
        return True


def _reason(record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[0]:
        return record.exc_info[0].__name__
    last = record.args[-1] if isinstance(record.args, tuple) and record.args else ""
    return "" if isinstance(last, int | float) else str(last)
