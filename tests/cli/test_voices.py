"""`cueline voices --play` lets a person hear a voice before they choose it."""

from __future__ import annotations

import os
import wave
from pathlib import Path

from api.turn.spoken import spoken
from cli.voices import SAMPLE
from tests.cli.runs import Cueline
from tests.fakes import counter_pcm
from tests.harness import Stack


def player(folder: Path) -> str:
    """A PATH whose player keeps what it is to play."""
    folder.mkdir()
    program = folder / "pw-play"
    program.write_text(f'#!/bin/sh\ncp "$1" {folder}/played.wav\n')
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_a_voice_is_heard_by_its_name(stack: Stack, cueline: Cueline, tmp_path: Path) -> None:
    ran = cueline("voices", "--url", stack.url, "--play", "default", PATH=player(tmp_path / "bin"))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    with wave.open(str(tmp_path / "bin/played.wav")) as audio:
        assert audio.readframes(audio.getnframes()) == counter_pcm(spoken(SAMPLE))


def test_a_voice_that_is_not_there_is_told(stack: Stack, cueline: Cueline, tmp_path: Path) -> None:
    ran = cueline("voices", "--url", stack.url, "--play", "no one", PATH=player(tmp_path / "bin"))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "no voice 'no one'" in ran.stderr
    assert not (tmp_path / "bin/played.wav").exists()
