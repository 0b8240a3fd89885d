"""Sessions over HTTP: make, find, end; chat without a socket; a turn's audio. Not: what a turn does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from api.answers import ANYWHERE, IN_SESSION, sent, told
from api.encoding.encoder import StreamEncoder, stream_encoder
from api.encoding.formats import FORMATS as SOUNDS
from api.encoding.formats import STREAMED, find_format
from api.encoding.riff import wav_head
from api.encoding.sending import encoded
from api.ensemble.playbill import shown_cast, shown_settings
from api.errors import (
    AudioGone,
    CastInvalid,
    CharacterUnknown,
    FormatUnknown,
    MessageInvalid,
    ModelUnknown,
    SessionUnknown,
    ShareUnknown,
    TextEmpty,
    TextInvalid,
    TextTooLong,
    TooManyMessages,
    TooManyWaiting,
    TurnUnknown,
)
from api.events import Chat, SetCast, SetTuning
from api.routes.house import AHeardSession, AHouse, AnOwner, ASession
from api.session.session import Session
from api.store.archive import TITLE_CHARS
from api.transcript import FORMATS as TRANSCRIPTS
from api.turn.replay import replay
from contract.chunk import Chunk

router = APIRouter(prefix="/api", responses=ANYWHERE)

_TYPES = [media_type.partition(";")[0] for media_type, _ in TRANSCRIPTS.values()]
_SOUNDS = [SOUNDS[name].media_type for name in STREAMED]


class NewSession(BaseModel):
    """What a session may begin with."""

    character: Annotated[str, Field(min_length=1, max_length=64)] | None = None


class Changes(SetTuning):
    """What a session shall be called, and how it shall be set."""

    model_config = ConfigDict(strict=False)

    # A title that is left out is none; null, or one of nothing, is nonsense.
    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=TITLE_CHARS)] = Field(
        default_factory=str
    )

    @field_validator("title")
    @classmethod
    def refuse_what_is_no_text(cls, title: str) -> str:
        """One line that can be written down."""
        if not title.isprintable():
            raise ValueError("is one line of text")
        return title


class NewMessage(BaseModel):
    """A typed message."""

    text: str
    character: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    id: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x20-\x7e]*$")] | None = None
    queue: bool = False


@router.post("/sessions", status_code=201, responses=told(CharacterUnknown))
async def create(house: AHouse, owner: AnOwner, wanted: NewSession | None = None) -> dict[str, Any]:
    """A new session."""
    character = await house.characters.find(owner, wanted.character) if wanted and wanted.character else None
    return _describe(await house.sessions.create(owner, character))


@router.get("/sessions")
async def list_all(
    house: AHouse, owner: AnOwner, search: Annotated[str, Query(max_length=200)] = ""
) -> list[dict[str, Any]]:
    """The asker's sessions; with `search`, those in which that occurs."""
    return await house.sessions.list(owner, search.strip())


@router.get("/sessions/{session_id}", responses=IN_SESSION)
async def show(session: ASession) -> dict[str, Any]:
    """One session with its conversation."""
    bill = session.playbill
    shown = {"cast": shown_cast(bill), "settings": shown_settings(bill)}
    return _describe(session) | shown | {"messages": await session.messages()}


@router.patch("/sessions/{session_id}", responses=IN_SESSION | told(MessageInvalid, ModelUnknown))
async def change(session: ASession, house: AHouse, wanted: Changes) -> dict[str, Any]:
    """Give a session another title, or other settings."""
    asked = wanted.model_dump(exclude_unset=True, exclude_none=True, exclude={"type"})
    if not asked:
        raise MessageInvalid("There is nothing to change: title, model, voice, speed or turn_taking.")
    title = asked.pop("title", "")
    settings = await session.hear(SetTuning(**asked)) if asked else shown_settings(session.playbill)
    if not title:
        return _describe(session) | {"settings": settings}
    await house.archive.rename(session.id, session.owner, title, session.character.id)
    return _describe(session) | {"settings": settings, "title": title}


