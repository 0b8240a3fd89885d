"""Apart: a stranger's file is read in a process of its own. Not: what is read.

What decodes files of strangers has had holes and will have more. Such a process may take little memory, little time
and no file, and it is told nothing: neither keys nor addresses.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

MEMORY_BYTES = 1536 * 1024 * 1024
"""Of addresses: the libraries alone take half a gigabyte of them."""
CPU_S = 60
EXIT_REFUSED = 3
PROJECT = Path(__file__).parents[2]
MISSING, UNSAFE = "missing", "unsafe"
"""Codes of our own: a library is not here; the process did not survive the file."""


class Refused(Exception):
    """A file that is not read; the code is for programs."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


async def read_apart(module: str, data: bytes, within_s: float, *args: str) -> bytes:
    """What `python -m module args` makes of `data`.

    Raises: Refused, TimeoutError.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *args),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=PROJECT,
        env={"PATH": os.defpath, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    try:
        async with asyncio.timeout(within_s):
            made, said = await process.communicate(data)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise _why(said)
    return made


def serve(read: Callable[[bytes], None]) -> int:
    """The other side: `read` what stdin has; 0, or 3 with why on stderr as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        read(sys.stdin.buffer.read())
        sys.stdout.buffer.flush()
    except Refused as refusal:
        return _refuse(refusal.code, refusal.text)
    except MemoryError:
        return _refuse("audio_too_long", "The file takes too much memory.")
    return 0


def _refuse(code: str, text: str) -> int:
    sys.stderr.write(json.dumps({"code": code, "text": text}) + "\n")
    return EXIT_REFUSED


def _why(said: bytes) -> Refused:
    try:
        data = json.loads(said.decode(errors="replace").strip().rpartition("\n")[2])
        return Refused(str(data["code"]), str(data["text"]))
    except (ValueError, KeyError, TypeError):
        if b"No module named" in said:
            return Refused(MISSING, "")
        return Refused(UNSAFE, "This file cannot be read safely.")
