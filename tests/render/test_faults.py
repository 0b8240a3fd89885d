"""Whatever dies while a script is rendered: every line is there in the end, once, and as the engine makes it."""

from __future__ import annotations

from pathlib import Path

from tests.harness import Stack, wait_until
from tests.render import asking


def test_seventy_lines_survive_a_worker_two_wipes_of_redis_and_an_api(tmp_path: Path) -> None:
    stack = Stack(tmp_path).start(workers=2)
    lines = [f"Line number {number} is said slowly." for number in range(70)]
    faults = [stack.workers[0].kill, lambda: wipe(stack), lambda: restart_api(stack), lambda: wipe(stack)]
    try:
        render = asking.order(stack, lines)
        for number, fault in enumerate(faults, 1):
            wait_until(lambda number=number: asking.shown(stack, render)["done"] >= 13 * number, "some lines", 60)
            fault()
        done = asking.wait_for(stack, render, timeout_s=90)
        assert (done["done"], done["failed"]) == (70, 0)
        asking.assert_intact(stack, render, lines)
    finally:
        stack.stop()


def wipe(stack: Stack) -> None:
    """Redis dies, and comes back empty at the same place."""
    assert stack.redis
    stack.redis.kill()
    stack.start_redis()


def restart_api(stack: Stack) -> None:
    assert stack.api
    stack.api.kill()
    stack.start_api()
    stack.wait_until_ready()
