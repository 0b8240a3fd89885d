"""Whoever watches the queue in Flower sees every sentence, in words."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import commands
from tests.harness import Process, Stack, free_port, wait_until


class Flower:
    """A real Flower beside the stack, with a password."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.port = free_port()
        argv = commands.here(commands.flower("127.0.0.1", self.port))
        self.process = Process(argv, folder / "flower.log", {**stack.env, "CUELINE_FLOWER_PASSWORD": "sesame"})

    def get(self, path: str, password: str = "sesame") -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        request.add_header("Authorization", "Basic " + base64.b64encode(f"cueline:{password}".encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return None


@pytest.fixture
def flower(stack: Stack, tmp_path: Path) -> Iterator[Flower]:
    running = Flower(stack, tmp_path)
    wait_until(lambda: isinstance(running.get("/api/tasks"), str), "flower", 30)
    wait_until(lambda: json.loads(running.get("/api/workers")), "flower to know a worker", 30)
    yield running
    running.process.stop()


async def test_flower_lists_every_sentence_in_words(stack: Stack, flower: Flower) -> None:
    async with stack.listen() as client:
        await client.ask("SAY The first one is watched. The second one <b>too</b>. And the third.", character="ben")

    def jobs() -> dict[int, dict[str, Any]]:
        tasks = json.loads(flower.get("/api/tasks")).values()
        shown = [task for task in tasks if "'Ben'" in (task["kwargs"] or "") and task["state"] == "SUCCESS"]
        return {
            sentence: task for sentence in range(3) for task in shown if f"'sentence': {sentence}," in task["kwargs"]
        }

    found = await asyncio.to_thread(wait_until, lambda: len(jobs()) == 3 and jobs(), "three tasks in Flower")
    assert "'words': 'The first one is watched.'" in found[0]["kwargs"]
    assert found[1]["name"] == "cueline.speak"
    everything = flower.get("/api/tasks")
    session = client.messages("session")[0]["session_id"]
    assert session not in everything, "what opens a session is shown to nobody"
    assert "secret" not in everything


def test_flower_asks_for_its_password(flower: Flower) -> None:
    assert flower.get("/api/tasks", password="guess") == 401
    assert flower.get("/", password="guess") == 401
