"""Whatever dies while a script is rendered: every line is there in the end, once, and as the engine makes it."""

from __future__ import annotations

from pathlib import Path

from tests.harness import Stack, wait_until
from tests.render import asking


def test_seventy_lines_survive_a_worker_two_wipes_of_redis_and_an_api_and_are_not_made_again(tmp_path: Path) -> None:
    stack = Stack(tmp_path, env={"CUELINE_CACHE_MB": "64"}).start(workers=2)
    lines = [f"Line number {number} is said{' slowly' * (number % 3 == 0)}." for number in range(70)]
    faults = [stack.workers[0].kill, lambda: wipe(stack), lambda: restart_api(stack), lambda: wipe(stack)]
    try:
        render = asking.order(stack, lines)
        for number, fault in enumerate(faults, 1):
            wait_until(lambda number=number: asking.shown(stack, render)["done"] >= 13 * number, "some lines", 60)
            fault()
        done = asking.wait_for(stack, render, timeout_s=90)
        assert (done["done"], done["failed"]) == (70, 0)
        asking.assert_intact(stack, render, lines)
        lines[33] = "Only this one is another."
        before = stack.started()
        again = asking.wait_for(stack, asking.order(stack, lines))
        assert [line["line"] for line in again["script"] if not line["cached"]] == [33]
        assert stack.started() - before == {lines[33]: 1}, "an edited script makes only what changed"
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
