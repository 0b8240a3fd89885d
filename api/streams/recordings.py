"""Recordings: what people say, on its way to a recognizer, and who recognizes. Not: what was heard."""

from __future__ import annotations

import json
from typing import Any

from api.streams.client import Client, raise_unless_there, text
from contract import keys


class Recordings(Client):
    """A string of samples and a stream of what was heard in them, both short-lived."""

    async def send_recording(self, name: str, offset: int, pcm: bytes, queue: str, message: str) -> None:
        """Add samples at a place, and a job that looks at them. Safe to repeat: the second job's claim is refused."""
        pipe = self.redis.pipeline(transaction=True)
        if pcm:
            pipe.setrange(keys.recording(name), offset, pcm)
        pipe.expire(keys.recording(name), keys.RECORDING_LIFETIME_S)
        pipe.lpush(queue, message)
        await pipe.execute()

    async def open_transcript(self, name: str) -> None:
        """Make the stream; until then no worker can write to it."""
        pipe = self.redis.pipeline(transaction=True)
        pipe.xadd(keys.transcript(name), {"o": b""}, id="0-1")
        pipe.expire(keys.transcript(name), keys.RECORDING_LIFETIME_S)
        raise_unless_there(await pipe.execute(raise_on_error=False))

    async def fence_transcript(self, name: str, revision: int) -> None:
        """Refuse whatever looks before this one would still write."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.xadd(keys.transcript(name), {"o": b""}, id=f"{revision}-0", nomkstream=True)
        await pipe.execute(raise_on_error=False)

    async def forget_recording(self, name: str) -> None:
        """What was said has been understood, or never will be."""
        await self.redis.delete(keys.recording(name), keys.transcript(name))

    async def recognizers(self) -> list[dict[str, Any]]:
        """What every recognition worker says of itself."""
        names = [text(name) for name in await self.redis.smembers(keys.RECOGNIZERS)]
        values = await self.redis.mget([keys.recognizer(name) for name in names]) if names else []
        if dead := [name for name, value in zip(names, values, strict=True) if not value]:
            await self.redis.srem(keys.RECOGNIZERS, *dead)
        return [json.loads(value) for value in values if value]
