"""Archive: what of a conversation is kept at rest, and how it is found again. Not: where (store.py).

Told by the process that holds a session, which goes on at once; the outbox writes. Asked by routes, which wait.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from api.errors import StoreUnreachable
from api.history import Said, Spoken
from api.store.outbox import Outbox, Write
from api.store.store import Owned, Row, Store, StoreError
from api.store.usage import Spent, Usage, by_day
from contract.keys import HISTORY_MAXLEN

TITLE_CHARS = 80
ASK_S = 3.0
"""How long somebody who asks waits for the Store."""
SETTLE_S = 1.0
"""How long for what was said a moment ago to be written."""
LISTED = 1000
FOUND = 1000
"""Messages that a search looks at the conversations of."""
USER, REPLY = 0, 1
"""Places of messages in their turn; further speakers of the reply have the places behind."""
NO_PLAYBILL = "{}"
"""Of a conversation with one character, in which nothing is set."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A conversation as it is at rest."""

    id: str
    character: str
    turns: int
    playbill: dict[str, str]
    """Who takes part and how it is set, as the session's fields have it; empty where that was never said."""
    messages: list[Said]
    """What a language model is told of it, oldest first: the newest only."""


class Archive:
    """The conversations of every owner."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.outbox = Outbox(store)
        self.outbox.on_behind = self._tell_keeper
        self.usage = Usage(self.outbox)
        self._keepers: WeakValueDictionary[str, Keeper] = WeakValueDictionary()

    def start(self) -> None:
        """Begin to write."""
        self.outbox.start()

    async def stop(self) -> None:
        """Write what there is, and close."""
        self.usage.write()
        await self.outbox.stop()
        await self.store.close()

    def keeper(self, conversation: str, owner: str, character: str, playbill: str = NO_PLAYBILL) -> Keeper:
        """Keeps one conversation."""
        keeper = Keeper(self.outbox, self.usage, conversation, owner, character, playbill)
        self._keepers[conversation] = keeper
        return keeper

    async def conversations(self, owner: str, search: str = "") -> list[Row]:
        """An owner's conversations, the one last talked in first; with `search`, those in which that occurs."""
        newest = ("-updated_at", "id")
        async with self._asked(owner) as rows:
            if not search:
                return [_shown(row) for row in await rows.some("conversations", {}, newest, LISTED)]
            named = await rows.some("conversations", {}, newest, LISTED, ("title", search))
            said = await rows.some("messages", {}, ("-said_at", "id"), FOUND, ("heard", search))
            missing = {row["conversation_id"] for row in said} - {row["id"] for row in named}
            if missing:
                named += await rows.some("conversations", {"id": tuple(sorted(missing))}, newest, LISTED)
            return [_shown(row) for row in sorted(named, key=lambda row: row["updated_at"], reverse=True)]

    async def find(self, conversation: str, owner: str) -> Kept | None:
        """One that Redis has forgotten."""
        async with self._asked(owner) as rows:
            row = await rows.one("conversations", conversation)
            if row is None:
                return None
            newest = await rows.some("messages", {"conversation_id": conversation}, ("-turn", "-place"), HISTORY_MAXLEN)
            bill = await rows.one("playbills", conversation)
        turns = max([row["turns"], *(message["turn"] + 1 for message in newest)])
        said = [_said(message) for message in reversed(newest) if message["heard"].strip()]
        return Kept(conversation, row["character"], turns, json.loads(bill["playbill"]) if bill else {}, said)

    async def show(self, conversation: str, owner: str) -> tuple[Row, list[Row]]:
        """A conversation and all that was said in it, oldest first."""
        await self.outbox.settle(SETTLE_S)
        async with self._asked(owner) as rows:
            row = await rows.one("conversations", conversation)
            messages = await rows.all("messages", {"conversation_id": conversation}, ("turn", "place"))
        nothing_said = {"id": conversation, "title": "", "character": "", "turns": 0, "created_at": 0, "updated_at": 0}
        return _shown(row or nothing_said), messages

    async def rename(self, conversation: str, owner: str, title: str, character: str) -> None:
        """Give it another title, also before anything is said in it."""
        await self.outbox.settle(SETTLE_S)
        now = _now()
        row = {"id": conversation, "title": title, "character": character, "turns": 0}
        async with self._asked(owner) as rows:
            await rows.put("conversations", {**row, "created_at": now, "updated_at": now}, {"title": title})

    async def delete(self, conversation: str, owner: str) -> None:
        """Forget it and everything said in it, also what waits to be written; all of it or, if it is away, nothing."""
        async with self._asked(owner) as rows:
            await rows.remove("conversations", {"id": conversation})
        await self.outbox.forget(conversation)
        async with self._asked(owner) as rows:
            await rows.remove("conversations", {"id": conversation})

    async def used(self, owner: str, days: int) -> list[dict[str, Any]]:
        """What an owner has used on each of the last days, the newest first; also of what is deleted since."""
        self.usage.write()
        await self.outbox.settle(SETTLE_S)
        async with self._asked(owner) as rows:
            return await by_day(rows, days)

    @asynccontextmanager
    async def _asked(self, owner: str) -> AsyncIterator[Owned]:
        try:
            async with asyncio.timeout(ASK_S):
                yield Owned(self.store, owner)
        except (StoreError, TimeoutError) as error:
            raise StoreUnreachable from error

    def _tell_keeper(self, conversation: str, is_behind: bool) -> None:
        if keeper := self._keepers.get(conversation):
            keeper.on_behind(is_behind)


