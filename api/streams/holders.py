"""Holders: which api process lives, and which of them holds a session. Not: what a holder does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from redis.exceptions import ResponseError

from api.streams.client import Client, raise_unless_there, text
from contract import keys

NOBODY = ""
HOLDERS_KEPT = 8


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a session."""

    epoch: int = 0
    """Grows with each change of hands."""
    name: str = NOBODY
    """The api process; empty when it was let go."""
    lives: bool = False
    names: frozenset[str] = frozenset()
    """Who has held it lately."""


class Holders(Client):
    """The rule that entry ids only grow makes one winner of two who claim at the same time."""

    async def say_alive(self, name: str) -> None:
        """This process lives."""
        await self.redis.set(keys.api(name), b"", ex=keys.API_LIFETIME_S)

    async def say_gone(self, name: str) -> None:
        """This process goes."""
        await self.redis.delete(keys.api(name))

    async def holder(self, session: str) -> Holder:
        """Who holds a session now."""
        kept: Any = await self.redis.xrevrange(keys.holders(session), count=HOLDERS_KEPT)
        found = _read(kept)
        if found.name == NOBODY:
            return found
        return replace(found, lives=bool(await self.redis.exists(keys.api(found.name))))

    async def claim(self, session: str, epoch: int, name: str) -> bool:
        """Hold a session from now on; False if somebody else was faster."""
        key = keys.holders(session)
        pipe = self.redis.pipeline(transaction=True)
        pipe.xadd(key, {"a": name}, id=f"{epoch}-0", maxlen=HOLDERS_KEPT, approximate=False)
        pipe.expire(key, keys.SESSION_LIFETIME_S)
        results = await pipe.execute(raise_on_error=False)
        raise_unless_there(results)
        return not isinstance(results[0], ResponseError)

    async def holders(self, sessions: Sequence[str]) -> list[Holder]:
        """The same for many, without asking who lives."""
        pipe = self.redis.pipeline(transaction=False)
        for session in sessions:
            pipe.xrevrange(keys.holders(session), count=1)
        return [_read(top) for top in await pipe.execute()]

    async def send_note(self, inbox: str, note: dict[str, str]) -> bool:
        """Leave a note in another process's inbox; False if it has none any more."""
        sent = await self.redis.xadd(inbox, note, maxlen=keys.INBOX_MAXLEN, nomkstream=True)  # type: ignore[arg-type]
        return sent is not None


def _read(top: Any) -> Holder:
    if not top:
        return Holder()
    entry_id, fields = top[0]
    names = frozenset(text(entry[b"a"]) for _, entry in top) - {NOBODY}
    return Holder(int(text(entry_id).partition("-")[0]), text(fields[b"a"]), names=names)
