"""A whole Cueline that can hear: the real recognizer with the toy model, on a worker of its own."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.conftest import model_env
from tests.fakes import FakeModelServer
from tests.harness import Stack, wait_until


@pytest.fixture(scope="session")
def hearing(tmp_path_factory: pytest.TempPathFactory, model: FakeModelServer) -> Iterator[Stack]:
    """Two speech workers, a recognition worker and an api that listens."""
    if find_spec("faster_whisper") is None:
        pytest.skip("NOT TESTED: listening needs the extra whisper (make .venv/.dev installs it)")
    env = {**model_env(model), "CUELINE_STT_ENGINE": "whisper", "CUELINE_STT_LANGUAGE": "en"}
    running = Stack(tmp_path_factory.mktemp("hearing"), engine="espeak", env=env)
    try:
        running.start(workers=2)
        running.start_recognizer()
        wait_until(lambda: recognizers(running), "a recognizer")
        yield running
    finally:
        running.stop()


def recognizers(stack: Stack) -> int:
    """How many could hear now."""
    return len(
        [name for name in stack.redis_keys("cueline:recognizer:*") if stack.redis_json(name)["state"] == "ready"]
    )
