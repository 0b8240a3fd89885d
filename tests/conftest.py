"""Fixtures: real processes, started once where tests can share them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.fakes import FakeModelServer
from tests.harness import Stack
from workers.streams import connect


@pytest.fixture(scope="session")
def model() -> Iterator[FakeModelServer]:
    """A language model that does as told."""
    server = FakeModelServer()
    server.url = server.start()  # type: ignore[attr-defined]
    yield server
    server.stop()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, model: FakeModelServer) -> Iterator[Stack]:
    """Redis, three workers with the counter engine and an api, shared by all tests that leave them whole."""
    running = Stack(tmp_path_factory.mktemp("stack"), env=model_env(model))
    try:
        yield running.start(workers=3)
    finally:
        running.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A Redis with nothing else beside it, as a worker sees it."""
    stack = Stack(tmp_path_factory.mktemp("redis"))
    stack.start_redis()
    client = connect(stack.redis_url)
    yield client
    client.close()
    stack.stop()


def model_env(model: FakeModelServer) -> dict[str, str]:
    """Settings that connect an api to the fake model, with short deadlines."""
    return {
        "CUELINE_LLM_BASE_URL": model.url,  # type: ignore[attr-defined]
        "CUELINE_LLM_MODEL": "fake",
        "CUELINE_LLM_FIRST_TOKEN_S": "2",
        "CUELINE_LLM_STALL_S": "1",
    }
