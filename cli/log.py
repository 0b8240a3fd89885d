"""One log for all processes: a name and a colour each, nothing that steers a terminal. Not: what to say."""

from __future__ import annotations

import os
import queue
import re
import sys
import threading
from collections.abc import Callable

COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters and those that reorder text: a log line must not write elsewhere than in its line."""
OURSELVES = "cueline"
"""The supervisor's own name; what it says is always kept."""
BACKLOG = 5000
"""Lines kept for a reader who is slow; further ones of the processes are dropped and counted."""


class Log:
    """Writes whole lines to one file descriptor from a thread of its own.

    A reader who stops reading must stop neither the processes behind the log nor whoever has to end them.
    """

    def __init__(self, descriptor: int = 1, *, colour: bool | None = None) -> None:
        self._descriptor = descriptor
        self._colour = _wants_colour(descriptor) if colour is None else colour
        self._codes: dict[str, int] = {}
        self._secrets: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._dropped = 0
        self.on_reader_gone: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._write_loop, name="log", daemon=True)
        self._thread.start()

    def hide(self, *secrets: str) -> None:
        """Print these as `***` from now on."""
        self._secrets += [secret for secret in secrets if secret]

    def say(self, name: str, text: str) -> None:
        """One line of the process `name`."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        head = f"{name:<8}|"
        if self._colour:
            code = self._codes.setdefault(name, COLOURS[len(self._codes) % len(COLOURS)])
            head = f"\x1b[{code}m{head}\x1b[0m"
        if name != OURSELVES and self._lines.qsize() > BACKLOG:
            self._dropped += 1
        else:
            self.line(f"{head} {safe(text)}")

    def line(self, text: str) -> None:
        """A line as it is, for programs that read the log; never dropped."""
        self._lines.put(text + "\n")

    def close(self, timeout_s: float = 1.0) -> None:
        """Write what is left, but wait no longer than this for a reader who does not read."""
        self._lines.put(None)
        self._thread.join(timeout_s)

    def _write_loop(self) -> None:
        while (text := self._lines.get()) is not None:
            if self._dropped:
                text = f"({self._dropped} lines left out: the reader was too slow)\n{text}"
                self._dropped = 0
            try:
                _write_all(self._descriptor, text.encode(errors="backslashreplace"))
            except OSError:
                self.on_reader_gone()
                break


def safe(text: str) -> str:
    """`text` with every control character written out."""
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def _wants_colour(descriptor: int) -> bool:
    return os.isatty(descriptor) and not os.environ.get("NO_COLOR") and sys.platform != "win32"


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
