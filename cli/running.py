"""What a running Cueline tells about itself: its run file and its readiness. Not: how it is started."""

from __future__ import annotations

import http.client
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

RUN_FILE = "run.json"


@dataclass(frozen=True, slots=True)
class Run:
    """One `cueline up` that is up."""

    pid: int
    api: str
    """URL as seen from this machine."""
    flower: str
    """URL; empty: none."""
    redis: str
    """URL, with its password: the file is for its owner only."""
    restarts: int = 0
    """How often everything was replaced."""
    restart_problem: str = ""
    """Why the last time went wrong."""


def write_run(data_dir: Path, run: Run) -> None:
    """Let other commands of this user find `run`."""
    # Whole or not at all: others may be reading. A name of this process alone, private from the start.
    fresh = data_dir / f"{RUN_FILE}.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(run), file)
    fresh.replace(data_dir / RUN_FILE)


def read_run(data_dir: Path) -> Run | None:
    """The run that uses `data_dir`; None if none does, or if it was killed and could not tidy up."""
    try:
        run = Run(**json.loads((data_dir / RUN_FILE).read_text()))
        os.kill(run.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return run


def remove_run(data_dir: Path) -> None:
    """Remove the run file if it is this process's."""
    if (run := read_run(data_dir)) and run.pid == os.getpid():
        (data_dir / RUN_FILE).unlink(missing_ok=True)


def ask_ready(url: str, timeout_s: float = 2.0) -> str:
    """Why the server at `url` is not ready; empty if it is."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        said = answer.read(2000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"the api does not answer ({error})"
    finally:
        connection.close()
    return "" if answer.status == 200 else f"the api says {answer.status} {said.strip()}"
