"""The api's only door to Redis: sentence streams, the bell inbox, the text mirror, sessions. Not: order, meaning."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError, ResponseError, TimeoutError

from contract import keys

Entry = tuple[str, dict[bytes, bytes]]
"""Entry id and its fields."""
TOP_ID = "18446744073709551615-1"
"""The highest id: after it Redis refuses every further entry. What ends a stream for good."""

CONNECTIONS = 64
"""At most, per process; each is held for one round trip."""
StreamsError = RedisError
StreamsAway = (ConnectionError, TimeoutError)
"""Of these, what says that Redis is not there; the rest are refusals, say because it is full."""
"""What every method here may raise when Redis is away or full."""


class Streams:
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
        self.redis = Redis.from_pool(pool)
        # The inbox has a connection of its own: nothing may make it wait, and its reads outlive the usual timeout.
        self._inbox = Redis.from_url(
            url,
            socket_timeout=8,
            socket_connect_timeout=2,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self.redis.aclose()
        await self._inbox.aclose()

    # sentences

    async def open_sentence(self, key: str) -> None:
        """Make a sentence's stream; until then no worker can write to it."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.xadd(key, {"o": b""}, id="1-0")
        pipe.expire(key, keys.SENTENCE_LIFETIME_S)
        opened, _ = await pipe.execute(raise_on_error=False)
        if isinstance(opened, RedisError) and not isinstance(opened, ResponseError):
            raise opened

    async def fence(self, key: str, attempt: int) -> None:
        """Refuse every older attempt from now on; makes the stream again if it was lost."""
        try:
            await self.redis.xadd(key, {"o": b""}, id=f"{attempt}-0")
        except ResponseError as error:
            if "equal or smaller" not in str(error):
                raise
        await self.redis.expire(key, keys.SENTENCE_LIFETIME_S)

    async def end_sentences(self, ends: dict[str, bytes], unheard: Collection[str] = ()) -> None:
        """Write each stream's final frame under the highest id: nobody writes after it, however late.

        What `unheard` streams hold is forgotten: nobody was given it, so a replay shall not have it either.
        """
        pipe = self.redis.pipeline(transaction=False)
        if unheard:
            pipe.delete(*unheard)
        for key, frame in ends.items():
            pipe.xadd(key, {"f": frame}, id=TOP_ID)
            pipe.expire(key, keys.SENTENCE_LIFETIME_S)
        for result in await pipe.execute(raise_on_error=False):
            if isinstance(result, RedisError) and "equal or smaller" not in str(result):
                raise result

    async def read(self, positions: dict[str, str], count: int = 2000) -> dict[str, list[Entry]]:
        """Entries of several streams after the given ids, at once and without waiting."""
        if not positions:
            return {}
        found: Any = await self.redis.xread(positions, count=count)  # type: ignore[arg-type]
        return {_text(key): [(_text(i), fields) for i, fields in entries] for key, entries in _pairs(found)}

    # events

    async def append_events(self, session: str, events: list[tuple[int, str]]) -> None:
        """Mirror events; one that is there already is left as it is, so a repeated call does no harm."""
        key = keys.events(session)
        pipe = self.redis.pipeline(transaction=False)
        for number, text in events:
            pipe.xadd(key, {"d": text}, id=f"{number}-0", maxlen=keys.EVENTS_MAXLEN, approximate=True)
        pipe.expire(key, keys.SESSION_LIFETIME_S)
        for result in await pipe.execute(raise_on_error=False):
            if isinstance(result, RedisError) and "equal or smaller" not in str(result):
                raise result

    async def read_events(self, session: str, after: str) -> list[tuple[str, str]]:
        """(id, JSON) of events after an id, at once and without waiting."""
        found: Any = await self.redis.xread({keys.events(session): after}, count=200)
        return [(_text(entry_id), _text(fields[b"d"])) for _, entries in _pairs(found) for entry_id, fields in entries]

    async def last_event(self, session: str) -> int:
        """Number of the newest event; 0 if there is none."""
        top: Any = await self.redis.xrevrange(keys.events(session), count=1)
        return int(_text(top[0][0]).partition("-")[0]) if top else 0

    # sessions, turns, history

    async def save_session(self, session: str, fields: dict[str, str]) -> None:
        """Keep what another process would need; `fields` name the owner."""
        await self._save(keys.session(session), fields)
        pipe = self.redis.pipeline(transaction=False)
        pipe.zadd(keys.owner(fields["owner"]), {session: time.time()})
        pipe.expire(keys.owner(fields["owner"]), keys.SESSION_LIFETIME_S)
        await pipe.execute()

    async def load_session(self, session: str) -> dict[str, str]:
        """What `save_session` kept; empty if there is no such session."""
        return _decode(await self.redis.hgetall(keys.session(session)))

    async def session_ids(self, owner: str, limit: int = 1000) -> list[str]:
        """Ids of an owner's sessions, the newest first."""
        key = keys.owner(owner)
        await self.redis.zremrangebyscore(key, 0, time.time() - keys.SESSION_LIFETIME_S)
        return [_text(session) for session in await self.redis.zrevrange(key, 0, limit - 1)]

    async def delete_session(self, session: str, owner: str, turns: int) -> None:
        """Forget a session: its text, its turns, its audio."""
        await self.redis.zrem(keys.owner(owner), session)
        kept = (keys.session, keys.events, keys.history, keys.messages)
        await self.redis.delete(*(key(session) for key in kept))
        for number in range(turns):
            sentences = int((await self.load_turn(session, number)).get("sentences", 0))
            doomed = [keys.sentence(session, number, index) for index in range(sentences)]
            await self.redis.delete(keys.turn(session, number), *doomed)

    async def count_sentences(self, session: str, turn: int) -> int:
        """How many sentences of a turn have a stream."""
        count = 0
        while await self.redis.exists(keys.sentence(session, turn, count)):
            count += 1
        return count

    async def save_turn(self, session: str, turn: int, fields: dict[str, str], *, unless_there: bool = False) -> None:
        """Keep how far a turn is; with `unless_there`, only what is not kept yet."""
        await self._save(keys.turn(session, turn), fields, unless_there=unless_there)

    async def load_turn(self, session: str, turn: int) -> dict[str, str]:
        """What `save_turn` kept; empty if there is no such turn."""
        return _decode(await self.redis.hgetall(keys.turn(session, turn)))

    async def append_history(self, session: str, message: dict[str, Any]) -> None:
        """Keep one more message of the conversation."""
        key = keys.history(session)
        pipe = self.redis.pipeline(transaction=False)
        pipe.rpush(key, json.dumps(message))
        pipe.ltrim(key, -keys.HISTORY_MAXLEN, -1)
        pipe.expire(key, keys.SESSION_LIFETIME_S)
        await pipe.execute()

    async def replace_history(self, session: str, messages: list[dict[str, Any]]) -> None:
        """Keep the conversation as it stands."""
        key = keys.history(session)
        pipe = self.redis.pipeline(transaction=True)
        pipe.delete(key)
        if messages:
            pipe.rpush(key, *[json.dumps(message) for message in messages[-keys.HISTORY_MAXLEN :]])
            pipe.expire(key, keys.SESSION_LIFETIME_S)
        await pipe.execute()

    async def remember_message(self, session: str, message_id: str, turn: int) -> None:
        """Know a message again when its client sends it twice."""
        key = keys.messages(session)
        pipe = self.redis.pipeline(transaction=False)
        pipe.rpush(key, json.dumps([message_id, turn]))
        pipe.ltrim(key, -keys.MESSAGES_MAXLEN, -1)
        pipe.expire(key, keys.SESSION_LIFETIME_S)
        await pipe.execute()

    async def load_messages(self, session: str) -> dict[str, int]:
        """Turns of the messages that clients gave names to, oldest first."""
        found: Any = await self.redis.lrange(keys.messages(session), 0, -1)
        return dict(json.loads(message) for message in found)

    async def load_history(self, session: str) -> list[dict[str, Any]]:
        """The conversation, oldest first."""
        found: Any = await self.redis.lrange(keys.history(session), 0, -1)
        return [json.loads(message) for message in found]

    async def _save(self, key: str, fields: dict[str, str], *, unless_there: bool = False) -> None:
        pipe = self.redis.pipeline(transaction=False)
        if unless_there:
            for name, value in fields.items():
                pipe.hsetnx(key, name, value)
        else:
            pipe.hset(key, mapping=fields)  # type: ignore[arg-type]
        pipe.expire(key, keys.SESSION_LIFETIME_S)
        await pipe.execute()

    # workers, queue, tickets

    async def workers(self) -> list[dict[str, Any]]:
        """What every speech worker that takes jobs says of itself."""
        names = [_text(name) for name in await self.redis.smembers(keys.WORKERS)]
        values = await self.redis.mget([keys.worker(name) for name in names]) if names else []
        if dead := [name for name, value in zip(names, values, strict=True) if not value]:
            await self.redis.srem(keys.WORKERS, *dead)
        return [json.loads(value) for value in values if value]

    async def enqueue(self, queue: str, message: str) -> None:
        """Put a message where Celery's workers look for it."""
        await self.redis.lpush(queue, message)

    async def is_queued(self, queue: str, message: str) -> bool:
        """Whether no worker has taken a message yet."""
        return await self.redis.lpos(queue, message) is not None

    async def keep_ticket(self, digest: str, owner: str) -> None:
        """Remember a ticket for a minute."""
        await self.redis.set(keys.ticket(digest), owner, ex=keys.TICKET_LIFETIME_S)

    async def use_ticket(self, digest: str) -> str | None:
        """Whose ticket this is; it is void afterwards."""
        owner = await self.redis.getdel(keys.ticket(digest))
        return _text(owner) if owner else None

    async def used_ratio(self) -> float:
        """Share of Redis' memory limit in use; 0 where there is no limit."""
        info = await self.redis.info("memory")
        limit = int(info.get("maxmemory") or 0)
        return int(info["used_memory"]) / limit if limit else 0.0

    # inbox

    async def make_inbox(self, key: str) -> bool:
        """Keep the inbox alive; True if it had to be made (so that nobody could ring until now)."""
        if await self.redis.expire(key, keys.INBOX_LIFETIME_S):
            return False
        await self.redis.xadd(key, {"o": b""})
        await self.redis.expire(key, keys.INBOX_LIFETIME_S)
        return True

    async def wait_for_bells(self, key: str, after: str, block_ms: int) -> list[Entry]:
        """Bells after an id; waits for the first."""
        found: Any = await self._inbox.xread({key: after}, count=2000, block=block_ms)
        return [(_text(i), fields) for _, entries in _pairs(found) for i, fields in entries]


def _pairs(found: Any) -> list[tuple[Any, Any]]:
    """XREAD's answer: pairs of key and entries, or nothing when nothing came."""
    return list(found or [])


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _decode(found: Any) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in found.items()}
