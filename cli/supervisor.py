"""Keeps processes alive and ends them, each with all that it started. Not: which processes, or what they do.

A process that ends is started again after 0.5, 1, 2, 4 and 8 s. If that is of no use its last lines say why.
Runs in the main thread: the kernel's leash is tied to the thread that starts a process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import IO

from cli.commands import Command
from cli.log import OURSELVES, Log

BACKOFF_S: Sequence[float] = (0.5, 1, 2, 4, 8)
HEALTHY_S = 30.0
"""A process that lived so long starts with a clean record."""
GRACE_S = 8.0
"""Time to finish a sentence and close sockets before the processes are killed."""
LINE_BYTES_MAX = 8192
TAIL_LINES = 8
LEASH = (sys.executable, "-I", "-S", str(Path(__file__).with_name("leash.py")))


class Failure(Exception):
    """A process that cannot be kept alive; the text is the reason in one or more lines."""


class Supervisor:
    """All processes of one `cueline up`."""

    def __init__(self, log: Log, env: Mapping[str, str], cwd: Path) -> None:
        self.log = log
        self.env = dict(env)
        self.cwd = cwd
        self._children: dict[Child, asyncio.Task[None]] = {}
        self._failure: asyncio.Future[Failure] = asyncio.get_running_loop().create_future()
        self._guard = subprocess.Popen(
            (*LEASH, "guard"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._look_for_ended)

    def start(self, command: Command, *, optional: bool = False, needed_by_others: bool = False) -> Child:
        """Start and keep `command`.

        If it fails for good, all fail, unless it is `optional`. What others need ends after them.
        """
        child = Child(command, self, needed_by_others)
        self._children[child] = asyncio.create_task(self._keep(child, optional))
        return child

    async def failed(self) -> Failure:
        """Wait for the first process that cannot be kept alive."""
        return await asyncio.shield(self._failure)

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Ask all to finish, kill what has not after `grace_s`, and return when nothing is left."""
        for needed in (False, True):
            chosen = {c: task for c, task in self._children.items() if c.needed_by_others is needed}
            for child in chosen:
                child.terminate()
            await _all_done(chosen.values(), grace_s)
            for child in chosen:
                child.kill()
            await _all_done(chosen.values(), 5)
        self._close_guard()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)

    def kill(self) -> None:
        """End all at once, without asking."""
        for child in self._children:
            child.terminate()
            child.kill()

    def tell_guard(self, sign: str, group: int) -> None:
        """Have a process group ended (`+`) or left alone (`-`) should we die."""
        pipe = _pipe(self._guard)
        with contextlib.suppress(OSError):
            pipe.write(f"{sign}{group}\n")
            pipe.flush()

    async def _keep(self, child: Child, optional: bool) -> None:
        try:
            await child.keep()
        except Failure as failure:
            if optional:
                self.log.say(OURSELVES, f"{failure}; going on without it")
            elif not self._failure.done():
                self._failure.set_result(failure)

    def _look_for_ended(self) -> None:
        for child in self._children:
            child.look()

    def _close_guard(self) -> None:
        with contextlib.suppress(OSError):
            _pipe(self._guard).close()
        try:
            self._guard.wait(2)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait(2)


