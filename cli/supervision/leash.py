"""Lets no process outlive its supervisor, not even when that is killed with -9. Not: ordinary stopping.

Run as a script, with the standard library only, in two ways:

`leash.py run PARENT COMMAND...` becomes COMMAND, which the kernel kills when PARENT dies (Linux).
`leash.py guard FOLDER` reads `+PID` and `-PID` lines and, when the pipe closes, kills every process group still
    listed and removes FOLDER. It catches what the kernel's leash does not hold: grandchildren, and all but Linux.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import sys

PR_SET_PDEATHSIG = 1


def run(parent: int, argv: list[str]) -> None:
    """Replace this process by `argv`. The process id stays, so the caller need not know of us."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # It died before the leash was on.
            sys.exit(1)
    try:
        os.execvp(argv[0], argv)  # noqa: S606
    except OSError as error:
        sys.exit(f"{argv[0]}: {error.strerror}")


def guard(folder: str) -> None:
    """Wait for the supervisor's end, then end what it left behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1] == "guard":
        guard(sys.argv[2])
    else:
        run(int(sys.argv[2]), sys.argv[3:])
