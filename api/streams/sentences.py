"""SentenceStreams: the audio of each sentence, and what ends it. Not: order, meaning."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from api.streams.client import Client, Entry, pairs, raise_unless_there, text
from contract import keys

TOP_ID = "18446744073709551615-1"
"""The highest id: after it Redis refuses every further entry. What ends a stream for good."""


class SentenceStreams(Client):
    """One stream per sentence; see docs/decisions/streams.md.

    What makes a key says in the same transaction how long it lives: whoever is cancelled or killed leaves nothing
    that lasts for ever.
    """

    async def open_sentence(self, key: str) -> None:
        """Make a sentence's stream; until then no worker can write to it."""
        await self._begin(key, 1)

    async def renew_sentences(self, wanted: Collection[str]) -> None:
        """Keep these streams for another lifetime."""
        pipe = self.redis.pipeline(transaction=False)
        for key in wanted:
            pipe.expire(key, keys.SENTENCE_LIFETIME_S)
        await pipe.execute()

    async def forget_sentences(self, spent: Collection[str]) -> None:
        """Their sound is kept elsewhere."""
        await self.redis.unlink(*spent)

    async def fence(self, key: str, attempt: int) -> None:
        """Refuse every older attempt from now on; makes the stream again if it was lost."""
        await self._begin(key, attempt)

    async def restart_sentence(self, key: str, attempt: int) -> None:
        """Forget what older attempts wrote and refuse whatever they write from now on, in one step."""
        pipe = self.redis.pipeline(transaction=True)
        pipe.delete(key)
        pipe.xadd(key, {"o": b""}, id=f"{attempt}-0")
        pipe.expire(key, keys.SENTENCE_LIFETIME_S)
        await pipe.execute()

    async def forget_entries(self, key: str, entries: list[str]) -> None:
        """Take entries out of a sentence's stream."""
        await self.redis.xdel(key, *entries)

    async def end_sentences(self, ends: dict[str, bytes], unheard: Collection[str] = ()) -> None:
        """Write each stream's final frame under the highest id: nobody writes after it, however late.

        What `unheard` streams hold is forgotten: nobody was given it, so a replay shall not have it either.
        """
        pipe = self.redis.pipeline(transaction=True)
        if unheard:
            pipe.delete(*unheard)
        for key, frame in ends.items():
            pipe.xadd(key, {"f": frame}, id=TOP_ID)
            pipe.expire(key, keys.SENTENCE_LIFETIME_S)
        raise_unless_there(await pipe.execute(raise_on_error=False))

    async def _begin(self, key: str, attempt: int) -> None:
        pipe = self.redis.pipeline(transaction=True)
        pipe.xadd(key, {"o": b""}, id=f"{attempt}-0")
        pipe.expire(key, keys.SENTENCE_LIFETIME_S)
        raise_unless_there(await pipe.execute(raise_on_error=False))

    async def read(self, positions: dict[str, str], count: int = 2000) -> dict[str, list[Entry]]:
        """Entries of several streams after the given ids, at once and without waiting."""
        if not positions:
            return {}
        found: Any = await self.redis.xread(positions, count=count)  # type: ignore[arg-type]
        return {text(key): [(text(i), fields) for i, fields in entries] for key, entries in pairs(found)}
