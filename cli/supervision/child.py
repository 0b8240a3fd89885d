"""Keeps one command running, by one process after the other. Not: the other commands, or what a process says.

A process that ends is started again after 0.1, 1, 2, 4 and 8 s; if that is of no use its last lines say why. One
that ends in peace, or says that it is about to, has failed at nothing: another takes its place, in the second case
beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from cli.commands import Command
from cli.log import OURSELVES, Log
from cli.supervision.process import Process

BACKOFF_S: Sequence[float] = (0.1, 1, 2, 4, 8)
HEALTHY_S = 30.0
"""A process that lived so long starts with a clean record."""
BRIEF_S = 2.0
"""An end in peace counts as a failure all the same when it comes so soon: it might come again and again."""
LEAVE_S = 120.0
"""Time to finish for a process that has a successor already."""
END_S = 20.0
"""Time to finish for one whose successor waits for that."""
TAIL_LINES = 8
BY_HAND = {-signal.SIGKILL, -signal.SIGTERM}
"""Codes of an end that a process can say nothing about."""

Begin = Callable[[Command, Callable[[str], None]], Process]
IsReady = Callable[[Process], Awaitable[bool]]


class Failure(Exception):
    """A process that cannot be kept alive; the text is the reason in one or more lines."""


class Child:
    """One command, the process that runs it, those that are leaving and what they said last."""

    def __init__(self, command: Command, log: Log, begin: Begin, needed_by_others: bool = False) -> None:
        self.command = command
        self.needed_by_others = needed_by_others
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._log = log
        self._begin = begin
        self._process: Process | None = None
        self._leaving: dict[Process, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()
        self._failures = 0

    async def keep(self) -> None:
        """Run the command again and again until it is told to stop. Raises: Failure."""
        loop = asyncio.get_running_loop()
        try:
            while not self._stopping.is_set():
                started = loop.time()
                process = self._process = self._begin(self.command, self._say)
                code = await self._run(process)
                if self._stopping.is_set():
                    break
                if not process.was_asked and (delay_s := self._judge(code, loop.time() - started)):
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._stopping.wait(), delay_s)
        finally:
            if self._leaving:
                await asyncio.wait(self._leaving.values())

    async def replace(self, is_ready: IsReady, within_s: float) -> bool:
        """Have another process do the work; whether it was ready for that in time."""
        old = self._process
        if old and self.command.overlaps:
            old.was_asked = True
            old.is_leaving.set()
        elif old:
            await _end(old)
        try:
            async with asyncio.timeout(within_s):
                await self._until_another(old, is_ready)
        except TimeoutError:
            return False
        finally:
            if old:
                old.terminate()
        return True

    def terminate(self) -> None:
        """Ask it to finish."""
        self._stopping.set()
        for process in self._running():
            process.terminate()

    def kill(self) -> None:
        """End it with all that it started."""
        for process in self._running():
            process.kill()

    def look(self) -> None:
        """Note which processes have ended; called when any has."""
        for process in self._running():
            process.look()

    async def _until_another(self, old: Process | None, is_ready: IsReady) -> None:
        while True:
            if self._process and self._process is not old and await is_ready(self._process):
                return
            await asyncio.sleep(0.05)

    def _running(self) -> list[Process]:
        return [*self._leaving, *([self._process] if self._process else [])]

    async def _run(self, process: Process) -> int | None:
        """Wait until it needs a successor; the code of its end, None if it is finishing beside that."""
        try:
            await process.is_leaving.wait()
        except asyncio.CancelledError:
            process.close()
            raise
        finally:
            self._process = None
        if not process.has_ended.is_set():
            self._leaving[process] = asyncio.create_task(self._see_off(process))
            return None
        return process.close()

    async def _see_off(self, process: Process) -> None:
        """Give it time to finish what it does beside its successor."""
        try:
            async with asyncio.timeout(LEAVE_S):
                await process.has_ended.wait()
        except TimeoutError:
            self._say_self(f"did not finish within {LEAVE_S:g} s and is killed")
        finally:
            code = process.close()
            del self._leaving[process]
            if code not in {0, -signal.SIGTERM}:
                self._say_self(f"{_how_it_ended(code)} while it was finishing")

    def _judge(self, code: int | None, lived_s: float) -> float:
        """How long the next process has to wait. Raises: Failure."""
        how = "is finishing" if code is None else _how_it_ended(code)
        if not code and lived_s >= BRIEF_S:
            self._say_self(f"{how}; another one starts")
            return BACKOFF_S[0]
        self._failures = 1 if lived_s >= HEALTHY_S else self._failures + 1
        if self._failures > len(BACKOFF_S):
            raise Failure(_epitaph(self.command.name, self._failures, how, self.tail))
        if self.command.quiet and self.tail and code not in BY_HAND:
            self._log.say(self.command.name, self.tail[-1])
        delay_s = BACKOFF_S[self._failures - 1]
        self._say_self(f"{how}; starting it again in {delay_s:g} s (failure {self._failures})")
        return delay_s

    def _say(self, text: str) -> None:
        self.tail.append(text)
        if not self.command.quiet:
            self._log.say(self.command.name, text)

    def _say_self(self, text: str) -> None:
        self._log.say(OURSELVES, f"{self.command.name} {text}")


async def _end(process: Process) -> None:
    """Ask it to finish; kill it if it does not."""
    process.terminate()
    try:
        async with asyncio.timeout(END_S):
            await process.has_ended.wait()
    except TimeoutError:
        process.kill()


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    return f"was killed by signal {-code} ({signal.strsignal(-code)})"


def _epitaph(name: str, failures: int, how: str, tail: Sequence[str]) -> str:
    last = "".join(f"\n    {line}" for line in tail)
    return f"{name} failed {failures} times in a row and {how}" + (f"; it said last:{last}" if last else "")
