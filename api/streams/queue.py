"""Queue: jobs on their way to workers, workers' signs of life, bells. Not: what a job says."""

from __future__ import annotations

import json
from typing import Any

from api.streams.client import Client, pairs, raise_unless_there, text
from contract import keys

Record = tuple[str, dict[str, str]]
"""Key of a turn, and fields of it."""


class Queue(Client):
    """What api and workers tell each other."""

    async def workers(self) -> list[dict[str, Any]]:
        """What every speech worker that takes jobs says of itself."""
        names = [text(name) for name in await self.redis.smembers(keys.WORKERS)]
        values = await self.redis.mget([keys.worker(name) for name in names]) if names else []
        if dead := [name for name, value in zip(names, values, strict=True) if not value]:
            await self.redis.srem(keys.WORKERS, *dead)
        return [json.loads(value) for value in values if value]

    async def enqueue(self, queue: str, message: str, record: Record | None = None, opens: str = "") -> None:
        """Put a message where Celery's workers look for it.

        `record`: a turn's key and fields, kept first, on the same way: who finds sound of the job finds them too.
        `opens`: a sentence's stream, made first.
        """
        pipe = self.redis.pipeline(transaction=bool(opens))
        if opens:
            pipe.xadd(opens, {"o": b""}, id="1-0")
            pipe.expire(opens, keys.SENTENCE_LIFETIME_S)
        if record and record[1]:
            pipe.hset(record[0], mapping=record[1])  # type: ignore[arg-type]
            pipe.expire(record[0], keys.TURN_LIFETIME_S)
        pipe.lpush(queue, message)
        raise_unless_there(await pipe.execute(raise_on_error=False))

    async def queue_length(self, queue: str) -> int:
        """How many messages no worker has taken yet."""
        return int(await self.redis.llen(queue))

    async def take_back(self, queue: str, message: str) -> None:
        """Take a message out again that nobody waits for any more."""
        await self.redis.lrem(queue, 1, message)

    async def is_queued(self, queue: str, message: str) -> bool:
        """Whether no worker has taken a message yet."""
        return await self.redis.lpos(queue, message) is not None

    async def used_ratio(self) -> float:
        """Share of Redis' memory limit in use; without one, of its machine's memory."""
        info = await self.redis.info("memory")
        limit = int(info.get("maxmemory") or info.get("total_system_memory") or 0)
        return int(info["used_memory"]) / limit if limit else 0.0

    async def make_inbox(self, key: str) -> bool:
        """Keep the inbox alive; True if it had to be made (so that nobody could ring until now)."""
        if await self.redis.expire(key, keys.INBOX_LIFETIME_S):
            return False
        pipe = self.redis.pipeline(transaction=True)
        pipe.xadd(key, {"o": b""})
        pipe.expire(key, keys.INBOX_LIFETIME_S)
        await pipe.execute()
        return True

    async def forget_bells(self, key: str, until: str) -> None:
        """Drop the bells before an id: they were heard."""
        await self.redis.xtrim(key, minid=until)

    async def ring(self, key: str) -> None:
        """Ring at our own door, to learn whether a bell would be heard."""
        await self.redis.xadd(key, {"p": b""}, maxlen=keys.INBOX_MAXLEN, approximate=True, nomkstream=True)

    async def wait_for_bells(self, after: dict[str, str], block_ms: int) -> list[tuple[str, str, dict[bytes, bytes]]]:
        """(inbox, id, bell) after an id per inbox; waits for the first."""
        found: Any = await self.blocking.xread(after, count=2000, block=block_ms)  # type: ignore[arg-type]
        return [(text(key), text(i), fields) for key, entries in pairs(found) for i, fields in entries]

    async def last_bell(self, key: str) -> str:
        """Id of the newest bell; `0-0` if there is none."""
        top: Any = await self.redis.xrevrange(key, count=1)
        return text(top[0][0]) if top else "0-0"
