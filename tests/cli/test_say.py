"""`cueline say` uses the workers that run, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from api.turn.spoken import spoken
from tests.fakes import counter_pcm
from tests.harness import ROOT, Stack


def say(tmp_path: Path, *arguments: str, redis_url: str = "") -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    if redis_url:
        env["CUELINE_REDIS_URL"] = redis_url
    argv = [sys.executable, "-m", "cli.main", "say", *arguments]
    return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_text_becomes_a_wav_through_the_queue(stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    said = say(tmp_path, "The first sentence. And **another** one.", "-o", str(path), redis_url=stack.redis_url)
    assert (said.returncode, said.stderr) == (0, "")
    with wave.open(str(path)) as audio:
        pcm = audio.readframes(audio.getnframes())
    assert pcm == counter_pcm("The first sentence.") + counter_pcm(spoken("And **another** one."))


def test_a_failed_sentence_is_told_and_the_rest_is_written(stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    said = say(
        tmp_path, "It begins well. Then explode please. It ends well.", "-o", str(path), redis_url=stack.redis_url
    )
    assert said.returncode == 1
    assert "failed on this sentence" in said.stderr
    with wave.open(str(path)) as audio:
        assert audio.readframes(audio.getnframes()) == counter_pcm("It begins well.") + counter_pcm("It ends well.")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["", "-o", "{}/out.wav"], "nothing to say"),
        (["Hello.", "-o", "{}/no/such/folder.wav"], "cannot be written"),
        (["***", "-o", "{}/out.wav"], "nothing was spoken"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(stack: Stack, tmp_path: Path, arguments: list[str], told: str) -> None:
    said = say(tmp_path, *(part.replace("{}", str(tmp_path)) for part in arguments), redis_url=stack.redis_url)
    assert said.returncode == 1
    assert told in said.stderr
    assert len(said.stderr.splitlines()) == 1


def test_where_nothing_runs_it_says_so(tmp_path: Path) -> None:
    said = say(tmp_path, "Hello.", "-o", str(tmp_path / "out.wav"))
    assert said.returncode == 1
    assert "cueline up" in said.stderr
