"""The WebSocket: one listener of one session, who may also speak. Not: what the messages do (session.py)."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from api.access.access import Asker
from api.access.shares import Visit
from api.admission import FramePace
from api.demo import NOTICE
from api.ending import end_tasks
from api.ensemble.playbill import shown_cast, shown_settings
from api.errors import (
    AccessExpired,
    AudioUnexpected,
    ListenerTooSlow,
    MessageInvalid,
    ReadOnly,
    SessionUnknown,
    ShareUnknown,
)
from api.events import (
    AnyClientMessage,
    Ping,
    Played,
    Pong,
    Reset,
    Resume,
    ServerMessage,
    SessionOpened,
    Start,
    Stop,
    audio_format,
    error_message,
    parse_client_message,
)
from api.listening.ear import Ear
from api.listening.line import Line
from api.routes.doorway import POLICY, let_in, refuse
from api.routes.house import House, find_house
from api.session.listeners import Item, Listener
from api.session.resume import Place, is_new, missed
from api.session.session import Session
from api.streams import StreamsError
from api.turn.utterance import MAX_CHARS
from contract.audio import SAMPLE_RATE_HZ
from contract.errors import CuelineError

router = APIRouter()
log = logging.getLogger(__name__)

FRAMED = "cueline.v1"
MAX_FRAME_BYTES = 65_536
SEND_S = 10.0
"""A peer that takes nothing for this long is gone or will never catch up."""
RESUME_GRACE_S = 0.5
"""A socket that comes back to a session hears nothing until it has said what it has, or this long has passed."""
MAX_BAD = 50
"""Messages in a row that make no sense, or come too fast, before the socket is closed."""


@router.websocket("/ws")
async def socket(
    websocket: WebSocket, session: str | None = None, ticket: str | None = None, share: str | None = None
) -> None:
    """A listener comes, and goes."""
    house = find_house(websocket)
    framing = FRAMED if FRAMED in websocket.scope.get("subprotocols", []) else None
    try:
        asker = await let_in(websocket, ticket, session or "", share)
    except ShareUnknown as error:
        await websocket.accept(framing)
        await refuse(websocket, error)
        return
    if asker is None:
        return
    try:
        with house.admission.listener():
            await websocket.accept(framing)
            owner = asker.owner
            found = await (house.sessions.find(session, owner) if session else house.sessions.create(owner))
            connection = Connection(
                websocket, house, found, asker, is_framed=framing is not None, is_back=bool(session)
            )
            await connection.run()
    except CuelineError as error:
        if websocket.application_state is WebSocketState.CONNECTING:
            await websocket.accept(framing)
        await refuse(websocket, error)


class Connection:
    """One socket: a loop that hears, a loop that says."""

    def __init__(
        self, websocket: WebSocket, house: House, session: Session, asker: Asker, *, is_framed: bool, is_back: bool
    ) -> None:
        self._websocket = websocket
        self._house = house
        self._session = session
        self._asker = asker
        self._is_framed = is_framed
        self._is_back = is_back
        self._listener: Listener = session.join()
        self._joined = Place(session.last_event, session.position)
        self._resume: asyncio.Future[Resume | None] = asyncio.get_running_loop().create_future()
        self._bad = 0
        self._pace = FramePace()
        self._ear: Ear | None = None
        """Of this socket's microphone, between start and stop."""

    async def run(self) -> None:
        """Until either side is done."""
        loops = [asyncio.create_task(self._send_loop()), asyncio.create_task(self._receive_loop())]
        try:
            with self._house.access.shares.visit(self._session.id, self._asker.share) as visit:
                loops.append(asyncio.create_task(self._end_in_time(visit)))
                await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end_tasks(*loops)
            self._session.leave(self._listener)
            if self._ear:
                self._house.hearing.let_go(self._ear.leave())
        for loop in loops:
            result = loop.exception() if loop.done() and not loop.cancelled() else None
            if result and not isinstance(result, WebSocketDisconnect | RuntimeError):
                log.error("a socket broke", exc_info=result)

    async def _end_in_time(self, visit: Visit) -> None:
        """Until whoever came in may be here no more."""
        until = self._asker.until
        try:
            async with asyncio.timeout(None if math.isinf(until) else until - time.time()):
                await visit.over.wait()
        except TimeoutError:
            await refuse(self._websocket, AccessExpired(), self._session.id)
        else:
            await refuse(self._websocket, ShareUnknown(), self._session.id)

    # says

    async def _send_loop(self) -> None:
        try:
            await self._send_text(self._opening().to_json(self._session.id))
            resume = await self._wait_for_resume() if self._is_back else None
            if resume:
                await self._send_missed(resume)
            while True:
                item = await self._listener.next()
                if not resume or is_new(item, resume, self._joined):
                    await self._send_item(item)
        except CuelineError as error:
            await refuse(self._websocket, error, self._session.id)
        except TimeoutError:
            await refuse(self._websocket, ListenerTooSlow(), self._session.id)

    def _opening(self) -> ServerMessage:
        return SessionOpened(
            resumed=self._is_back,
            audio=audio_format(FRAMED if self._is_framed else "raw"),
            resume_token=self._session.id,
            limits={"text_chars": MAX_CHARS, "frame_bytes": MAX_FRAME_BYTES},
            character=self._session.character.name,
            cast=shown_cast(self._session.playbill),
            settings=shown_settings(self._session.playbill),
            notice=None if self._house.llm.base_url else NOTICE,
            is_guest=self._is_guest,
        )

    async def _wait_for_resume(self) -> Resume | None:
        done, _ = await asyncio.wait({self._resume}, timeout=RESUME_GRACE_S)
        if not done:
            self._resume.cancel()
            return None
        return self._resume.result()

    async def _send_missed(self, resume: Resume) -> None:
        """What the session said between the place the client names and the place this socket joined."""
        try:
            await self._session.mirror.flush()
            async for item in missed(self._house.streams, self._session.id, resume, self._joined):
                await self._send_item(item)
        except StreamsError as error:
            log.warning("a resume cannot be served: %s", error)
            await self._send_text(error_message(SessionUnknown("What you missed is gone.")).to_json(self._session.id))

    async def _send_item(self, item: Item) -> None:
        if self._ear:
            self._note_playback(self._ear, item)
        if item.chunk is None:
            await self._send_text(item.text)
        elif self._is_framed:
            await self._send_bytes(item.chunk.pack())
        elif item.chunk.pcm:
            await self._send_bytes(item.chunk.pcm)

    async def _send_text(self, text: str) -> None:
        async with asyncio.timeout(SEND_S):
            await self._websocket.send_text(text)

    async def _send_bytes(self, frame: bytes) -> None:
        async with asyncio.timeout(SEND_S):
            await self._websocket.send_bytes(frame)

    def _tell(self, message: ServerMessage) -> None:
        self._listener.tell(message.to_json(self._session.id))

    # hears

    async def _receive_loop(self) -> None:
        while True:
            received = await self._websocket.receive()
            if received["type"] == "websocket.disconnect":
                return
            text, frame = received.get("text"), received.get("bytes") or b""
            try:
                self._pace.check(len(text or frame))
                if text is not None:
                    await self._hear(parse_client_message(text))
                else:
                    self._hear_audio(frame)
                self._bad = 0
            except CuelineError as error:
                self._tell(error_message(error))
                self._bad += 1
                if self._bad >= MAX_BAD:
                    await refuse(self._websocket, error, self._session.id, POLICY)
                    return

    @property
    def _is_guest(self) -> bool:
        return self._asker.kind == "guest"

    async def _hear(self, message: AnyClientMessage) -> None:
        if isinstance(message, Resume):
            if self._resume.done():
                raise MessageInvalid("resume comes first, right after the session message of a session joined again.")
            self._resume.set_result(message)
            return
        if not self._resume.done() and not isinstance(message, Ping):
            self._resume.set_result(None)
        if isinstance(message, Ping):
            self._listener.tell(Pong(t=message.t).to_json(self._session.id), at_once=True)
        elif self._is_guest:
            # How far a guest has heard is nobody's business: what history keeps is what the owner heard.
            if not isinstance(message, Played):
                raise ReadOnly
        elif isinstance(message, Start):
            await self._listen(message)
        else:
            await self._session.hear(message)
            if isinstance(message, Stop | Reset):
                self._stop_listening()

    async def _listen(self, start: Start) -> None:
        """Raises: ListeningUnavailable."""
        await self._house.hearing.check()
        await self._session.hear(start)
        self._stop_listening()
        set_for_all = self._session.playbill.tuning.turn_taking
        start = start.model_copy(update={"turn_taking": start.turn_taking or set_for_all or "barge_in"})
        line = Line(self._session, lambda error: self._tell(error_message(error)))
        self._ear = self._house.hearing.open_ear(line, start)

    def _stop_listening(self) -> None:
        if self._ear:
            self._house.hearing.let_go(self._ear.drop())
        self._ear = None

    def _hear_audio(self, frame: bytes) -> None:
        if self._is_guest:
            raise ReadOnly
        if self._ear is None:
            raise AudioUnexpected
        self._ear.hear(frame)

    def _note_playback(self, ear: Ear, item: Item) -> None:
        """The speaker beside the microphone plays what this socket is sent."""
        if item.chunk is not None:
            ear.sounds(item.chunk.pcm, SAMPLE_RATE_HZ)
        elif item.text.startswith('{"type":"tts_stop"'):
            ear.hushed()
        elif item.text.startswith('{"type":"settings"'):
            if turn_taking := json.loads(item.text)["turn_taking"]:
                ear.take_turns(turn_taking)
        elif item.text.startswith('{"type":"status","status":"stopped"'):
            # Perhaps somebody else's word: nobody is listened to any more.
            self._stop_listening()
