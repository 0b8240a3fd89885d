"""`/v1/audio/speech` and what goes with it, as OpenAI's clients know it. Not: how a text is spoken."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from api.answers import OPENAI, sent
from api.encoding.encoder import stream_encoder
from api.encoding.formats import FORMATS, STREAMED
from api.encoding.sending import encoded
from api.history import count_tokens
from api.routes.closing import ClosingResponse
from api.routes.house import AHouse, AnOwner, House
from api.routes.openai_shape import OpenAIRoute, error_body
from api.speaking.passages import text_to_pieces
from api.speaking.reading import Reading, Sound
from api.speaking.voices import MAX_NAME, find_voice
from contract.audio import bytes_to_ms
from contract.errors import SpeechError, TextUnspeakable
from contract.voice import Voice

router = APIRouter(prefix="/v1", route_class=OpenAIRoute, responses=OPENAI)

MAX_INPUT_CHARS = 4096
MAX_INSTRUCTIONS_CHARS = 4096
DESCRIPTION_CHARS = 500
TOKEN_MS = 50
"""Of sound, to a token of usage: twenty a second."""
MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe")
"""Names that clients have built in; whichever they ask for, the running engine answers."""

SpeechFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
StreamFormat = Literal["audio", "sse"]
Speed = Annotated[float, Field(ge=0.25, le=4.0)]


def _or(default: Any, kind: Any) -> BeforeValidator:
    """Null is as good as nothing: clients of several languages send every field they have."""
    return BeforeValidator(lambda value: default if value is None else value, json_schema_input_type=kind | None)


class NamedVoice(BaseModel):
    """A voice in the form of an object."""

    id: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


class SpeechRequest(BaseModel):
    """What OpenAI's clients send; null is as good as nothing."""

    model: Annotated[str, Field(min_length=1, max_length=128)]
    input: Annotated[str, StringConstraints(min_length=1, max_length=MAX_INPUT_CHARS)]
    voice: Annotated[str, Field(min_length=1, max_length=MAX_NAME)] | NamedVoice | None = None
    instructions: Annotated[str, Field(max_length=MAX_INSTRUCTIONS_CHARS)] | None = None
    response_format: Annotated[SpeechFormat, _or("mp3", SpeechFormat)] = "mp3"
    speed: Annotated[Speed, _or(1.0, Speed)] = 1.0
    stream_format: Annotated[StreamFormat, _or("audio", StreamFormat)] = "audio"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request comes to, with this server's voices."""

    voice: Voice
    title: str
    """Who speaks, for people who watch the queue."""


@router.post(
    "/audio/speech",
    response_class=Response,
    responses=sent(
        *(FORMATS[name].media_type for name in STREAMED), "text/event-stream", what="The sound, as it is made."
    ),
)
async def speak(asked: SpeechRequest, house: AHouse, owner: AnOwner) -> Response:
    """A text, aloud: the first bytes leave as soon as its first sentence begins to sound."""
    encoder = stream_encoder(asked.response_format)
    name = asked.voice.id if isinstance(asked.voice, NamedVoice) else asked.voice or ""
    wanted = await want(house, owner, asked.model, name, asked.speed, asked.instructions or "")
    pieces = text_to_pieces(asked.input, wanted.voice, house.readings.parts.lexicon)
    if not pieces:
        raise TextUnspeakable
    reading = house.readings.read(owner, wanted.title, pieces)
    sound = reading.listen()
    # The first sound decides whether this becomes a stream or an error.
    try:
        first = await anext(sound, None)
    except BaseException:
        await sound.aclose()
        raise
    if first is None:
        await sound.aclose()
        raise TextUnspeakable
    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    # A sentence that fails in the midst breaks the answer off, visibly, instead of ending it as if it were whole.
    sounds = _sounds(first[1], sound)
    coded = encoded(encoder, sounds)
    if asked.stream_format == "sse":
        events = _events(asked.input, reading, coded)
        return ClosingResponse(events, sounds, sound, media_type="text/event-stream", headers=headers)
    return ClosingResponse(coded, sounds, sound, media_type=encoder.media_type, headers=headers)


@router.get("/models")
@router.get("/audio/models")
async def list_models(house: AHouse, owner: AnOwner) -> dict[str, Any]:
    """Every name that may be asked for: the engines that run here, and those that clients have built in."""
    engines = [voice["engine"] for voice in await house.offers.voices()]
    names = dict.fromkeys([*engines, *MODELS])
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": 0, "owned_by": "cueline"} for name in names],
    }


async def want(house: House, owner: str, model: str, name: str, speed: float, instructions: str) -> Wanted:
    """Raises: VoiceUnknown, StoreUnreachable."""
    offered = await house.offers.voices()
    engines = {voice["engine"] for voice in offered}
    if model in engines:
        offered = [voice for voice in offered if voice["engine"] == model]
    characters = await house.characters.everybody(owner)
    recorded = {clip.name: clip.id for clip in await house.clips.all(owner)}
    voice = find_voice(name or "alloy", characters, offered, recorded)
    changes: dict[str, Any] = {"rate": min(4.0, max(0.25, voice.rate * speed))}
    if model in engines and not voice.engine:
        changes["engine"] = model
    words = " ".join(instructions.split())[:DESCRIPTION_CHARS]
    return Wanted(replace(voice, **changes).directed(words), name or "alloy")


async def _sounds(first: bytes, sound: Sound) -> AsyncGenerator[bytes]:
    yield first
    async for _, pcm in sound:
        yield pcm


async def _events(text: str, reading: Reading, coded: AsyncIterator[bytes]) -> AsyncGenerator[str]:
    try:
        async for block in coded:
            yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(block).decode()})
    except SpeechError as error:
        yield _event({"type": "error", **error_body(error)})
        return
    asked, made = count_tokens(text), bytes_to_ms(reading.duration_bytes) // TOKEN_MS
    usage = {"input_tokens": asked, "output_tokens": made, "total_tokens": asked + made}
    yield _event({"type": "speech.audio.done", "usage": usage})


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"
