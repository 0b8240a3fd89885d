"""Sessions: those that this process has in hand, and those it can find in Redis. Not: what happens in one."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any
from weakref import WeakValueDictionary

from api.admission import refusal
from api.characters import DEFAULT_ID, Character
from api.ending import end_tasks
from api.ensemble.changing import read_playbill
from api.ensemble.playbill import Playbill
from api.errors import (
    ConversationError,
    HolderSilent,
    SessionMoved,
    SessionUnknown,
    StoreUnreachable,
)
from api.session.adoption import MAX_ORPHANS
from api.session.follower import ASK_S, FORWARD_S
from api.session.holdings import DELETE, HEAR, RELEASE, Holdings
from api.session.memory import Memory
from api.session.neighbours import Answer, Neighbours, NeighbourSilent
from api.session.session import Session
from api.session.tail import Tail
from api.session.turns import Turns
from api.session.voiced import read_handed
from api.session.waking import wake
from api.settings import Settings
from api.store.archive import Archive
from api.streams import StreamsError
from api.turn.stage import Parts
from api.turn.timing import SESSIONS

log = logging.getLogger(__name__)

IDLE_S = 900.0
"""A session nobody listens to is dropped from memory after this long; Redis still knows it."""
JUST_USED_S = 3.0
"""When the process is full, a session nobody listens to gives way after this long; one that is followed always."""
SWEEP_S = 1.0
REPLY_GRACE_S = 4.0
"""How long a process that is asked to end still listens to language models, so that replies are known whole."""
HAND_OVER_S = 2.0
"""How long it may take to write down what others need, in a process that is asked to end while Redis does not answer.
"""
_SESSION_ID = re.compile(r"[\w-]{8,64}", re.ASCII)


class Sessions:
    """The sessions of this process."""

    def __init__(self, parts: Parts, neighbours: Neighbours, settings: Settings, archive: Archive) -> None:
        self._parts = parts
        self._archive = archive
        self._max = settings.max_sessions
        self._listener_grace_s = settings.listener_grace_s
        self._held: dict[str, Session] = {}
        self._holdings = Holdings(parts, neighbours, archive, self._held.values)
        self._holdings.on_lost = lambda session: self._lose(session, SessionMoved())
        self._holdings.on_forgotten = lambda session: self._lose(session, SessionUnknown())
        self._loading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._sweeper: asyncio.Task[None] | None = None
        self._ends: set[asyncio.Task[None]] = set()
        neighbours.answer = self._answer
        parts.inbox.on_wiped = self._write_again

    async def start(self) -> None:
        """Begin to sweep."""
        await self._holdings.start()
        self._sweeper = asyncio.create_task(self._sweep_loop())

    async def stop(self) -> None:
        """Leave every session to the process that comes after this one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(REPLY_GRACE_S):
                await asyncio.gather(*(session.turns.replied() for session in self._held.values() if session.turns))
        await end_tasks(self._sweeper)
        for session in list(self._held.values()):
            self._end_in_background(self._hand_over(session))
        if self._ends:
            _, late = await asyncio.wait(self._ends, timeout=HAND_OVER_S)
            await end_tasks(*late)
        await self._holdings.stop()

    async def create(self, owner: str, character: Character | None = None) -> Session:
        """A new session.

        Raises: ServerBusy, StoreUnreachable.
        """
        character = character or await self._parts.cast.find(owner, None)
        self._make_room()
        self._parts.admission.admit_session()
        session_id = secrets.token_urlsafe(16)
        session = Session(self._parts, self._holdings, session_id, owner, playbill=Playbill(character))
        keeper = self._archive.keeper(session_id, owner, session.character.id, session.playbill.at_rest())
        memory = Memory(self._parts.streams, session_id, keeper, epoch=1)
        session.hold(Turns(self._parts, session, memory, 0, session.at_rest), epoch=1)
        # Held before the first await: those who come at the same moment are counted too.
        self._hold(session)
        try:
            await asyncio.gather(
                self._parts.streams.save_session(session.id, session.fields()), self._holdings.claim(session)
            )
        except StreamsError as error:
            self._drop(session)
            raise StoreUnreachable from error
        return session

    async def find(self, session_id: str, owner: str) -> Session:
        """The session of that id, if it belongs to `owner`.

        Raises: SessionUnknown, also when it is somebody else's; ServerBusy; StoreUnreachable.
        """
        if not _SESSION_ID.fullmatch(session_id):
            raise SessionUnknown
        session = self._held.get(session_id)
        if session is None:
            async with self._loading.setdefault(session_id, asyncio.Lock()):
                session = self._held.get(session_id)
                if session is None:
                    self._make_room()
                    session = await self._load(session_id, owner)
        if session.owner != owner:
            raise SessionUnknown
        if session.gone:
            raise session.gone
        session.used_at = time.monotonic()
        return session

    async def list(self, owner: str, search: str = "") -> list[dict[str, Any]]:
        """The owner's sessions: those that are not at rest yet, then the others, the one last talked in first.

        With `search`, those at rest in which that was said, or that are called so.
        """
        if search:
            return await self._archive.conversations(owner, search)
        try:
            kept = await self._archive.conversations(owner)
        except StoreUnreachable:
            kept = []  # what Redis knows is better than nothing
        known = {row["id"] for row in kept}
        found = []
        try:
            for session_id in await self._parts.streams.session_ids(owner):
                if session_id not in known:
                    fields = await self._parts.streams.load_session(session_id)
                    if fields.get("owner") == owner:
                        found.append(_describe(session_id, fields))
        except StreamsError as error:
            raise StoreUnreachable() from error
        return found + kept

    async def delete(self, session: Session) -> None:
        """End a session and forget it: text, audio, history.

        Raises: HolderSilent, StoreUnreachable.
        """
        deadline = time.monotonic() + FORWARD_S
        while session.turns is None:
            try:
                await self._holdings.delete(session)
                break
            except NeighbourSilent as error:
                if time.monotonic() > deadline:
                    raise HolderSilent from error
                try:
                    await self._holdings.settle(session)
                except SessionUnknown:
                    break  # it was heard, and only its answer came too late
                await asyncio.sleep(0.1)
        # What cannot be forgotten at rest goes on as it was; what is said until it is closed is forgotten below.
        await self._archive.delete(session.id, session.owner)
        await session.close()
        session.log.close(SessionUnknown())
        # Held, closed as it is, until all have forgotten it: who asks meanwhile must not find it there again.
        try:
            await self._archive.delete(session.id, session.owner)
            await self._parts.streams.delete_session(session.id, session.owner, session.next_turn)
        except StreamsError as error:
            raise StoreUnreachable from error
        finally:
            self._drop(session)

    def _make_room(self) -> None:
        if len(self._held) >= self._max:
            self._drop_idle(JUST_USED_S)
        if len(self._held) >= self._max:
            raise refusal("session")

    def _drop(self, session: Session) -> None:
        if self._held.get(session.id) is session:
            del self._held[session.id]
        SESSIONS.set(len(self._held))

    def _hold(self, session: Session) -> None:
        self._held[session.id] = session
        SESSIONS.set(len(self._held))

    async def _load(self, session_id: str, owner: str) -> Session:
        streams = self._parts.streams
        try:
            # In this order: what was told of a session is kept with it before.
            event = await streams.last_event(session_id)
            fields = await streams.load_session(session_id)
            if "owner" not in fields:
                fields = await wake(streams, self._archive, session_id, owner)
                event = await streams.last_event(session_id)
            if fields.get("owner") != owner:
                raise SessionUnknown()
            next_turn = int(fields.get("next_turn", 0))
            session = Session(
                self._parts,
                self._holdings,
                session_id,
                fields["owner"],
                playbill=await read_playbill(self._parts.cast, fields),
                next_turn=next_turn,
                last_event=event,
            )
            tail = Tail(streams, session, event)
            session.follow(tail, await tail.catch_up(range(max(0, next_turn - MAX_ORPHANS), next_turn)))
            # Whoever speaks does not let go: there is nothing to ask, and no time to lose.
            await self._holdings.settle(session, ask=not tail.is_live)
        except StreamsError as error:
            raise StoreUnreachable() from error
        session.start_following()
        self._hold(session)
        return session

    # other processes

    async def _answer(self, session_id: str, question: str) -> Answer:
        """What another process asks about a session that we hold."""
        session = self._held.get(session_id)
        order = json.loads(question)
        if session is None and order["do"] == RELEASE:
            # Whatever Redis says, it is not held here; unless it is just coming or going.
            return {"released": session_id not in self._loading}
        if session is None or session.turns is None or session.is_closed:
            raise SessionMoved
        if order["do"] == HEAR:
            return await session.hear(read_handed(order["message"]))
        if order["do"] == DELETE:
            await self.delete(session)
            return {}
        if session.is_busy or session.is_heard or not session.is_mirrored:
            if order["heard"]:
                session.note_heard_elsewhere(by_listener=order["listened"])
            return {"released": False}
        await self._hand_over(session)
        return {"released": True}

    async def _hand_over(self, session: Session) -> None:
        """Whoever asks for it here meanwhile waits until it has been left behind in good order."""
        async with self._loading.setdefault(session.id, asyncio.Lock()):
            self._drop(session)
            if session.is_closed:
                return
            was_held = session.turns is not None
            await session.let_go()
            session.log.close(SessionMoved())
            if was_held:
                await self._holdings.release(session)

    def _lose(self, session: Session, why: ConversationError) -> None:
        """Another process has it, or nobody: nothing that we would still write may count."""
        if self._held.get(session.id) is not session:
            return
        log.warning("a session is no longer here: %s", why.text)
        self._drop(session)
        session.gone = why
        session.log.close(why)
        self._end_in_background(self._let_go(session))

    async def _let_go(self, session: Session) -> None:
        async with self._loading.setdefault(session.id, asyncio.Lock()):
            await session.let_go()

    def _write_again(self) -> None:
        """Redis has lost everything; what we still know it shall know again."""
        for session in self._held.values():
            if session.turns:
                self._end_in_background(self._holdings.claim_again(session))

    # idle ones

    def _drop_idle(self, idle_s: float) -> None:
        now = time.monotonic()
        for session in list(self._held.values()):
            allowed_s = idle_s if session.turns else JUST_USED_S
            is_idle = not session.is_busy and not session.is_heard and now - session.used_at > allowed_s
            if is_idle and (session.is_mirrored or not session.turns):
                self._drop(session)
                self._end_in_background(self._hand_over(session))

    def _stop_unheard(self) -> None:
        """A reply that everybody has left is made no further."""
        now = time.monotonic()
        for session in self._held.values():
            away_s = now - max(session.used_at, session.heard_elsewhere_at + 2 * ASK_S)
            is_left = session.was_heard and not session.is_heard and away_s > self._listener_grace_s
            if session.turns and session.is_busy and is_left:
                session.turns.stop()

    def _end_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    async def _sweep_loop(self) -> None:
        while True:
            self._drop_idle(IDLE_S)
            self._stop_unheard()
            await asyncio.sleep(SWEEP_S)


def _describe(session_id: str, fields: dict[str, str]) -> dict[str, Any]:
    turns, character = int(fields.get("next_turn", 0)), fields.get("character", DEFAULT_ID)
    return {"id": session_id, "title": "", "character": character, "turns": turns}
