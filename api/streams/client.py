"""Client: the connections to Redis that everything else here uses, and its answers as Python has them."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError, TimeoutError

Entry = tuple[str, dict[bytes, bytes]]
"""Entry id and its fields."""
CONNECTIONS = 64
"""At most, per process; each is held for one round trip."""
StreamsError = RedisError
"""What every method of `Streams` may raise when Redis is away or full."""
StreamsAway = (ConnectionError, TimeoutError)
"""Of these, what says that Redis is not there; the rest are refusals, say because it is full."""


class SteadyLine:
    """Mends two things in the way redis-py 8.1 sends a command.

    uvloop raises RuntimeError when somebody writes to a transport that is closed already (MagicStack/uvloop#506);
    redis-py knows OSError only, and whole loops would end by it.

    It sends inside `asyncio.wait_for`, which until Python 3.12 loses a cancel that comes just as the sending is done
    (python/cpython#86296): a sentence nobody wants any more would go on, and be mourned.
    """

    async def send_packed_command(self, *args: Any, **options: Any) -> None:
        task = asyncio.current_task()
        cancels = task.cancelling() if task else 0
        try:
            await super().send_packed_command(*args, **options)  # type: ignore[misc]
        except RuntimeError as error:
            raise ConnectionError(str(error)) from error
        if task and task.cancelling() > cancels:
            # The answer would be taken for that of the next command.
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            raise asyncio.CancelledError


class Client:
    """Commands that are short, and clients whose calls end within seconds."""

    def __init__(self, url: str) -> None:
        # A pool that is empty makes its callers wait; redis-py's usual one makes the hundred-and-first fail.
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=5,
            socket_timeout=5,
            socket_connect_timeout=2,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 1),
        )
        self.redis = Redis.from_pool(_steady(pool))
        # The inbox has a connection of its own: nothing may make it wait, and its reads outlive the usual timeout.
        inbox = ConnectionPool.from_url(
            url,
            socket_timeout=8,
            socket_connect_timeout=2,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
        )
        self.blocking = Redis.from_pool(_steady(inbox))

    async def close(self) -> None:
        """Give the connections back."""
        await self.redis.aclose()
        await self.blocking.aclose()


def _steady(pool: ConnectionPool) -> ConnectionPool:
    """The same pool, whichever kind of line its URL asks for."""
    kind = pool.connection_class
    pool.connection_class = type(f"Steady{kind.__name__}", (SteadyLine, kind), {})
    return pool


def raise_unless_there(results: list[Any]) -> None:
    """Raise the first refusal of a pipeline that says more than that an entry, or a newer one, is there already."""
    for result in results:
        if isinstance(result, RedisError) and "equal or smaller" not in str(result):
            raise result


def pairs(found: Any) -> list[tuple[Any, Any]]:
    """XREAD's answer: pairs of key and entries, or nothing when nothing came."""
    return list(found or [])


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def decode(found: Any) -> dict[str, str]:
    return {text(name): text(value) for name, value in found.items()}
