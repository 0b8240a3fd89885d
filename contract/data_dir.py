"""Where the processes of one machine keep their own data. Not: which data."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def find_data_dir(env: Mapping[str, str]) -> Path:
    """Make sure of a private, writable directory for what lives longer than one run.

    Without CUELINE_DATA_DIR: the user's data directory, or, where there is no usable home, one of the user's
    own under the system's temporary directory. Raises: ValueError, one line.
    """
    if chosen := env.get("CUELINE_DATA_DIR"):
        path = Path(chosen).expanduser().absolute()
        if problem := directory_problem(path):
            raise ValueError(f"CUELINE_DATA_DIR: {path} {problem}")
        return path
    home = env.get("XDG_DATA_HOME") or (f"{env['HOME']}/.local/share" if env.get("HOME") else "")
    fallback = Path(tempfile.gettempdir()) / f"cueline-{os.getuid()}"
    for path in [Path(home) / "cueline", fallback] if home.startswith("/") else [fallback]:
        if not directory_problem(path):
            return path
    raise ValueError("CUELINE_DATA_DIR: found no directory that can be written; name one")


def directory_problem(path: Path) -> str:
    """Why `path` cannot hold our data; empty if it can."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_uid != os.getuid() and os.getuid() != 0:
            return "belongs to somebody else"
        with tempfile.TemporaryFile(dir=path):
            return ""
    except OSError as error:
        return f"cannot be written: {(error.strerror or str(error)).lower()}"
