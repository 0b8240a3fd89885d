"""The api's line to Redis keeps its word under cancels; what happens when it is cut is tried in tests/faults."""

from __future__ import annotations

import asyncio

from api.streams import Streams
from tests.harness import Stack


async def test_a_cancel_is_never_lost_in_a_command(stack: Stack) -> None:
    """Whoever waits for Redis ends when it is told to, at whatever moment it is told."""
    streams = Streams(stack.redis_url)

    async def ask_for_ever() -> None:
        while True:
            await streams.redis.ping()

    try:
        for moment in range(600):
            asking = asyncio.create_task(ask_for_ever())
            for _ in range(moment % 60):
                await asyncio.sleep(0)
            asking.cancel()
            _, pending = await asyncio.wait({asking}, timeout=0.5)
            still_asks = bool(pending)
            for task in pending:
                task.cancel()
            assert not still_asks, f"cancelled after {moment % 60} steps, and went on"
        assert await streams.redis.echo("its own answer") == b"its own answer"
    finally:
        await streams.close()


async def test_a_holder_that_slept_through_the_loss_of_its_session_changes_no_history(stack: Stack) -> None:
    streams, session = Streams(stack.redis_url), "slept-through"
    said = [{"role": "user", "text": text, "turn": 0, "character": ""} for text in ("mine", 'yours \u00fc "', "late")]
    try:
        assert await streams.claim(session, 1, "a")
        await streams.append_history(session, 1, said[0])
        assert await streams.claim(session, 2, "b")
        await streams.append_history(session, 2, said[1])
        await streams.append_history(session, 1, said[2])
        await streams.replace_history(session, 1, [])
        assert await streams.load_history(session) == said[:2]
        await streams.replace_history(session, 2, said)
        assert await streams.load_history(session) == said
        await streams.replace_history(session, 2, [])
        assert await streams.load_history(session) == []
    finally:
        await streams.close()
