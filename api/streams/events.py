"""EventStreams: every text message of a session, for SSE and for whoever comes later. Not: what they say."""

from __future__ import annotations

import json
from typing import Any

from api.streams.client import Client, pairs, raise_unless_there, text
from contract import keys

TURN_EVENTS = 8_000
"""More than a reply of the greatest length has."""


class EventStreams(Client):
    """One stream per session, entry id `<n>-0`."""

    async def append_events(self, session: str, events: list[tuple[int, str]]) -> None:
        """Mirror events; one that is there already is left as it is, so a repeated call does no harm."""
        key = keys.events(session)
        pipe = self.redis.pipeline(transaction=True)
        for number, message in events:
            pipe.xadd(key, {"d": message}, id=f"{number}-0", maxlen=keys.EVENTS_MAXLEN, approximate=True)
        pipe.expire(key, keys.SESSION_LIFETIME_S)
        raise_unless_there(await pipe.execute(raise_on_error=False))
        is_large = sum(len(message) for _, message in events) > keys.EVENTS_LOOK_BYTES
        if is_large or events[0][0] // keys.EVENTS_LOOK != (events[-1][0] + 1) // keys.EVENTS_LOOK:
            await self._bound_events(key)

    async def _bound_events(self, key: str) -> None:
        """Forget the older half when all of them take too much."""
        if (await self.redis.memory_usage(key, samples=0) or 0) > keys.EVENTS_BYTES:
            await self.redis.xtrim(key, maxlen=await self.redis.xlen(key) // 2, approximate=False)

    async def read_events(self, session: str, after: str) -> list[tuple[str, str]]:
        """(id, JSON) of events after an id, at once and without waiting."""
        found: Any = await self.redis.xread({keys.events(session): after}, count=200)
        return [(text(entry_id), text(fields[b"d"])) for _, entries in pairs(found) for entry_id, fields in entries]

    async def last_event(self, session: str) -> int:
        """Number of the newest event; 0 if there is none."""
        top: Any = await self.redis.xrevrange(keys.events(session), count=1)
        return int(text(top[0][0]).partition("-")[0]) if top else 0

    async def event_until(self, session: str, until: str) -> str | None:
        """Id of the newest event that is not newer than an id; None if there is none any more."""
        found: Any = await self.redis.xrevrange(keys.events(session), max=until, count=1)
        return text(found[0][0]) if found else None

    async def first_event(self, session: str) -> int:
        """Number of the oldest event that is still there; 0 if there is none."""
        bottom: Any = await self.redis.xrange(keys.events(session), count=1)
        return int(text(bottom[0][0]).partition("-")[0]) if bottom else 0

    async def events_of_turn(self, session: str, turn: int) -> list[dict[str, Any]]:
        """What was said of a turn since it started, oldest first; of the newest `TURN_EVENTS` events at most."""
        found: Any = await self.redis.xrevrange(keys.events(session), count=TURN_EVENTS)
        said: list[dict[str, Any]] = []
        for _, fields in found:
            message = json.loads(text(fields[b"d"]))
            if message.get("turn") == turn:
                said.append(message)
                if message["type"] == "turn" and message["state"] == "started":
                    break
        return said[::-1]
