"""The loudspeaker of this machine, by whatever program plays files here. Not: what is played."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

PLAYERS = (
    ("pw-play",),
    ("paplay",),
    ("aplay", "-q"),
    ("afplay",),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
)
Player = tuple[str, ...]


def find_player() -> Player | None:
    """The first program that is here."""
    return next((command for command in PLAYERS if shutil.which(command[0])), None)


def play_file(player: Player, path: Path) -> None:
    """Play a sound file to its end."""
    subprocess.run([*player, str(path)], check=False)
