"""`WS /v1/audio/speech/stream`: text in while it is being written, sound out, sentence by sentence. Not: how.

Client: `session.config` first (`model`, `voice`, `speed`, `instructions`, `response_format`, `split_granularity` is
accepted and ignored), then `input.text` as often as there is text, then `input.done`. Server: for each sentence
`audio.start`, binary frames, `audio.done`; in the end `session.done`. Each sentence is a sound of its own, so every
format can be played as it comes. Names as vLLM-Omni's streaming speech API has them.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.encoding.encoder import stream_encoder
from api.ending import end_tasks
from api.errors import MessageInvalid, StoreUnreachable, TextTooLong
from api.routes.doorway import POLICY, TRY_AGAIN, let_in
from api.routes.house import House, find_house
from api.routes.openai_shape import error_body
from api.routes.openai_speech import MAX_INSTRUCTIONS_CHARS, SpeechFormat, Wanted, want
from api.speaking.passages import text_to_pieces
from api.speaking.reading import Reading, Sound
from api.speaking.voices import MAX_NAME
from api.streams import StreamsError
from api.turn.sentences import SentenceBuffer
from contract.errors import CuelineError

router = APIRouter()
log = logging.getLogger(__name__)

MAX_TEXT_CHARS = 100_000
"""Two hours of speech on one socket."""
IDLE_S = 60.0
"""Without a word for this long, the text is taken to have ended."""
FLUSH_S = 0.3
"""A sentence that is complete but for its look-ahead waits no longer than this for more text."""
SEND_S = 10.0
NORMAL = 1000


class Config(BaseModel):
    """How everything on this socket shall sound."""

    type: Literal["session.config"]
    model: Annotated[str, Field(max_length=128)] = ""
    voice: Annotated[str, Field(max_length=MAX_NAME)] | None = None
    instructions: Annotated[str, Field(max_length=MAX_INSTRUCTIONS_CHARS)] | None = None
    response_format: SpeechFormat = "pcm"
    speed: Annotated[float, Field(ge=0.25, le=4.0)] = 1.0


class Text(BaseModel):
    """More of the text."""

    type: Literal["input.text"]
    text: Annotated[str, Field(max_length=MAX_TEXT_CHARS)]


class Done(BaseModel):
    """There will be no more."""

    type: Literal["input.done"]


_MESSAGES: TypeAdapter[Config | Text | Done] = TypeAdapter(Annotated[Config | Text | Done, Field(discriminator="type")])


@router.websocket("/v1/audio/speech/stream")
async def stream(websocket: WebSocket, ticket: str | None = None) -> None:
    """One text, spoken while it comes."""
    house = find_house(websocket)
    if not (asker := await let_in(websocket, ticket)):
        return
    await websocket.accept()
    try:
        with house.admission.listener():
            await Recitation(websocket, house, asker.owner).run()
        await websocket.close(NORMAL)
    except CuelineError as error:
        await _refuse(websocket, error)
    except StreamsError:
        await _refuse(websocket, StoreUnreachable())
    except (WebSocketDisconnect, RuntimeError, TimeoutError):
        log.debug("whoever listened has gone")


class Recitation:
    """One socket: text is heard in one loop, sound is sent in the other."""

    def __init__(self, websocket: WebSocket, house: House, owner: str) -> None:
        self._websocket = websocket
        self._house = house
        self._owner = owner
        self._buffer = SentenceBuffer()
        self._room = MAX_TEXT_CHARS
        self._has_news = False
        """Text has come since the buffer was last asked what is complete."""
        self._texts: list[str] = []
        """What each piece of the reading says."""

    async def run(self) -> None:
        """Raises: CuelineError, WebSocketDisconnect."""
        config = await self._hear(IDLE_S)
        if not isinstance(config, Config):
            raise MessageInvalid("session.config comes first.")
        wanted = await want(
            self._house, self._owner, config.model, config.voice or "", config.speed, config.instructions or ""
        )
        reading = self._house.readings.begin(self._owner, wanted.title)
        sound = reading.listen()
        async with aclosing(sound):
            hearing = asyncio.create_task(self._hear_text(reading, wanted))
            sending = asyncio.create_task(self._send_sound(sound, config.response_format))
            try:
                await asyncio.wait({hearing, sending}, return_when=asyncio.FIRST_EXCEPTION)
                for task in (hearing, sending):
                    if task.done():
                        task.result()
            finally:
                await end_tasks(hearing, sending)

    async def _hear_text(self, reading: Reading, wanted: Wanted) -> None:
        while True:
            try:
                message = await self._hear(FLUSH_S if self._has_news else IDLE_S)
            except TimeoutError:
                if not self._has_news:
                    break
                self._has_news = False
                self._add(reading, wanted, self._buffer.idle())
                continue
            if isinstance(message, Done):
                break
            if not isinstance(message, Text):
                raise MessageInvalid("session.config comes first, and once.")
            self._room -= len(message.text)
            if self._room < 0:
                raise TextTooLong(f"A socket is read at most {MAX_TEXT_CHARS} characters.")
            self._has_news = True
            self._add(reading, wanted, self._buffer.push(message.text))
        self._add(reading, wanted, self._buffer.flush())
        reading.finish()

    def _add(self, reading: Reading, wanted: Wanted, sentences: list[str]) -> None:
        for sentence in sentences:
            pieces = text_to_pieces(sentence, wanted.voice, self._house.readings.parts.lexicon)
            self._texts += [piece.text for piece in pieces]
            reading.add(pieces)

    async def _send_sound(self, sound: Sound, name: SpeechFormat) -> None:
        current, count, encoder = -1, 0, stream_encoder(name)
        async for piece, pcm in sound:
            if piece != current:
                if current >= 0:
                    await self._send_end(count - 1, encoder.finish())
                current, encoder = piece, stream_encoder(name)
                start = {"sentence_index": count, "sentence_text": self._texts[piece], "format": name}
                await self._send({"type": "audio.start", **start, "sample_rate": 24_000})
                count += 1
            await self._send_bytes(encoder.write(pcm))
        if current >= 0:
            await self._send_end(count - 1, encoder.finish())
        await self._send({"type": "session.done", "total_sentences": count})

    async def _send_end(self, number: int, rest: bytes) -> None:
        await self._send_bytes(rest)
        await self._send({"type": "audio.done", "sentence_index": number, "error": False})

    async def _send(self, message: dict[str, Any]) -> None:
        async with asyncio.timeout(SEND_S):
            await self._websocket.send_text(json.dumps(message, ensure_ascii=False))

    async def _send_bytes(self, block: bytes) -> None:
        if block:
            async with asyncio.timeout(SEND_S):
                await self._websocket.send_bytes(block)

    async def _hear(self, within_s: float) -> Config | Text | Done:
        async with asyncio.timeout(within_s):
            received = await self._websocket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        try:
            return _MESSAGES.validate_json(received.get("text") or "")
        except ValidationError as error:
            first = error.errors()[0]
            raise MessageInvalid(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from error


async def _refuse(websocket: WebSocket, error: CuelineError) -> None:
    """Say why, then close."""
    try:
        async with asyncio.timeout(SEND_S):
            await websocket.send_text(json.dumps({"type": "error", **error_body(error)}))
            await websocket.close(TRY_AGAIN if error.retryable else POLICY, error.code)
    except (TimeoutError, RuntimeError, WebSocketDisconnect):
        log.debug("a refused socket did not wait for the reason")
