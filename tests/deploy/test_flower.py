"""Flower shows jobs as people speak of them."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

CONFIG = Path(__file__).parents[2] / "deploy/flowerconfig.py"


def config() -> dict[str, Any]:
    return runpy.run_path(str(CONFIG))


def test_a_job_says_who_speaks_which_sentence_and_what() -> None:
    shown = {"character": "Ava", "turn": 3, "sentence": 1, "words": "It's late…"}
    task = SimpleNamespace(name="cueline.speak", kwargs=repr(shown))
    assert config()["format_task"](task).name == 'speak [Ava] 3.1 "It\'s late…"'


def test_a_line_of_a_render_says_of_which_and_how_far_that_is() -> None:
    shown = {"character": "ALICE", "render": "The pier", "line": 12, "lines": 200, "words": "Good morning…"}
    task = SimpleNamespace(name="cueline.speak", kwargs=repr(shown))
    assert config()["format_task"](task).name == 'render "The pier" 12/200 ALICE "Good morning…"'


@pytest.mark.parametrize("kwargs", [None, "", "{}", "{'character': 'Av", "[1]", "__import__('os').abort()"])
def test_a_task_it_does_not_know_is_shown_as_it_is(kwargs: str | None) -> None:
    task = SimpleNamespace(name="celery.ping", kwargs=kwargs)
    assert config()["format_task"](task).name == "celery.ping"


def test_a_password_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUELINE_FLOWER_PASSWORD", raising=False)
    assert "basic_auth" not in config()
    monkeypatch.setenv("CUELINE_FLOWER_PASSWORD", "a:b")
    assert config()["basic_auth"] == ["cueline:a:b"]
