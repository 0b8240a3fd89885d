"""What tests say and ask when listeners move between api processes."""

from __future__ import annotations

import pytest
import redis
from websockets.exceptions import ConnectionClosed

from contract import keys
from tests.fakes import counter_pcm
from tests.harness import Client, Stack

LONG = (
    "The first one is said slowly and at length. The second one is said slowly too and goes on. "
    "A third follows slowly after it. Four is slowly said as well. And the fifth is slowly the last one."
)
SENTENCES = [sentence + "." for sentence in LONG.rstrip(".").split(". ")]
WHOLE = b"".join(counter_pcm(sentence) for sentence in SENTENCES)


async def listen_until_lost(client: Client) -> None:
    with pytest.raises(ConnectionClosed):
        while True:
            await client.receive()


async def receive_chunks(client: Client, count: int) -> None:
    while len(client.chunks()) < count:
        await client.receive()


def heard(turn: int, *clients: Client) -> bytes:
    places = [(chunk.sentence, chunk.part) for client in clients for chunk in client.chunks(turn)]
    assert places == sorted(set(places)), "in order, each once"
    return b"".join(client.pcm(turn) for client in clients)


def holder(stack: Stack, session: str) -> bytes:
    with redis.Redis.from_url(stack.redis_url) as client:
        return client.xrevrange(keys.holders(session), count=1)[0][1][b"a"]  # type: ignore[index,no-any-return]


def state(stack: Stack, session: str, turn: int = 0) -> bytes | None:
    with redis.Redis.from_url(stack.redis_url) as client:
        return client.hget(keys.turn(session, turn), "state")  # type: ignore[return-value]
