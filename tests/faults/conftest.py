"""Fixtures: api processes that may be killed, on one Redis with two workers."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.conftest import model_env
from tests.fakes import FakeModelServer
from tests.harness import Stack


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, model: FakeModelServer) -> Iterator[Stack]:
    """Redis and two workers; each test has api processes of its own, which it may kill."""
    stack = Stack(tmp_path_factory.mktemp("api"), env={**model_env(model), "CUELINE_LISTENER_GRACE_S": "1"})
    try:
        stack.start_redis()
        for _ in range(2):
            stack.start_worker()
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def apis(base: Stack) -> Iterator[tuple[Stack, Stack]]:
    """Two api processes."""
    stacks = base.another_api(), base.another_api()
    try:
        for stack in stacks:
            stack.wait_until_ready(workers=2)
        yield stacks
    finally:
        for stack in stacks:
            assert stack.api
            stack.api.signal(signal.SIGCONT) if stack.api.popen.poll() is None else None
            stack.api.kill()


@pytest.fixture
def own(apis: tuple[Stack, Stack]) -> Stack:
    """The one that the talk begins with."""
    return apis[0]


@pytest.fixture
def other(apis: tuple[Stack, Stack]) -> Stack:
    """The one beside it."""
    return apis[1]
