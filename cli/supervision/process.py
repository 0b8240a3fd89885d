"""One process from its start to its end: leashed, heard, gone with all that it started. Not: starting it again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from cli.commands import Command
from cli.supervision.notices import Notices, make_folder

LINE_BYTES_MAX = 8192
LEASH = (sys.executable, "-I", "-S", str(Path(__file__).with_name("leash.py")))


class Guard:
    """A process that ends ours should we be killed."""

    def __init__(self) -> None:
        self.folder = make_folder()
        """Gone when we are, however that comes."""
        argv = (*LEASH, "guard", self.folder)
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, text=True
        )

    def tell(self, sign: str, group: int) -> None:
        """Have a process group ended (`+`) or left alone (`-`) should we die."""
        with contextlib.suppress(OSError):
            pipe = _stdin(self._process)
            pipe.write(f"{sign}{group}\n")
            pipe.flush()

    def close(self) -> None:
        """It ends too when nothing is left to guard."""
        with contextlib.suppress(OSError):
            _stdin(self._process).close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(2)


class Process:
    """A command that runs. Only from the main thread: the kernel's leash is tied to the thread that starts it."""

    def __init__(
        self, command: Command, env: Mapping[str, str], cwd: Path, guard: Guard, say: Callable[[str], None]
    ) -> None:
        self.command = command
        self.is_ready = asyncio.Event()
        """It said so."""
        self.is_leaving = asyncio.Event()
        """It takes nothing new any more, because it ended, said so or was told to: another may take its place."""
        self.was_asked = False
        """We told it to end."""
        self.has_ended = asyncio.Event()
        self._guard = guard
        self._say = say
        self._partial = b""
        self._is_closed = False
        self._notices = Notices(guard.folder, self._note)
        self._process = subprocess.Popen(
            (*LEASH, "run", str(os.getpid()), *command.argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**env, "NOTIFY_SOCKET": self._notices.address},
            cwd=cwd,
            pass_fds=command.descriptors,
        )
        guard.tell("+", self.pid)
        assert self._process.stdout is not None  # noqa: S101 -- for the type checker
        self._output: IO[bytes] = self._process.stdout
        os.set_blocking(self._output.fileno(), False)
        asyncio.get_running_loop().add_reader(self._output.fileno(), self._read)
        _hand_over(self._process, command.stdin)
        self.look()

    @property
    def pid(self) -> int:
        """Its number, which is its group's too."""
        return self._process.pid

    def close(self) -> int:
        """Tidy up after it and kill what is left of it; its code. To be called once."""
        # Its children end before it is reaped: until then nobody else can have its number.
        self.kill()
        self._is_closed = True
        code = self._process.wait()
        self._guard.tell("-", self.pid)
        self._notices.close()
        while self._read():
            pass
        asyncio.get_running_loop().remove_reader(self._output.fileno())
        self._finish_line()
        self._output.close()
        return code

    def terminate(self) -> None:
        """Ask it to finish."""
        self.was_asked = True
        # Popen's own way would reap it first, and nobody would learn of its end.
        if not self._is_closed:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it with all that it started."""
        if not self._is_closed:
            # macOS answers PermissionError for a group in which only the unreaped leader is left.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def look(self) -> None:
        """Note whether it has ended; called when any process has."""
        if not self._is_closed and _is_dead(self.pid):
            self.has_ended.set()
            self.is_leaving.set()

    def _note(self, state: str) -> None:
        if state == "READY=1":
            self.is_ready.set()
        elif state == "STOPPING=1":
            self.is_leaving.set()

    def _read(self) -> int:
        """Take one piece of output; its size. One only: a process that never pauses must not hold the loop."""
        try:
            data = os.read(self._output.fileno(), 65536)
        except BlockingIOError:
            return 0
        if not data:
            asyncio.get_running_loop().remove_reader(self._output.fileno())
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._say_line(line)
        if len(self._partial) > LINE_BYTES_MAX:
            self._finish_line()
        return len(data)

    def _finish_line(self) -> None:
        if self._partial:
            self._say_line(self._partial)
            self._partial = b""

    def _say_line(self, line: bytes) -> None:
        if text := line[:LINE_BYTES_MAX].decode(errors="backslashreplace").rstrip():
            self._say(text)


def _is_dead(pid: int) -> bool:
    """Whether our child has ended; it stays unreaped, so that its number stays its own."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True


def _hand_over(process: subprocess.Popen[bytes], data: bytes) -> None:
    """Less than a pipe holds, so that this never waits."""
    assert process.stdin is not None  # noqa: S101 -- for the type checker
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(data)
        process.stdin.close()


def _stdin(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdin is not None  # noqa: S101 -- for the type checker
    return process.stdin
