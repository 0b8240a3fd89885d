"""Records: what Redis keeps of sessions, turns and history, so that any api process can go on. Not: audio."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

from redis.exceptions import WatchError

from api.streams.client import Client, decode, text
from contract import keys

UNLESS_TAKEN = """
local top = redis.call('xrevrange', KEYS[1], '+', '-', 'COUNT', 1)[1]
if top and tonumber(string.match(top[1], '^%d+')) > tonumber(ARGV[1]) then return 0 end
for _, command in ipairs(cjson.decode(ARGV[2])) do redis.call(command[1], KEYS[2], unpack(command, 2)) end
return 1
"""
"""Commands on one key of a session, unless it has gone to another holder since `ARGV[1]`."""


class Records(Client):
    """Hashes and lists with a lifetime."""

    async def save_session(self, session: str, fields: dict[str, str]) -> None:
        """Keep what another process would need; `fields` name the owner."""
        await self._save(keys.session(session), fields)
        await self.redis.expire(keys.holders(session), keys.SESSION_LIFETIME_S)
        await self._list(session, fields["owner"])

    async def wake_session(
        self, session: str, fields: dict[str, str], messages: list[dict[str, Any]], event: int, first: str
    ) -> None:
        """Know a session again, all of it at once and unless somebody else was faster."""
        async with self.redis.pipeline(transaction=True) as pipe:
            await pipe.watch(keys.session(session))
            if await pipe.exists(keys.session(session)):
                return
            pipe.multi()  # type: ignore[no-untyped-call]
            pipe.hset(keys.session(session), mapping=fields)  # type: ignore[arg-type]
            pipe.expire(keys.session(session), keys.SESSION_LIFETIME_S)
            pipe.delete(keys.history(session))
            pipe.delete(keys.events(session))
            if messages:
                pipe.rpush(keys.history(session), *[json.dumps(said, ensure_ascii=False) for said in messages])
                pipe.expire(keys.history(session), keys.SESSION_LIFETIME_S)
            pipe.xadd(keys.events(session), {"d": first}, id=f"{event}-0")
            pipe.expire(keys.events(session), keys.SESSION_LIFETIME_S)
            with suppress(WatchError):
                await pipe.execute()
        await self._list(session, fields["owner"])

    async def load_session(self, session: str) -> dict[str, str]:
        """What `save_session` kept; empty if there is no such session."""
        return decode(await self.redis.hgetall(keys.session(session)))

    async def session_ids(self, owner: str, limit: int = 1000) -> list[str]:
        """Ids of an owner's sessions, the newest first."""
        key = keys.owner(owner)
        await self.redis.zremrangebyscore(key, 0, time.time() - keys.SESSION_LIFETIME_S)
        return [text(session) for session in await self.redis.zrevrange(key, 0, limit - 1)]

    async def delete_session(self, session: str, owner: str, turns: int) -> None:
        """Forget a session: its text, its turns, its audio."""
        await self.redis.zrem(keys.owner(owner), session)
        kept = (keys.session, keys.holders, keys.events, keys.history, keys.messages, keys.shares)
        await self.redis.delete(*(key(session) for key in kept))
        for number in range(turns):
            sentences = int((await self.load_turn(session, number)).get("sentences", 0))
            # One more than there were: it is made ready before anybody knows that there is no such sentence.
            doomed = [keys.sentence(session, number, index) for index in range(sentences + 1)]
            await self.redis.delete(keys.turn(session, number), *doomed)

    async def count_sentences(self, session: str, turn: int) -> int:
        """How many sentences of a turn have a stream."""
        count = 0
        while await self.redis.exists(keys.sentence(session, turn, count)):
            count += 1
        return count

    async def save_turn(self, session: str, turn: int, fields: dict[str, str], *, unless_there: bool = False) -> None:
        """Keep how far a turn is; with `unless_there`, only what is not kept yet."""
        key = keys.turn(session, turn)
        await self._save(key, fields, unless_there=unless_there, lifetime_s=keys.TURN_LIFETIME_S)

    async def load_turn(self, session: str, turn: int) -> dict[str, str]:
        """What `save_turn` kept; empty if there is no such turn."""
        return decode(await self.redis.hgetall(keys.turn(session, turn)))

    async def append_history(
        self, session: str, epoch: int, message: dict[str, Any], kept: int = keys.HISTORY_MAXLEN
    ) -> None:
        """Keep one more message of the conversation, of which there are `kept` now."""
        push = ["rpush", json.dumps(message, ensure_ascii=False)]
        await self._unless_taken(session, epoch, keys.history(session), push, ["ltrim", str(-kept), "-1"])

    async def replace_history(self, session: str, epoch: int, messages: list[dict[str, Any]]) -> None:
        """Keep the conversation as it stands."""
        pushes = [["rpush", json.dumps(message, ensure_ascii=False)] for message in messages]
        await self._unless_taken(session, epoch, keys.history(session), ["del"], *pushes)

    async def _unless_taken(self, session: str, epoch: int, key: str, *commands: list[str]) -> None:
        """All at once, and nothing from a process that has slept through the loss of its session."""
        renew = ["expire", str(keys.SESSION_LIFETIME_S)]
        script = self.redis.register_script(UNLESS_TAKEN)
        await script(keys=[keys.holders(session), key], args=[epoch, json.dumps([*commands, renew])])

    async def remember_message(self, session: str, message_id: str, turn: int) -> None:
        """Know a message again when its client sends it twice."""
        key = keys.messages(session)
        pipe = self.redis.pipeline(transaction=True)
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

    async def _list(self, session: str, owner: str) -> None:
        key = keys.owner(owner)
        pipe = self.redis.pipeline(transaction=True)
        pipe.zadd(key, {session: time.time()})
        pipe.zremrangebyrank(key, 0, -keys.OWNER_MAXLEN - 1)
        pipe.expire(key, keys.SESSION_LIFETIME_S)
        await pipe.execute()

    async def _save(
        self,
        key: str,
        fields: dict[str, str],
        *,
        unless_there: bool = False,
        lifetime_s: int = keys.SESSION_LIFETIME_S,
    ) -> None:
        pipe = self.redis.pipeline(transaction=True)
        if unless_there:
            for name, value in fields.items():
                pipe.hsetnx(key, name, value)
        else:
            pipe.hset(key, mapping=fields)  # type: ignore[arg-type]
        pipe.expire(key, lifetime_s)
        await pipe.execute()
