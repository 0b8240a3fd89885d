"""Serving: the Cueline that runs here, else one that is started for a while and ends with us. Not: what it is asked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cli import commands
from cli.commands import PROJECT_DIR
from cli.running import ask_ready, read_run

READY_WITHIN_S = 120.0
END_S = 20.0
TAIL_LINES = 12
LEASH = (sys.executable, "-I", "-S", str(Path(__file__).parent / "supervision/leash.py"))


class CannotServe(Exception):
    """Nothing runs here, and nothing can be started; the text tells a person why."""


@contextmanager
def served(data_dir: Path, env: dict[str, str]) -> Iterator[str]:
    """URL of a server that is ready. Raises: CannotServe."""
    run = read_run(data_dir)
    if run and not ask_ready(run.api):
        yield run.api
        return
    server = _Started({**env, "CUELINE_PORT": "0", "CUELINE_FLOWER_PORT": "0"})
    try:
        yield server.wait_until_ready()
    finally:
        server.stop()


class _Started:
    """A `cueline up` of our own, which the kernel ends should we be killed."""

    def __init__(self, env: dict[str, str]) -> None:
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._url = ""
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            (*LEASH, "run", str(os.getpid()), *commands.here(("cli.main", "up"))),
            cwd=PROJECT_DIR,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C is for us, who then stop it in our own time.
            start_new_session=True,
        )
        threading.Thread(target=self._read, name="server-log", daemon=True).start()

    def wait_until_ready(self) -> str:
        """Its URL. Raises: CannotServe, with what it said last."""
        if not self._ready.wait(READY_WITHIN_S) or not self._url:
            raise CannotServe("\n".join(["a server could not be started; it said last:", *self._tail]))
        return self._url

    def stop(self) -> None:
        """Have it end, and wait for that."""
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  for the type checker
        with suppress(ValueError):
            for line in self._process.stdout:
                self._tail.append(line.rstrip())
                if line.startswith("ready http"):
                    self._url = line.split()[1]
                    self._ready.set()
        self._ready.set()  # it has ended: nobody need wait any more
