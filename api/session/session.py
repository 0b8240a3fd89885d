"""Session: one conversation and who listens to it, whichever process answers in it. Not: HTTP, the way of a sentence.

Of the api processes one *holds* a session: there its turns run. In any other it is *followed*: its listeners hear
what the holder says as Redis has it, and what they say is handed on to the holder.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from api.characters import Character, find_character
from api.ending import end_tasks
from api.ensemble.playbill import Playbill, retold
from api.errors import ConversationError, SessionMoved, SessionUnknown
from api.events import AnyClientMessage, Chat, Gap, ServerMessage, Status
from api.session.follower import follow, forward
from api.session.listeners import Item, Listener, Log
from api.session.mirror import Mirror
from api.session.neighbours import Answer
from api.session.orders import obey, prepare
from api.session.tail import Tail
from api.session.turns import Turns
from api.session.voiced import Voiced
from api.streams import StreamsError
from api.turn.replay import Newest, Position
from api.turn.stage import Parts
from contract.chunk import Chunk

if TYPE_CHECKING:
    from api.session.holdings import Holdings

log = logging.getLogger(__name__)


class Session:
    """One conversation as this process has it."""

    def __init__(
        self,
        parts: Parts,
        holdings: Holdings,
        session_id: str,
        owner: str,
        *,
        playbill: Playbill | None = None,
        next_turn: int = 0,
        last_event: int = 0,
    ) -> None:
        self.id = session_id
        self.owner = owner
        self.playbill = playbill or Playbill(find_character(None))
        self.log = Log()
        self.mirror = Mirror(parts.streams, session_id, last_event)
        self.turns: Turns | None = None
        """Where it is held; None where it is followed."""
        self.tail: Tail | None = None
        """Where it is followed."""
        self.epoch = 0
        """Of our claim."""
        self.is_listening = False
        self.gone: ConversationError | None = None
        """Why nothing is said here any more."""
        self.readers = 0
        """Who reads text or sound over HTTP."""
        self.was_heard = False
        """Whether anybody has ever listened: who only fetches sound afterwards does not leave by not being there."""
        self.used_at = time.monotonic()
        self.heard_elsewhere_at = -math.inf
        """When another process last said that somebody listens there."""
        self.settling = asyncio.Lock()
        self._parts = parts
        self._holdings = holdings
        self._event = last_event
        self._next_turn = next_turn
        self._position: Newest | None = None
        self._follower: asyncio.Task[None] | None = None
        self._saves: set[asyncio.Task[None]] = set()
        self._saving = asyncio.Lock()
        self._told = asyncio.Event()

    @property
    def character(self) -> Character:
        """The chosen one."""
        return self.playbill.character

    @property
    def is_closed(self) -> bool:
        """Whether nothing is said here any more."""
        return self.gone is not None

    # what is said here

    def emit(self, message: ServerMessage) -> None:
        """Say something to every listener, and mirror it."""
        if self.is_closed:
            return
        self._event += 1
        text = message.to_json(self.id, f"{self._event}-0")
        self.log.append(Item(text))
        self.mirror.put(self._event, text)

    def retell(self, number: int, message: dict[str, Any], text: str) -> None:
        """Say what another process has said and mirrored."""
        self._event = number
        self._next_turn = max(self._next_turn, message.get("turn", -1) + 1)
        if message["type"] == "status":
            self.is_listening = message["status"] == "listening"
        elif message["type"] in {"cast", "settings"}:
            self.playbill = retold(self.playbill, message)
        self.log.append(Item(text))
        self._tell_readers()

    def play(self, chunk: Chunk) -> None:
        """Give a chunk to every listener."""
        self._position = (chunk.turn, chunk.sentence, chunk.part, chunk.last)
        self.log.append(Item(chunk=chunk))

    def tell_gap(self, turn: int) -> None:
        """The rest of a turn's sound is gone, for those who listen here."""
        gap = Gap(what="audio", turn=turn, message="The rest of this reply's sound is gone.")
        self.log.append(Item(gap.to_json(self.id)))

    def silence(self, turn: int) -> None:
        """Let no more sound of a turn out, not even what is on its way to a slow listener."""
        self.log.silence(turn)

    # how far it is

    @property
    def position(self) -> Newest | None:
        """The newest chunk that listeners were given."""
        return self._position

    @property
    def last_event(self) -> int:
        """Number of the newest event."""
        return self._event

    @property
    def next_turn(self) -> int:
        """Number of the next turn, so how many there have been."""
        return self.turns.next_turn if self.turns else self._next_turn

    @property
    def last_mirrored(self) -> int:
        """Number of the newest event that Redis has."""
        return self.mirror.written if self.turns else self._event

    @property
    def is_mirrored(self) -> bool:
        """Whether Redis has every event."""
        return self.mirror.written >= self._event

    @property
    def is_busy(self) -> bool:
        """Whether a turn runs or waits here."""
        return self.turns is not None and self.turns.is_busy

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens or reads here."""
        return bool(self.log.listeners or self.readers)

    def given(self, turn: int) -> Position | None:
        """How far a turn has come that is being spoken or waits; None if there will be no more of it.

        Raises: SessionMoved, SessionUnknown: nobody here knows any more.
        """
        if self.gone:
            raise self.gone
        if self.turns:
            return self.turns.given(turn)
        return self.tail.given(turn) if self.tail else None

    async def look_at(self, turn: int) -> None:
        """Learn what another process may have said of a turn just now.

        Raises: StreamsError.
        """
        if self.tail and turn >= 0:
            fields = await self._parts.streams.load_session(self.id)
            self._next_turn = max(self._next_turn, int(fields.get("next_turn", 0)))
            if turn < self._next_turn:
                await self.tail.look_at(turn)

    def next_write(self) -> asyncio.Event:
        """Set as soon as Redis has more events than it has now."""
        return self.mirror.next_write() if self.turns else self._told

    async def messages(self) -> list[dict[str, Any]]:
        """The conversation, oldest first."""
        if self.turns:
            return self.turns.memory.history.to_list()
        return await self._parts.streams.load_history(self.id)

    # who listens

    def join(self) -> Listener:
        """A new listener, who hears what is said from now on."""
        self.used_at = time.monotonic()
        self.was_heard = True
        return self.log.join()

    def leave(self, listener: Listener) -> None:
        """A listener has gone."""
        self.used_at = time.monotonic()
        self.log.leave(listener)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Somebody reads over HTTP, and counts as a listener meanwhile."""
        self.readers += 1
        try:
            yield
        finally:
            self.readers -= 1
            self.used_at = time.monotonic()

    def note_heard_elsewhere(self, *, by_listener: bool) -> None:
        """Somebody listens or reads, only in another process."""
        self.used_at = self.heard_elsewhere_at = time.monotonic()
        self.was_heard = self.was_heard or by_listener

    # what people say

    async def hear(self, message: AnyClientMessage | Voiced) -> Answer:
        """Do what a client asks for, here or where the session is held.

        Raises: ConversationError.
        """
        self.used_at = time.monotonic()
        if self.turns is None and isinstance(message, Chat) and message.id is None:
            # It may have to be handed on twice, to two processes even, and is one message all the same.
            message = message.model_copy(update={"id": secrets.token_urlsafe(12)})
        if (answer := await forward(self, message, self._holdings)) is not None:
            return answer
        order = await prepare(self._parts, self.owner, self.playbill, message)
        await self._holdings.make_sure(self)
        if self.gone or not self.turns:
            raise self.gone or SessionMoved
        return obey(self, self.turns, message, order)

    def at_rest(self) -> Status:
        """What to say when nothing runs."""
        return Status(status="listening" if self.is_listening else "idle")

    # who answers

    def hold(self, turns: Turns, epoch: int, skipped: int = 0) -> None:
        """Answer here from now on. `skipped` numbers are left to what a process before us said and lost."""
        self.turns, self.epoch = turns, epoch
        if self.tail:
            self.tail.end()
        self.tail = None
        self._event += skipped
        self.mirror.written = self._event

    def follow(self, tail: Tail, position: Newest | None) -> None:
        """What another process says is said here too; `position` is how far it had come."""
        self.tail, self._position = tail, position

    def start_following(self) -> None:
        """From now on, unless it has come into our hands meanwhile."""
        if self.tail:
            self._follower = asyncio.create_task(follow(self, self.tail, self._holdings))

    async def close(self) -> None:
        """End what runs and write what is to be kept. Nothing is said here any more."""
        if self.turns:
            await self.turns.close()
        self.gone = self.gone or SessionUnknown()
        await self._end()

    async def let_go(self) -> None:
        """Leave everything to another process. Nothing is said here from now on, and nothing more is taken."""
        self.gone = self.gone or SessionMoved()
        if self.tail:
            self.tail.end()
        if self.turns:
            await self.turns.let_go()
        await self._end()

    async def _end(self) -> None:
        await end_tasks(self._follower)
        await asyncio.gather(*self._saves, return_exceptions=True)
        await self.mirror.close()
        self._tell_readers()

    def _tell_readers(self) -> None:
        self._told.set()
        self._told = asyncio.Event()

    async def save(self, *told: ServerMessage) -> None:
        """Keep what another process would need to go on; then say what of it is told.

        In this order: who has been told, or reads in Redis that others were, finds it there.
        """
        async with self._saving:
            if isinstance(self.gone, SessionUnknown):
                return
            try:
                await self._parts.streams.save_session(self.id, self.fields())
            except StreamsError as error:
                log.warning("a session is not saved: %s", error)
        for message in told:
            self.emit(message)

    def save_soon(self, *told: ServerMessage) -> None:
        """The same in the background."""
        task = asyncio.create_task(self.save(*told))
        self._saves.add(task)
        task.add_done_callback(self._saves.discard)

    def fields(self) -> dict[str, str]:
        """What another process needs to go on with this session."""
        return {"owner": self.owner, "next_turn": str(self.next_turn), **self.playbill.fields()}
