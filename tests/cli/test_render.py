"""`cueline render`: one command on a bare machine, stopped and killed and given again, always the same file."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from tests.harness import ROOT, wait_until

PLAY = "".join(
    f"ALICE: This is what I say as number {number}.\nBEN: And number {number} is what I answer to that.\n"
    for number in range(20)
)


def start(data_dir: Path, script: Path, *arguments: str) -> subprocess.Popen[str]:
    env = {**os.environ, "CUELINE_DATA_DIR": str(data_dir), "CUELINE_TTS_ENGINE": "espeak", "CUELINE_WORKERS": "1"}
    argv = [sys.executable, "-m", "cli.main", "render", str(script), *arguments]
    argv += ["--cast", "ALICE=Ava", "--cast", "BEN=en-gb+m3"]
    return subprocess.Popen(
        argv, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def run(data_dir: Path, script: Path, *arguments: str) -> tuple[int, str]:
    """Exit code, and what it complained of."""
    process = start(data_dir, script, *arguments)
    _, complaints = process.communicate(timeout=110)
    return process.returncode, complaints


@pytest.fixture
def play(tmp_path: Path) -> Path:
    path = tmp_path / "play.txt"
    path.write_text(PLAY)
    return path


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    return path


def made(data_dir: Path) -> int:
    return len(list((data_dir / "renders").glob("*/*.pcm")))


def test_a_play_is_one_command_and_a_kill_changes_nothing(tmp_path: Path, play: Path, data_dir: Path) -> None:
    output, subtitles = tmp_path / "play.wav", tmp_path / "play.srt"
    files = ("-o", str(output), "--subtitles", str(subtitles))
    killed = start(data_dir, play, *files)
    wait_until(lambda: made(data_dir) >= 5, "some lines", 90)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=20)
    assert not output.exists()
    assert run(data_dir, play, *files)[0] == 0
    first = hashlib.sha256(output.read_bytes()).hexdigest()
    assert subtitles.read_text().count("-->") == 40
    with wave.open(str(output)) as sound:
        assert sound.getnframes() / sound.getframerate() > 40
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert made(data_dir) == 0, "what the command has written the server need not keep"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    again = tmp_path / "again.wav"
    assert run(elsewhere, play, "-o", str(again))[0] == 0
    assert hashlib.sha256(again.read_bytes()).hexdigest() == first, "as if nothing had happened"


@pytest.mark.parametrize(
    ("text", "output", "told"),
    [
        ("", "out.wav", "nothing to say"),
        ("ALICE: Hi.\nBEN: Ho.", "out.doc", "must end in"),
        ("ALICE: Hi.\nBEN: Ho.", "nowhere/out.wav", "no such folder"),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_starts(
    tmp_path: Path, data_dir: Path, text: str, output: str, told: str
) -> None:
    script = tmp_path / "script.txt"
    script.write_text(text)
    code, complaints = run(data_dir, script, "-o", str(tmp_path / output))
    assert code == 2
    assert told in complaints
    assert not (tmp_path / output).exists()


def test_of_two_that_write_one_file_the_second_is_refused(tmp_path: Path, play: Path, data_dir: Path) -> None:
    output = tmp_path / "out.wav"
    folder = data_dir / "writing"
    folder.mkdir()
    with (folder / hashlib.sha256(os.fsencode(output.resolve())).hexdigest()[:24]).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, complaints = run(data_dir, play, "-o", str(output))
    assert code == 1
    assert "another cueline render is writing" in complaints
