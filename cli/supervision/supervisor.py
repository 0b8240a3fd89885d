"""Keeps all processes together and ends them, what others need last. Not: how one is kept alive, or what it does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from cli.commands import Command
from cli.log import OURSELVES, Log
from cli.supervision.child import Child, Failure
from cli.supervision.process import Guard, Process

GRACE_S = 8.0
"""Time to finish a sentence and close sockets before the processes are killed."""


class Supervisor:
    """All processes of one `cueline up`."""

    def __init__(self, log: Log, env: Mapping[str, str], cwd: Path) -> None:
        self.log = log
        self.env = dict(env)
        self._cwd = cwd
        self._guard = Guard()
        self._children: dict[Child, asyncio.Task[None]] = {}
        self._failure: asyncio.Future[Failure] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._look_for_ended)

    def start(self, command: Command, *, optional: bool = False, needed_by_others: bool = False) -> Child:
        """Start and keep `command`.

        If it fails for good, all fail, unless it is `optional`. What others need ends after them.
        """
        child = Child(command, self.log, self._begin, needed_by_others)
        self._children[child] = asyncio.create_task(self._keep(child, optional))
        return child

    async def failed(self) -> Failure:
        """Wait for the first process that cannot be kept alive."""
        return await asyncio.shield(self._failure)

    async def stop(self) -> None:
        """Ask all to finish, kill what has not after `GRACE_S`, and return when nothing is left."""
        for needed in (False, True):
            chosen = {c: task for c, task in self._children.items() if c.needed_by_others is needed}
            for child in chosen:
                child.terminate()
            await _all_done(chosen.values(), GRACE_S)
            for child in chosen:
                child.kill()
            await _all_done(chosen.values(), 5)
        self._guard.close()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)

    def kill(self) -> None:
        """End all at once, without asking."""
        for child in self._children:
            child.terminate()
            child.kill()

    def _begin(self, command: Command, say: Callable[[str], None]) -> Process:
        return Process(command, self.env, self._cwd, self._guard, say)

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


async def _all_done(tasks: Collection[asyncio.Task[None]], timeout_s: float) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=timeout_s)