@router.put("/sessions/{session_id}/cast", responses=IN_SESSION | told(CastInvalid, SessionUnknown, CharacterUnknown))
async def recast(session: ASession, wanted: SetCast) -> dict[str, Any]:
    """Who takes part in a session, and who of them speaks when."""
    return await session.hear(wanted)


@router.get(
    "/sessions/{session_id}/transcript",
    response_class=Response,
    responses=IN_SESSION | told(FormatUnknown) | sent(*_TYPES, what="The talk."),
)
async def transcript(
    session: ASession, house: AHouse, wanted: Annotated[str, Query(alias="format")] = "json"
) -> Response:
    """All that was said in a session, as a file."""
    if wanted not in TRANSCRIPTS:
        raise FormatUnknown(f"Known formats are {', '.join(TRANSCRIPTS)}.")
    media_type, write = TRANSCRIPTS[wanted]
    conversation, messages = await house.archive.show(session.id, session.owner)
    headers = {"Content-Disposition": f'attachment; filename="talk.{wanted}"'}
    return Response(write(conversation, messages), media_type=media_type, headers=headers)


@router.delete("/sessions/{session_id}", status_code=204, responses=IN_SESSION)
async def delete(session: ASession, house: AHouse) -> Response:
    """End a session and forget it."""
    await house.sessions.delete(session)
    return Response(status_code=204)


@router.post(
    "/sessions/{session_id}/messages",
    status_code=202,
    responses=IN_SESSION
    | told(TextEmpty, TextTooLong, TextInvalid, SessionUnknown, CharacterUnknown, TooManyWaiting, TooManyMessages),
)
async def say(session: ASession, message: NewMessage) -> dict[str, int]:
    """Chat without a socket: the text comes by SSE, the audio by the next route."""
    return await session.hear(Chat(type="chat", **message.model_dump()))


@router.get(
    "/sessions/{session_id}/turns/{turn}/audio",
    response_class=Response,
    responses=IN_SESSION
    | told(FormatUnknown, SessionUnknown, ShareUnknown, TurnUnknown, AudioGone)
    | sent(*_SOUNDS, what="The turn, from its start."),
)
async def audio(
    session: AHeardSession, house: AHouse, turn: int, audio_format: Annotated[str, Query(alias="format")] = "wav"
) -> Response:
    """A turn's audio, streamed while it is still being made, replayable until it expires."""
    wanted = find_format(audio_format, STREAMED)
    await session.look_at(turn)
    if not 0 <= turn < session.next_turn:
        raise TurnUnknown()
    is_whole = session.given(turn) is None
    chunks = replay(house.streams, session.id, turn, lambda: session.given(turn))
    with session.reading():
        first = await _first_chunk(chunks)
    headers = {
        "Content-Disposition": f'inline; filename="turn-{turn}.{wanted.extension}"',
        "X-Accel-Buffering": "no",
    }
    body: Response
    if is_whole and not wanted.codec:
        pcm = first.pcm + b"".join([chunk.pcm async for chunk in chunks])
        head = wav_head(len(pcm)) if wanted.name == "wav" else b""
        body = Response(head + pcm, media_type=wanted.media_type, headers=headers)
    else:
        encoder = stream_encoder(wanted.name)
        body = StreamingResponse(
            _stream(session, encoder, first, chunks), media_type=encoder.media_type, headers=headers
        )
    return body


def _describe(session: Session) -> dict[str, Any]:
    return {"id": session.id, "character": session.character.id, "turns": session.next_turn}


async def _first_chunk(chunks: AsyncIterator[Chunk]) -> Chunk:
    """Wait for the first chunk, so that a turn whose audio is gone gets its own status and no empty file."""
    if (chunk := await anext(chunks, None)) is None:
        raise AudioGone
    return chunk


async def _stream(
    session: Session, encoder: StreamEncoder, first: Chunk, chunks: AsyncIterator[Chunk]
) -> AsyncIterator[bytes]:
    with session.reading():
        async for data in encoded(encoder, _sound(first, chunks)):
            yield data


async def _sound(first: Chunk, rest: AsyncIterator[Chunk]) -> AsyncIterator[bytes]:
    yield first.pcm
    async for chunk in rest:
        yield chunk.pcm
