"""Holdings: which sessions this process holds, and that it lives. Not: what is said in them.

A claim is an entry in the session's stream of holders, under a number that only grows: of two who claim at once Redis
takes one. A process that was frozen or cut off finds its sessions in other hands when it wakes, and lets them go.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from api.ending import end_tasks
from api.errors import ConversationError, SessionMoved, SessionUnknown
from api.events import AnyClientMessage
from api.session.adoption import adopt
from api.session.neighbours import Answer, Neighbours, NeighbourSilent
from api.session.session import Session
from api.session.voiced import Voiced
from api.store.archive import Archive
from api.streams import Holder, StreamsError
from api.turn.stage import Parts
from contract.keys import API_LIFETIME_S

log = logging.getLogger(__name__)

ALIVE_S = 0.5
"""How often a process says that it lives."""
RELEASE_S = 0.15
"""Somebody waits at the door meanwhile; a holder that is slow to answer is followed, and asked again later."""
LOOK_S = 5.0
"""How often it looks whether its sessions are still its own, even if nothing speaks against it."""
SURE_S = 0.5
AGAIN_TRIES = 10
HEAR, RELEASE, DELETE = "hear", "release", "delete"


class Holdings:
    """The claims of one process."""

    def __init__(
        self, parts: Parts, neighbours: Neighbours, archive: Archive, held: Callable[[], Iterable[Session]]
    ) -> None:
        self.name = neighbours.name
        self.on_lost: Callable[[Session], None] = lambda _: None
        """Called with a session that another process has taken."""
        self.on_forgotten: Callable[[Session], None] = lambda _: None
        """Called with a session of which nobody knows anything more."""
        self._parts = parts
        self._neighbours = neighbours
        self._archive = archive
        self._held = held
        self._alive_at = self._looked_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Say that this process lives, and go on saying it."""
        await self._parts.streams.say_alive(self.name)
        self._alive_at = self._looked_at = time.monotonic()
        self._task = asyncio.create_task(self._live())

    async def stop(self) -> None:
        """Say it no more."""
        await end_tasks(self._task)
        try:
            async with asyncio.timeout(SURE_S):
                await self._parts.streams.say_gone(self.name)
        except (StreamsError, TimeoutError) as error:
            log.debug("redis does not hear that this process goes: %s", error)

    async def claim(self, session: Session) -> None:
        """Hold a session that is new."""
        await self._parts.streams.claim(session.id, 1, self.name)

    async def settle(self, session: Session, *, ask: bool = False) -> None:
        """Hold a session if nobody else does, or if its holder, when asked, lets it go.

        Raises: StreamsError; SessionUnknown where Redis has forgotten it, for now or for good.
        """
        async with session.settling:
            if session.turns or session.is_closed:
                return
            before = await self._parts.streams.holder(session.id)
            if before.lives and before.name != self.name:
                if not ask or not await self._is_let_go(before, session):
                    return
                before = await self._parts.streams.holder(session.id)
            # What is forgotten is not claimed: after a wipe whoever holds it writes it again, its claim first.
            if "owner" not in await self._parts.streams.load_session(session.id):
                raise SessionUnknown
            if await self._parts.streams.claim(session.id, before.epoch + 1, self.name):
                await adopt(self._parts, self._archive, session, before.epoch + 1, before)

    async def claim_again(self, session: Session) -> None:
        """Redis has forgotten everything: let it know what we know of a session, unless another process was faster."""
        for _ in range(AGAIN_TRIES):
            try:
                # First of all: a claim of somebody who seems to be gone is anybody's.
                await self._parts.streams.say_alive(self.name)
                if session.turns is None or session.is_closed:
                    return
                if await self._parts.streams.claim(session.id, session.epoch, self.name):
                    session.turns.write_again()
                    await session.save()
                else:
                    await self._look_at([session])
                return
            except StreamsError as error:
                log.warning("a session is not written again yet: %s", error)
                await asyncio.sleep(ALIVE_S)

    async def make_sure(self, session: Session) -> None:
        """After a time in which everybody may have thought that we were gone: learn whether a session is still ours.

        While Redis is away it is: nobody else can have it.
        """
        if time.monotonic() - self._alive_at > API_LIFETIME_S:
            with suppress(StreamsError, TimeoutError):
                async with asyncio.timeout(SURE_S):
                    await self._look_at([session])

    async def release(self, session: Session) -> None:
        """Leave a session to whoever wants it."""
        if not session.is_mirrored:
            return  # listeners were told more than is written down: let it be taken as from the dead
        try:
            await self._parts.streams.claim(session.id, session.epoch + 1, "")
        except StreamsError as error:
            log.warning("a session is not given up: %s", error)

    async def hand_on(self, session: Session, message: AnyClientMessage | Voiced) -> Answer:
        """Have the holder hear what a client says here.

        Raises: NeighbourSilent, ConversationError.
        """
        return await self._ask(session, {"do": HEAR, "message": message.model_dump_json()})

    async def delete(self, session: Session) -> None:
        """Have the holder forget a session. Raises: NeighbourSilent."""
        await self._ask(session, {"do": DELETE})

    async def _ask(self, session: Session, question: dict[str, str]) -> Answer:
        try:
            holder = await self._parts.streams.holder(session.id)
            if not holder.lives or holder.name == self.name:
                raise NeighbourSilent
            return await self._neighbours.ask(holder.name, session.id, json.dumps(question))
        except (StreamsError, SessionMoved) as error:
            raise NeighbourSilent from error

    async def _is_let_go(self, holder: Holder, session: Session) -> bool:
        try:
            question = json.dumps({"do": RELEASE, "heard": session.is_heard, "listened": session.was_heard})
            answer = await self._neighbours.ask(holder.name, session.id, question, RELEASE_S)
        except (NeighbourSilent, ConversationError):
            return False
        return bool(answer.get("released"))

    async def _live(self) -> None:
        while True:
            asked_at = time.monotonic()
            try:
                await self._parts.streams.say_alive(self.name)
                if asked_at - self._alive_at > API_LIFETIME_S or asked_at - self._looked_at > LOOK_S:
                    self._looked_at = asked_at
                    await self._look_at([session for session in self._held() if session.turns])
                self._alive_at = asked_at
            except StreamsError as error:
                log.debug("redis does not hear that this process lives: %s", error)
            await asyncio.sleep(ALIVE_S)

    async def _look_at(self, held: list[Session]) -> None:
        """Whether these are still ours. A claim that Redis has forgotten is written again elsewhere."""
        for session, holder in zip(held, await self._parts.streams.holders([s.id for s in held]), strict=True):
            if session.turns and holder.epoch and holder.name != self.name:
                self.on_lost(session)
