"""A `cueline up` with small processes in place of the real ones, watched from outside."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(holds: Callable[[], object], within_s: float = 30.0) -> None:
    """Wait until `holds()`; fail when it does not in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s} s: {holds}"
        time.sleep(0.02)


def is_gone(process: psutil.Process) -> bool:
    """Whether it has ended. A zombie that nobody has reaped yet runs nothing."""
    try:
        return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


class Running:
    """A `cueline` process, its output and everything that it started."""

    def __init__(self, argv: list[str], env: dict[str, str], cwd: Path) -> None:
        self.process = subprocess.Popen(
            argv, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        self.output = ""
        self.env, self.cwd = env, cwd
        self.url = f"http://127.0.0.1:{env.get('CUELINE_PORT', '8000')}"
        self._offspring: set[psutil.Process] = set()

    def wait_for(self, text: str, within_s: float = 30.0) -> str:
        """Read until `text` is a part of the output."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + within_s
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while text not in self.output:
                left_s = deadline - time.monotonic()
                assert left_s > 0 and selector.select(left_s), f"no {text!r} in:\n{self.output[-2000:]}"
                data = os.read(self.process.stdout.fileno(), 65536)
                assert data, f"ended without {text!r}:\n{self.output[-2000:]}"
                self.output += data.decode()
        return self.output

    def wait_until_ready(self) -> None:
        self.wait_for(f"\nready {self.url}\n")

    def end(self, within_s: float = 20.0) -> int:
        """Wait for its own end; the exit code."""
        rest, _ = self.process.communicate(timeout=within_s)
        self.output += rest.decode()
        return self.process.returncode

    def offspring(self) -> set[psutil.Process]:
        """All that it started and that was seen so far, children of children included."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._offspring |= set(psutil.Process(self.process.pid).children(recursive=True))
        return self._offspring

    def tidy(self) -> None:
        left = self.offspring()
        if self.process.poll() is None:
            self.process.kill()
        # Its guard ends the rest and clears up; the test has failed if that is not enough, but leaves nothing behind.
        deadline = time.monotonic() + 3
        while not all(is_gone(process) for process in left) and time.monotonic() < deadline:
            time.sleep(0.01)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(10)
        if self.process.stdout:
            self.process.stdout.close()


def all_gone(running: Running) -> bool:
    return all(is_gone(process) for process in running.offspring())


def worker_of(running: Running) -> psutil.Process:
    """The chamber's worker that runs now."""
    alive = (process for process in running.offspring() if not is_gone(process))
    return next(process for process in alive if "worker has a child" in " ".join(process.cmdline()))


Start = Callable[..., Running]
Cueline = Callable[..., subprocess.CompletedProcess[str]]
