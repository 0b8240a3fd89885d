"""Sessions: those that this process holds, found again in Redis when it does not. Not: what happens in one."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from typing import Any
from weakref import WeakValueDictionary

from api.characters import DEFAULT_ID, Character, find_character
from api.ending import end_tasks
from api.errors import ServerBusy, ServerRestarted, SessionUnknown, StoreUnreachable
from api.events import TtsEnd, TurnState, error_message
from api.history import History
from api.mirror import MAX_WAITING
from api.streams import StreamsError
from api.turn.session import Session
from api.turn.stage import Parts
from api.turn.timing import REFUSED, SESSIONS
from contract import keys
from contract.chunk import tombstone

log = logging.getLogger(__name__)

IDLE_S = 900.0
"""A session nobody listens to is dropped from memory after this long; Redis still knows it."""
JUST_USED_S = 3.0
"""When the process is full, a session nobody listens to gives way after this long."""
SWEEP_S = 5.0
MAX_ORPHANS = 12
"""Turns that one process can leave: the running one, those that wait, and some grace."""
_SESSION_ID = re.compile(r"[\w-]{8,64}", re.ASCII)
MEMORY_RATIO = 0.7
"""Share of Redis' memory above which no new session is taken, so that those who talk can go on."""


class Sessions:
    """The sessions of this process."""

    def __init__(self, parts: Parts, max_sessions: int) -> None:
        self._parts = parts
        self._max = max_sessions
        self._held: dict[str, Session] = {}
        self._loading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._sweeper: asyncio.Task[None] | None = None
        self._is_redis_full = False

    async def start(self) -> None:
        """Begin to sweep."""
        self._sweeper = asyncio.create_task(self._sweep_loop())

    async def stop(self) -> None:
        """End every session's turn and write what is to be kept."""
        await end_tasks(self._sweeper)
        await asyncio.gather(*(session.close() for session in self._held.values()))

    async def create(self, owner: str, character: Character | None = None) -> Session:
        """A new session.

        Raises: ServerBusy, StoreUnreachable.
        """
        self._admit()
        session = Session(self._parts, secrets.token_urlsafe(16), owner, character=character)
        # Held before the first await: those who come at the same moment are counted too.
        self._hold(session)
        try:
            await self._parts.streams.save_session(session.id, session.fields())
        except StreamsError as error:
            self._drop(session)
            raise StoreUnreachable from error
        return session

    async def find(self, session_id: str, owner: str) -> Session:
        """The session of that id, if it belongs to `owner`.

        Raises: SessionUnknown, also when it is somebody else's; StoreUnreachable.
        """
        if not _SESSION_ID.fullmatch(session_id):
            raise SessionUnknown
        session = self._held.get(session_id)
        if session is None:
            async with self._loading.setdefault(session_id, asyncio.Lock()):
                session = self._held.get(session_id) or await self._load(session_id)
        if session.owner != owner or session.is_closed:
            raise SessionUnknown
        return session

    async def list(self, owner: str) -> list[dict[str, Any]]:
        """The owner's sessions, as far as Redis remembers them."""
        try:
            found = []
            for session_id in await self._parts.streams.session_ids(owner):
                fields = await self._parts.streams.load_session(session_id)
                if fields.get("owner") == owner:
                    found.append({"id": session_id, "turns": int(fields.get("next_turn", 0))})
        except StreamsError as error:
            raise StoreUnreachable() from error
        return found

    async def delete(self, session: Session) -> None:
        """End a session and forget it: text, audio, history."""
        await session.close()
        session.log.close(SessionUnknown())
        # Held, closed as it is, until Redis has forgotten it: who asks meanwhile must not find it there again.
        try:
            await self._parts.streams.delete_session(session.id, session.owner, session.next_turn)
        except StreamsError as error:
            raise StoreUnreachable from error
        finally:
            self._drop(session)

    def _admit(self) -> None:
        if len(self._held) >= self._max:
            self._drop_idle(JUST_USED_S)
        if len(self._held) >= self._max or self._is_redis_full:
            REFUSED.labels(what="session").inc()
            raise ServerBusy()

    def _drop(self, session: Session) -> None:
        self._held.pop(session.id, None)
        SESSIONS.set(len(self._held))

    def _hold(self, session: Session) -> None:
        self._held[session.id] = session
        SESSIONS.set(len(self._held))

    async def _load(self, session_id: str) -> Session:
        streams = self._parts.streams
        try:
            fields = await streams.load_session(session_id)
            if "owner" not in fields:
                raise SessionUnknown()
            session = Session(
                self._parts,
                session_id,
                fields["owner"],
                next_turn=int(fields.get("next_turn", 0)),
                # The process before may have told listeners more than it could still write down.
                last_event=await streams.last_event(session_id) + MAX_WAITING,
                history=History(await streams.load_history(session_id)),
                character=find_character(fields.get("character", DEFAULT_ID)),
                messages=await streams.load_messages(session_id),
            )
            await self._end_orphans(session)
        except StreamsError as error:
            raise StoreUnreachable() from error
        self._hold(session)
        return session

    async def _end_orphans(self, session: Session) -> None:
        """A turn whose process died says so, once, instead of leaving listeners waiting."""
        streams = self._parts.streams
        for number in range(max(0, session.next_turn - MAX_ORPHANS), session.next_turn):
            if (await streams.load_turn(session.id, number)).get("state") not in {"running", "waiting"}:
                continue
            log.warning("a turn was left by a process that is gone")
            count = await streams.count_sentences(session.id, number)
            stones = {
                keys.sentence(session.id, number, sentence): tombstone(number, sentence, 0, 0).pack()
                for sentence in range(count)
            }
            await streams.end_sentences(stones)
            await streams.save_turn(session.id, number, {"state": "ended", "sentences": str(count)})
            session.emit(error_message(ServerRestarted(), number))
            # Not tts_stop: what was made is still good to be heard.
            session.emit(TtsEnd(turn=number))
            session.emit(TurnState(turn=number, state="ended", reason="failed"))

    def _drop_idle(self, idle_s: float) -> None:
        now = time.monotonic()
        for session in list(self._held.values()):
            is_idle = not session.is_busy and not session.log.listeners and now - session.used_at > idle_s
            if is_idle and session.is_mirrored:
                del self._held[session.id]
        SESSIONS.set(len(self._held))

    async def _sweep_loop(self) -> None:
        while True:
            self._drop_idle(IDLE_S)
            try:
                self._is_redis_full = await self._parts.streams.used_ratio() > MEMORY_RATIO
            except StreamsError as error:
                log.debug("redis' memory is unknown: %s", error)
            await asyncio.sleep(SWEEP_S)
