"""`cueline get`: what can be fetched, and fetching it, with a bar. Not: how a file comes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from api.settings import SettingsError
from cli.log import safe
from cli.settings import find_data_dir
from cli.voices import table
from cli.weights.fetch import FetchFailed, fetch
from cli.weights.table import TABLE, File

BAR_CHARS = 24
DRAW_S = 0.1


def get(names: Sequence[str]) -> int:
    """Fetch these, or list what there is; exit code 1 if one is not there in the end."""
    if not names:
        rows = [(one.name, f"{one.size / 1e6:.0f} MB", one.licence, one.what) for one in TABLE.values()]
        sys.stdout.write(table([("NAME", "SIZE", "LICENCE", "WHAT"), *rows]))
        return 0
    if unknown := [name for name in names if name not in TABLE]:
        return _complain(f"there is no {unknown[0]!r} to get; there are {', '.join(TABLE)}", 2)
    try:
        data_dir = find_data_dir(os.environ)
    except SettingsError as error:
        return _complain(str(error), 2)
    for weights in map(TABLE.__getitem__, dict.fromkeys(names)):
        folder = data_dir / weights.folder
        try:
            for file in weights.files:
                with _Bar(file) as bar:
                    fetch(file, folder, bar.tell)
        except FetchFailed as error:
            return _complain(str(error))
        sys.stdout.write(f"{weights.name} is in {folder}\nuse it: {weights.use.format(folder=folder)}\n")
    return 0


class _Bar:
    """How far a file has come: on a terminal a bar, elsewhere one line in the end."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._is_drawn = sys.stderr.isatty()
        self._drawn_at = 0.0
        self._have = 0

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *failed: object) -> None:
        if self._is_drawn and self._have:
            sys.stderr.write("\n")
        elif failed[0] is None:
            sys.stderr.write(f"{self._file.name}: {self._have / 1e6:.1f} MB\n" if self._have else "")

    def tell(self, have: int, whole: int) -> None:
        """So many bytes are there, of so many."""
        self._have = have
        now = time.monotonic()
        if not self._is_drawn or (now - self._drawn_at < DRAW_S and have < whole):
            return
        self._drawn_at = now
        done = have * BAR_CHARS // whole
        bar = f"[{'#' * done}{' ' * (BAR_CHARS - done)}]"
        sys.stderr.write(f"\r{self._file.name} {bar} {have / 1e6:.1f} of {whole / 1e6:.1f} MB")
        sys.stderr.flush()


def _complain(problem: str, code: int = 1) -> int:
    sys.stderr.write(f"cueline: {safe(problem)}\n")
    return code
