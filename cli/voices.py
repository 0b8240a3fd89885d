"""`cueline voices`: what the running server offers, as a table. Not: which engine speaks it."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence

from api.settings import SettingsError, read_settings
from cli.log import safe
from cli.running import read_run
from cli.settings import find_data_dir

COLUMNS = ("name", "label", "language", "gender", "engine")


def print_voices(url: str = "") -> int:
    """Ask the server at `url`, else the one running here; exit code 1 if it does not answer."""
    try:
        keys = read_settings().api_keys
        run = None if url else read_run(find_data_dir(os.environ))
    except SettingsError as error:
        sys.stderr.write(f"cueline: {error}\n")
        return 2
    url = url or (run.api if run else "http://127.0.0.1:8000")
    try:
        voices = ask_voices(url, keys[0] if keys else "")
    except urllib.error.HTTPError as error:
        why = "it asks for a key: set CUELINE_API_KEYS" if error.code == 401 else f"HTTP {error.code}"
        sys.stderr.write(f"cueline: {url} does not tell its voices; {why}\n")
        return 1
    except (OSError, ValueError) as error:
        sys.stderr.write(f"cueline: {url} does not tell its voices ({error}); is `cueline up` running?\n")
        return 1
    sys.stdout.write(table([COLUMNS, *([voice.get(column, "") for column in COLUMNS] for voice in voices)]))
    return 0


def ask_voices(url: str, key: str) -> list[Mapping[str, str]]:
    """`GET /api/voices`. Raises: OSError, ValueError."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("a server's address begins with http:// or https://")
    request = urllib.request.Request(f"{url.rstrip('/')}/api/voices")  # noqa: S310 -- checked above
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 -- checked above
        said = json.load(answer)
    voices = said.get("voices", []) if isinstance(said, dict) else said
    return [voice for voice in voices if isinstance(voice, dict)]


def table(rows: Sequence[Sequence[object]]) -> str:
    """Rows as aligned columns; safe for a terminal whatever a server said."""
    cells = [[safe(str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "".join(f"{line.rstrip()}\n" for line in lines)
