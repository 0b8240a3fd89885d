"""SentenceStreams: the audio of each sentence, and what ends it. Not: order, meaning."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from redis.exceptions import RedisError, ResponseError

from api.streams.client import Client, Entry, pairs, text
from contract import keys

TOP_ID = "18446744073709551615-1"
"""The highest id: after it Redis refuses every further entry. What ends a stream for good."""


class SentenceStreams(Client):
    """One stream per sentence; see docs/decisions/streams.md."""

    async def open_sentence(self, key: str) -> None:
        """Make a sentence's stream; until then no worker can write to it."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.xadd(key, {"o": b""}, id="1-0")
        pipe.expire(key, keys.SENTENCE_LIFETIME_S)
        opened, _ = await pipe.execute(raise_on_error=False)
        if isinstance(opened, RedisError) and not isinstance(opened, ResponseError):
            raise opened

    async def renew_sentences(self, wanted: Collection[str]) -> None:
        """Keep these streams for another lifetime."""
        pipe = self.redis.pipeline(transaction=False)
        for key in wanted:
            pipe.expire(key, keys.SENTENCE_LIFETIME_S)
        await pipe.execute()

    async def fence(self, key: str, attempt: int) -> None:
        """Refuse every older attempt from now on; makes the stream again if it was lost."""
        try:
            await self.redis.xadd(key, {"o": b""}, id=f"{attempt}-0")
        except ResponseError as error:
            if "equal or smaller" not in str(error):
                raise
        await self.redis.expire(key, keys.SENTENCE_LIFETIME_S)

    async def restart_sentence(self, key: str, attempt: int) -> None:
        """Forget what older attempts wrote and refuse whatever they write from now on, in one step."""
        pipe = self.redis.pipeline(transaction=True)
        pipe.delete(key)
        pipe.xadd(key, {"o": b""}, id=f"{attempt}-0")
        pipe.expire(key, keys.SENTENCE_LIFETIME_S)
        await pipe.execute()

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
        return {text(key): [(text(i), fields) for i, fields in entries] for key, entries in pairs(found)}
