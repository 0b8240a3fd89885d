"""Passes: tickets, which open one thing once, and links to a session, many times. Not: who brings one."""

from __future__ import annotations

from typing import Any

from api.streams.client import Client, text
from contract import keys

KEEP_SHARE = """
local now = tonumber(redis.call('time')[1])
redis.call('zremrangebyscore', KEYS[1], '-inf', now)
redis.call('zadd', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('zremrangebyrank', KEYS[1], 0, -1 - ARGV[3])
redis.call('expire', KEYS[1], ARGV[2])
"""
"""By Redis' own clock, because those of the api processes may differ."""


class Passes(Client):
    """Kept under their SHA-256, so that whoever reads Redis has none of them."""

    async def keep_ticket(self, digest: str, asker: str) -> None:
        """Remember a ticket for a minute."""
        await self.redis.set(keys.ticket(digest), asker, ex=keys.TICKET_LIFETIME_S)

    async def use_ticket(self, digest: str) -> str | None:
        """Whose ticket this is; it is void afterwards, of two who bring it at once for one."""
        asker = await self.redis.getdel(keys.ticket(digest))
        return text(asker) if asker else None

    async def keep_share(self, session: str, digest: str) -> None:
        """Remember a link; of too many the oldest goes."""
        script = self.redis.register_script(KEEP_SHARE)
        await script(keys=[keys.shares(session)], args=[digest, keys.SHARE_LIFETIME_S, keys.SHARES_MAX])

    async def are_shared(self, links: list[tuple[str, str]]) -> list[bool]:
        """Of each session and digest, whether the link works now."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.time()
        for session, digest in links:
            pipe.zscore(keys.shares(session), digest)
        (now, _), *until = await pipe.execute()
        found: list[Any] = until
        return [score is not None and float(score) > now for score in found]

    async def forget_shares(self, session: str) -> None:
        """No link to a session works any more."""
        await self.redis.delete(keys.shares(session))
