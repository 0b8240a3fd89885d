"""A house whose workers remember what they have said."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import model_env
from tests.fakes import FakeModelServer
from tests.harness import Stack

KEYS = ("first-key-of-the-house", "second-key-of-the-house")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, model: FakeModelServer) -> Iterator[Stack]:
    """Redis, one worker with a cache, and an api. Tests leave all of it running."""
    env = {**model_env(model), "CUELINE_CACHE_MB": "64"}
    stack = Stack(tmp_path_factory.mktemp("house"), env=env)
    try:
        yield stack.start(workers=1)
    finally:
        stack.stop()
