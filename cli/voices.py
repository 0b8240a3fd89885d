"""`cueline voices`: what the running server offers, as a table, or one of them aloud. Not: how it is spoken."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from api.encoding.riff import HEAD_BYTES, wav_head
from api.settings import SettingsError, read_settings
from cli.log import safe
from cli.loudspeaker import find_player, play_file
from cli.running import read_run
from cli.settings import find_data_dir

COLUMNS = ("name", "label", "language", "gender", "engine")
SAMPLE = "Hello. This is how I sound: the tide is coming in, and the wind is fair."
Voice = Mapping[str, str]


def show_voices(url: str = "", play: str = "") -> int:
    """Ask the server at `url`, else the one running here; exit code 1 if it does not answer.

    With `play`, the name of a voice, that one is heard instead.
    """
    try:
        keys = read_settings().api_keys
        run = None if url else read_run(find_data_dir(os.environ))
    except SettingsError as error:
        sys.stderr.write(f"cueline: {error}\n")
        return 2
    url = url or (run.api if run else "http://127.0.0.1:8000")
    try:
        key = keys[0] if keys else ""
        voices = ask_voices(url, key)
        if play:
            return _play(url, key, play, voices)
    except urllib.error.HTTPError as error:
        why = "it asks for a key: set CUELINE_API_KEYS" if error.code == 401 else _reason(error)
        return _complain(f"{url} does not {'play this voice' if play else 'tell its voices'}; {why}")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"cueline: {url} does not tell its voices ({error}); is `cueline up` running?\n")
        return 1
    sys.stdout.write(table([COLUMNS, *([voice.get(column, "") for column in COLUMNS] for voice in voices)]))
    return 0


def ask_voices(url: str, key: str) -> list[Voice]:
    """`GET /api/voices`. Raises: OSError, ValueError."""
    said = json.loads(_ask(url, "/api/voices", key))
    voices = said.get("voices", []) if isinstance(said, dict) else said
    return [voice for voice in voices if isinstance(voice, dict)]


def _play(url: str, key: str, name: str, voices: Sequence[Voice]) -> int:
    """Raises: OSError, ValueError."""
    found = next((voice for voice in voices if voice.get("name") == name), None)
    if found is None:
        return _complain(f"{url} has no voice {name!r}; see cueline voices")
    if (player := find_player()) is None:
        return _complain("there is nothing to play sound with; hear it on the page, where characters are edited")
    kept = {"name": name, "engine": found.get("engine", ""), "language": found.get("language") or "en-us"}
    wav = _ask(url, "/api/voices/preview", key, {"text": SAMPLE, "voice": kept})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "voice.wav"
        # What is streamed has a head that cannot know its length, and some players believe it.
        pcm = wav[HEAD_BYTES:]
        path.write_bytes(wav_head(len(pcm)) + pcm)
        play_file(player, path)
    return 0


def _ask(url: str, path: str, key: str, body: object = None) -> bytes:
    if not url.startswith(("http://", "https://")):
        raise ValueError("a server's address begins with http:// or https://")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url.rstrip('/')}{path}", data)  # noqa: S310 -- checked above
    if data:
        request.add_header("Content-Type", "application/json")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=60 if data else 10) as answer:  # noqa: S310 -- checked above
        said: bytes = answer.read()
    return said


def _reason(error: urllib.error.HTTPError) -> str:
    """What the server says in words, if it does."""
    with error:
        try:
            return str(json.loads(error.read(10_000))["message"])
        except (OSError, ValueError, KeyError, TypeError):
            return f"HTTP {error.code}"


def _complain(problem: str) -> int:
    sys.stderr.write(f"cueline: {safe(problem)}\n")
    return 1


def table(rows: Sequence[Sequence[object]]) -> str:
    """Rows as aligned columns; safe for a terminal whatever a server said."""
    cells = [[safe(str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "".join(f"{line.rstrip()}\n" for line in lines)
