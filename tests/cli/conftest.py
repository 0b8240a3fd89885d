"""Starts `cueline` as somebody would who has set nothing, and ends what is left of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.runs import Cueline, Running, Start, free_port

PROJECT = Path(__file__).resolve().parents[2]
CHAMBER = Path(__file__).with_name("chamber_up.py")


@pytest.fixture
def bare_env(tmp_path: Path) -> dict[str, str]:
    """An environment of somebody who has set nothing."""
    home = tmp_path / "home"
    home.mkdir()
    return {"PATH": os.environ["PATH"], "HOME": str(home)}


@pytest.fixture
def start(tmp_path: Path, bare_env: dict[str, str]) -> Iterator[Start]:
    """Start `cueline up` with the small processes that `plan` names in chamber_up.py."""
    started: list[Running] = []

    def start_up(plan: str = "well", **settings: str) -> Running:
        env = {**bare_env, "CUELINE_PORT": str(free_port()), "CUELINE_FLOWER_PORT": "0", **settings}
        env |= {"CHAMBER_PLAN": plan, "PYTHONPATH": str(PROJECT)}
        started.append(Running([sys.executable, str(CHAMBER)], env, tmp_path))
        return started[-1]

    yield start_up
    for running in started:
        running.tidy()


@pytest.fixture
def cueline(tmp_path: Path, bare_env: dict[str, str]) -> Cueline:
    """Run the real command to its end."""

    def run(*arguments: str, cwd: Path = tmp_path, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            env={**bare_env, "PYTHONPATH": str(PROJECT), **settings},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