class Child:
    """One command, its present process and what that said last."""

    def __init__(self, command: Command, supervisor: Supervisor, needed_by_others: bool = False) -> None:
        self.command = command
        self.needed_by_others = needed_by_others
        self.starts = 0
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._supervisor = supervisor
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = asyncio.Event()
        self._stopping = asyncio.Event()
        self._partial = b""

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    async def keep(self) -> None:
        """Run the command again and again until it is told to stop. Raises: Failure."""
        loop = asyncio.get_running_loop()
        failures = 0
        while not self._stopping.is_set():
            started = loop.time()
            code = await self._run_once()
            if self._stopping.is_set():
                return
            failures = 1 if loop.time() - started >= HEALTHY_S else failures + 1
            how = _how_it_ended(code)
            if failures > len(BACKOFF_S):
                raise Failure(_epitaph(self.command.name, failures, how, self.tail))
            delay_s = BACKOFF_S[failures - 1]
            self._say_self(f"{how}; starting it again in {delay_s:g} s (failure {failures})")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)

    def terminate(self) -> None:
        """Ask it to finish."""
        self._stopping.set()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    def kill(self) -> None:
        """End it with all that it started."""
        if self._process is not None:
            _kill_group(self._process.pid)

    def look(self) -> None:
        """Note whether the process has ended; called when any process has."""
        if self._process is not None and _is_dead(self._process.pid):
            self._ended.set()

    async def _run_once(self) -> int:
        self._ended.clear()
        self.starts += 1
        supervisor = self._supervisor
        process = subprocess.Popen(  # noqa: ASYNC220 -- it only forks; its end comes as SIGCHLD
            (*LEASH, "run", str(os.getpid()), *self.command.argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=supervisor.env,
            cwd=supervisor.cwd,
        )
        self._process = process
        supervisor.tell_guard("+", process.pid)
        output = process.stdout
        assert output is not None  # noqa: S101 -- for the type checker
        os.set_blocking(output.fileno(), False)
        loop = asyncio.get_running_loop()
        loop.add_reader(output.fileno(), self._read, output)
        _hand_over(process, self.command.stdin)
        self.look()
        try:
            await self._ended.wait()
        finally:
            # Its children end before it is reaped: until then nobody else can have its number.
            _kill_group(process.pid)
            code = process.wait()
            supervisor.tell_guard("-", process.pid)
            self._process = None
            while self._read(output):
                pass
            loop.remove_reader(output.fileno())
            self._finish_line()
            output.close()
        return code

    def _read(self, output: IO[bytes]) -> int:
        """Take one piece of output; its size. One only: a process that never pauses must not hold the loop."""
        try:
            data = os.read(output.fileno(), 65536)
        except BlockingIOError:
            return 0
        if not data:
            asyncio.get_running_loop().remove_reader(output.fileno())
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._say(line)
        if len(self._partial) > LINE_BYTES_MAX:
            self._finish_line()
        return len(data)

    def _finish_line(self) -> None:
        if self._partial:
            self._say(self._partial)
            self._partial = b""

    def _say(self, line: bytes) -> None:
        text = line[:LINE_BYTES_MAX].decode(errors="backslashreplace").rstrip()
        if text:
            self.tail.append(text)
            if not self.command.quiet:
                self._supervisor.log.say(self.command.name, text)

    def _say_self(self, text: str) -> None:
        if self.command.quiet and self.tail:
            self._supervisor.log.say(self.command.name, self.tail[-1])
        self._supervisor.log.say(OURSELVES, f"{self.command.name} {text}")


async def _all_done(tasks: Collection[asyncio.Task[None]], timeout_s: float) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=timeout_s)


def _is_dead(pid: int) -> bool:
    """Whether our child has ended; it stays unreaped, so that its number stays its own."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True


def _kill_group(group: int) -> None:
    # macOS answers PermissionError for a group in which only the unreaped leader is left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _hand_over(process: subprocess.Popen[bytes], data: bytes) -> None:
    """Less than a pipe holds, so that this never waits."""
    pipe = process.stdin
    assert pipe is not None  # noqa: S101 -- for the type checker
    with contextlib.suppress(BrokenPipeError):
        pipe.write(data)
        pipe.close()


def _pipe(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdin is not None  # noqa: S101 -- for the type checker
    return process.stdin


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    return f"was killed by signal {-code} ({signal.strsignal(-code)})"


def _epitaph(name: str, failures: int, how: str, tail: Sequence[str]) -> str:
    last = "".join(f"\n    {line}" for line in tail)
    return f"{name} failed {failures} times in a row and {how}" + (f"; it said last:{last}" if last else "")
