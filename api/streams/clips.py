"""Clips: recordings that may be spoken like, where workers of other machines find them. Not: whose they are."""

from __future__ import annotations

from api.streams.client import Client
from contract import keys


class ClipBlobs(Client):
    """One hash per clip, for as long as jobs name it."""

    async def renew_clip(self, clip: str) -> bool:
        """Keep it for another lifetime; False if it is not there."""
        return bool(await self.redis.expire(keys.clip(clip), keys.CLIP_LIFETIME_S))

    async def put_clip(self, clip: str, pcm: bytes, text: str) -> None:
        """Let workers have it. A clip never changes, so it does not matter who does this how often."""
        pipe = self.redis.pipeline(transaction=True)
        pipe.hset(keys.clip(clip), mapping={"pcm": pcm, "text": text})
        pipe.expire(keys.clip(clip), keys.CLIP_LIFETIME_S)
        await pipe.execute()

    async def forget_clip(self, clip: str) -> None:
        """No worker shall find it any more, nor what one has made of it."""
        await self.redis.delete(keys.clip(clip), keys.anchor(clip))
