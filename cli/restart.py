"""`cueline restart`: workers and api are replaced one after the other while the rest goes on. Not: what is replaced."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cli import redis_server
from cli.log import OURSELVES, Log
from cli.running import Run, read_run, write_run
from cli.supervision.child import Child
from cli.supervision.process import Process

POLL_S = 0.1
WITHIN_S = 600.0
"""`cueline restart` waits no longer than this for a run that may have many workers with large models."""


class Restarts:
    """Replaces the processes of one run, and notes in its file how that went."""

    def __init__(self, run: Run, data_dir: Path, children: Sequence[Child], within_s: float, log: Log) -> None:
        self._run = run
        self._data_dir = data_dir
        self._children = children
        self._within_s = within_s
        self._log = log
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin, unless it is under way."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._replace_all())
        else:
            self._log.say(OURSELVES, "restarting already")

    def cancel(self) -> None:
        """Leave everything as it is."""
        if self._task:
            self._task.cancel()

    async def _replace_all(self) -> None:
        problem = ""
        for child in self._children:
            self._log.say(OURSELVES, f"restarting {child.command.name}")
            if not await child.replace(self._is_ready, self._within_s):
                problem = f"{child.command.name} is not ready after {self._within_s:g} s; what follows was left alone"
                break
        self._log.say(OURSELVES, problem or "restarted")
        self._run = replace(self._run, restarts=self._run.restarts + 1, restart_problem=problem)
        write_run(self._data_dir, self._run)

    async def _is_ready(self, process: Process) -> bool:
        """It says so itself, or it is a worker that has announced itself to those who have jobs."""
        if process.is_ready.is_set():
            return True
        try:
            workers = await asyncio.to_thread(redis_server.ask_workers, self._run.redis)
        except ConnectionError:
            return False
        return any(_is_of(name, process) for name in workers)


def restart(data_dir: Path) -> int:
    """Have the `cueline up` that runs here restart its processes and wait until it has; exit code 1 if it could not."""
    before = read_run(data_dir)
    if before is None:
        sys.stderr.write("cueline: nothing runs here; start `cueline up`\n")
        return 1
    os.kill(before.pid, signal.SIGUSR1)
    deadline = time.monotonic() + WITHIN_S
    while (now := read_run(data_dir)) and now.pid == before.pid and now.restarts == before.restarts:
        if time.monotonic() > deadline:
            sys.stderr.write(f"cueline: not restarted within {WITHIN_S:g} s; the log of `cueline up` tells more\n")
            return 1
        time.sleep(POLL_S)
    if now is None or now.pid != before.pid:
        sys.stderr.write("cueline: it ended meanwhile; the log of `cueline up` tells why\n")
        return 1
    if now.restart_problem:
        sys.stderr.write(f"cueline: {now.restart_problem}\n")
        return 1
    sys.stdout.write("restarted\n")
    return 0


def _is_of(worker: str, process: Process) -> bool:
    """Whether the worker called `NAME@HOST:PID` is one of this process, itself or a child of it."""
    node, _, pid = worker.rpartition(":")
    try:
        return node.partition("@")[0] == process.command.name and os.getpgid(int(pid)) == process.pid
    except (ValueError, ProcessLookupError):
        return False
