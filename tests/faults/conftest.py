"""Fixtures: api processes that may be killed, on one Redis with two workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import model_env
from tests.fakes import FakeModelServer
from tests.harness import Stack

KEPT = 3
"""Two for the next test, and one that has been started ahead."""


class Apis:
    """Api processes of one Redis: what a test leaves whole the next one takes; of what it has hurt nothing is left."""

    def __init__(self, base: Stack) -> None:
        self._base = base
        self._taken: list[Stack] = []
        self._spare = [base.another_api()]

    def take(self) -> Stack:
        """One that is ready; if it was the last one, another is started meanwhile."""
        taken = self._spare.pop(0)
        self._taken.append(taken)
        if not self._spare:
            self._spare.append(self._base.another_api())
        taken.wait_until_ready(workers=2)
        return taken

    def give_back(self) -> None:
        """All that were taken: first those that are whole, in front of those that have only just been started."""
        whole = [stack for stack in self._taken if stack.api and stack.api.is_whole]
        for stack in self._taken:
            if stack not in whole:
                stack.api.kill()  # type: ignore[union-attr]
        kept = [*whole, *self._spare]
        for stack in kept[KEPT:]:
            stack.api.kill()  # type: ignore[union-attr]
        self._spare, self._taken = kept[:KEPT], []

    def stop(self) -> None:
        """End them all."""
        for stack in (*self._taken, *self._spare):
            stack.api.kill()  # type: ignore[union-attr]


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def all_apis(base: Stack) -> Iterator[Apis]:
    """Those of all tests."""
    apis = Apis(base)
    try:
        yield apis
    finally:
        apis.stop()


@pytest.fixture
def apis(all_apis: Apis) -> Iterator[Apis]:
    """Those of this test."""
    yield all_apis
    all_apis.give_back()


@pytest.fixture
def own(apis: Apis) -> Stack:
    """The one that the talk begins with."""
    return apis.take()


@pytest.fixture
def other(own: Stack, apis: Apis) -> Stack:
    """The one beside it."""
    return apis.take()