class Keeper:
    """Keeps one conversation. Nothing here waits."""

    def __init__(
        self, outbox: Outbox, usage: Usage, conversation: str, owner: str, character: str, playbill: str
    ) -> None:
        self._character = character
        """Id of who speaks in it unless somebody else is asked for."""
        self._playbill = playbill
        self._is_recast = False
        """Somebody has changed the playbill here: what is kept of it is not it any more."""
        self._has_kept_playbill = playbill == NO_PLAYBILL
        self.on_behind: Callable[[bool], None] = lambda is_behind: None
        """Called when what is said is not kept for the moment, and when it is again."""
        self._outbox = outbox
        self._usage = usage
        self._id = conversation
        self._owner = owner
        self._title = ""
        self._began_at = 0

    def recast(self, character: str, playbill: str) -> None:
        """Who takes part, or how it is set, is another from now on."""
        self._character = character
        if playbill == self._playbill:
            return
        self._playbill, self._is_recast, self._has_kept_playbill = playbill, True, False
        if self._began_at:
            self._put_playbill()

    def said(self, said: Said) -> None:
        """The person has said something."""
        now = _now()
        self._begin(said.text, now)
        self._put_conversation(said.turn + 1, now)
        self._put_message(self._row(said, USER, now))
        if not self._has_kept_playbill:
            self._put_playbill()

    def replied(self, turn: int, stretch: int, character: str, text: str, heard: str, spoken: Iterable[Spoken]) -> None:
        """One speaker's stretch of a reply is complete, or was cut to what was heard of it."""
        if not text.strip():
            return
        now = _now()
        self._put_conversation(turn + 1, now)
        row = self._row(Said("assistant", text.strip(), turn, character), REPLY + stretch, now)
        row["heard"] = heard.strip()
        row["spoken"] = json.dumps([[one.text, one.duration_ms] for one in spoken], ensure_ascii=False)
        self._put_message(row)

    def used(self, spoken: Iterable[Spoken], prompt_tokens: int, reply_tokens: int) -> None:
        """A turn has ended, and this was made for it."""
        made = [one for one in spoken if one.duration_ms]
        characters, audio_ms = sum(len(one.text) for one in made), round(sum(one.duration_ms for one in made))
        self._usage.add(self._owner, Spent(1, characters, audio_ms, prompt_tokens, reply_tokens))

    def catch_up(self, messages: list[Said]) -> None:
        """What a process before us, or Redis, knew of it and did not come to write."""
        if not messages:
            return
        now = _now()
        self._begin(messages[0].text, now)
        conversation = self._conversation(messages[-1].turn + 1, now)
        rows, stretches = [], Counter[int]()
        for said in messages:
            stretches[said.turn] += said.role != "user"
            rows.append(self._row(said, USER if said.role == "user" else USER + stretches[said.turn], now))

        async def run(store: Store) -> None:
            mine = Owned(store, self._owner)
            where = {"conversation_id": self._id}
            await mine.add("conversations", conversation)
            known = {row["id"] for row in await mine.some("messages", where, ("-turn", "-place"), 2 * HISTORY_MAXLEN)}
            for row in rows:
                if row["id"] not in known:
                    await mine.add("messages", row)

        self._write(("catch_up", self._id), run, sum(len(row["text"]) for row in rows))
        if not self._has_kept_playbill:
            self._put_playbill()

    def forget(self) -> None:
        """Nothing was said."""
        self._title, self._began_at, self._has_kept_playbill = "", 0, self._playbill == NO_PLAYBILL

        async def run(store: Store) -> None:
            await Owned(store, self._owner).remove("conversations", {"id": self._id})

        self._outbox.drop(self._id)
        self._write(("forget", self._id), run)

    def _begin(self, text: str, now: int) -> None:
        self._began_at = self._began_at or now
        self._title = self._title or " ".join(text.split())[:TITLE_CHARS]

    def _put_conversation(self, turns: int, now: int) -> None:
        changes = {"character": self._character, "turns": turns, "updated_at": now}
        self._put("conversations", self._conversation(turns, now), changes)

    def _put_playbill(self) -> None:
        """Behind the conversation that it belongs to. What nobody has changed here takes the place of nothing: it may
        be without somebody who could not be found just now."""
        self._has_kept_playbill = True
        changes = {"playbill": self._playbill} if self._is_recast else {}
        self._put("playbills", {"id": self._id, "playbill": self._playbill}, changes)

    def _conversation(self, turns: int, now: int) -> Row:
        return {
            "id": self._id,
            "title": self._title,
            "character": self._character,
            "turns": turns,
            "created_at": self._began_at or now,
            "updated_at": now,
        }

    def _put_message(self, row: Row) -> None:
        self._put("messages", row, {name: row[name] for name in ("character", "text", "heard", "spoken")})

    def _put(self, table: str, row: Row, changes: Row) -> None:
        async def run(store: Store) -> None:
            await Owned(store, self._owner).put(table, row, changes)

        size = sum(len(value) for value in row.values() if isinstance(value, str))
        self._write((table, row["id"]), run, size)

    def _write(self, key: tuple[str, str], run: Callable[[Store], Any], size: int = 0) -> None:
        self._outbox.put(Write(key, self._id, run, size))

    def _row(self, said: Said, place: int, now: int) -> Row:
        return {
            "id": f"{self._id}:{said.turn}:{place}",
            "conversation_id": self._id,
            "turn": said.turn,
            "place": place,
            "role": said.role,
            "character": said.character,
            "text": said.text,
            "heard": said.text,
            "spoken": "[]",
            "said_at": now,
        }


def _shown(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "owner"}


def _said(row: Row) -> Said:
    return Said(row["role"], row["heard"], row["turn"], row["character"])


def _now() -> int:
    return int(time.time() * 1000)
