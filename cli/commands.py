"""How each process is started, for `cueline up` and docker-compose.yml alike. Not: when, or how often."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from contract.job import QUEUES
from contract.transcribe import HEARING_QUEUES

PROJECT_DIR = Path(__file__).resolve().parent.parent
FLOWER_CONFIG = "deploy/flowerconfig.py"
"""Relative to the project, which is where every process runs."""


@dataclass(frozen=True, slots=True)
class Command:
    """One process to run and the name under which it speaks in the log."""

    name: str
    argv: tuple[str, ...]
    stdin: bytes = b""
    """Handed over at the start; secrets travel here because others can read an argv."""
    quiet: bool = False
    """Its lines are kept for the day it fails, not shown."""
    descriptors: tuple[int, ...] = ()
    """Open files that it inherits under the same numbers."""
    overlaps: bool = False
    """Two of it may run beside each other: when one is replaced, the next is ready before it goes."""


def api(host: str, port: int) -> tuple[str, ...]:
    """The HTTP and WebSocket server, which listens by itself."""
    return _api("--host", host, "--port", str(port))


def api_on(descriptor: int) -> tuple[str, ...]:
    """The same on a socket that listens already, so that several processes can share it, or follow each other."""
    return _api("--fd", str(descriptor))


def _api(*place: str) -> tuple[str, ...]:
    # At "info" uvicorn writes whole URLs, tickets included; the api has its own level.
    return (
        *("uvicorn", "--factory", "api.main:make_app"),
        *place,
        *("--no-access-log", "--log-level", "warning"),
        # Compression costs sixteen times the processor time of the frame itself.
        *("--ws", "websockets-sansio", "--ws-max-size", "65536", "--ws-per-message-deflate", "false"),
        # Who is gone without a word, a laptop that was closed say, is missed within twenty seconds.
        *("--ws-ping-interval", "10", "--ws-ping-timeout", "10"),
        *("--timeout-graceful-shutdown", "3"),
    )


def worker(name: str, pool: str = "solo", at_once: int = 1, log_level: str = "warning") -> tuple[str, ...]:
    """A speech worker. `pool` and `at_once` are what the engine needs; see `python -m workers.pool`."""
    return (
        *("celery", "-q", "-A", "workers.app", "worker", "-n", f"{name}@%h", "-Q", ",".join(QUEUES)),
        *("--pool", pool, "-c", str(at_once), "-E", "--without-gossip", "--without-mingle", "-l", log_level),
    )


def recognizer(name: str, log_level: str = "warning") -> tuple[str, ...]:
    """A recognition worker. One decode at a time, so that what waits stays where the more urgent can pass it."""
    return (
        *("celery", "-q", "-A", "workers.stt.app", "worker", "-n", f"{name}@%h", "-Q", ",".join(HEARING_QUEUES)),
        *("--pool", "solo", "-c", "1", "-E", "--without-gossip", "--without-mingle", "-l", log_level),
    )


def local_model(place: str) -> tuple[str, ...]:
    """Our own language model, at HOST:PORT or on a socket that listens already: who asks before it is loaded waits."""
    return ("workers.llm.server", place)


def flower(address: str, port: int, log_level: str = "error") -> tuple[str, ...]:
    """Flower, which watches the queue. It reads the broker and loads no engine."""
    return (
        *("celery", "-q", "-A", "workers.app", "flower", f"--conf={FLOWER_CONFIG}"),
        *(f"--address={address}", f"--port={port}", f"--logging={log_level}"),
    )


def here(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The same command with this environment's own Python, whatever PATH says."""
    return (sys.executable, "-m", *argv)
