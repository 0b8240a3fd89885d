"""Who can speak, and how that may sound. Not: speaking."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from api.answers import ANYWHERE, sent, told
from api.casting.audition import AUDITION_CHARS, Audition
from api.casting.cards import MAX_CARD_BYTES, read_card, write_card
from api.casting.fields import CharacterFields, VoiceFields
from api.characters import CAST, Character
from api.encoding.riff import wav_head
from api.errors import CardInvalid, CharacterBuiltIn, CharacterUnknown, NameTaken, TooManyCharacters
from api.routes.house import AHouse, AnOwner, take_room
from api.speaking.offers import voices_of
from contract.errors import NoWorker, SpeechError

router = APIRouter(prefix="/api", responses=ANYWHERE)
A_CARD = {
    "required": True,
    "content": {
        "application/json": {"schema": {"type": "object"}},
        "image/png": {"schema": {"type": "string", "format": "binary"}},
    },
}


class Preview(BaseModel):
    """A sentence, and the voice that it is to be heard in."""

    text: Annotated[str, Field(min_length=1, max_length=AUDITION_CHARS)]
    voice: VoiceFields = VoiceFields()


@router.get("/characters")
async def list_characters(house: AHouse, owner: AnOwner) -> list[dict[str, Any]]:
    """Everybody whom the asker can talk with."""
    return [_describe(character) for character in await house.characters.everybody(owner)]


@router.post("/characters", status_code=201, responses=told(NameTaken, TooManyCharacters))
async def create_character(wanted: CharacterFields, house: AHouse, owner: AnOwner) -> dict[str, Any]:
    """A new one."""
    return _describe(await house.characters.create(owner, wanted))


@router.post(
    "/characters/import",
    status_code=201,
    max_body_size=MAX_CARD_BYTES,
    openapi_extra={"requestBody": A_CARD},
    responses=told(CardInvalid, TooManyCharacters),
)
async def import_character(request: Request, house: AHouse, owner: AnOwner) -> dict[str, Any]:
    """A new one from a card, as JSON or PNG; under another name if its own is taken."""
    return _describe(await house.characters.create(owner, read_card(await request.body()), any_name=True))


@router.get("/characters/{character_id}", responses=told(CharacterUnknown))
async def show_character(character_id: str, house: AHouse, owner: AnOwner) -> dict[str, Any]:
    """One of them."""
    return _describe(await house.characters.find(owner, character_id))


@router.put("/characters/{character_id}", responses=told(CharacterUnknown, NameTaken))
async def change_character(character_id: str, wanted: CharacterFields, house: AHouse, owner: AnOwner) -> dict[str, Any]:
    """Say one anew; of one that is there from the start a copy is made."""
    return _describe(await house.characters.change(owner, character_id, wanted))


@router.delete("/characters/{character_id}", status_code=204, responses=told(CharacterUnknown, CharacterBuiltIn))
async def delete_character(character_id: str, house: AHouse, owner: AnOwner) -> Response:
    """Forget one's own. Who is being spoken by it is heard to the end."""
    await house.characters.delete(owner, character_id)
    return Response(status_code=204)


@router.get("/characters/{character_id}/export", responses=told(CharacterUnknown))
async def export_character(character_id: str, house: AHouse, owner: AnOwner) -> Response:
    """One as a card that other programs read too."""
    character = await house.characters.find(owner, character_id)
    headers = {"Content-Disposition": 'attachment; filename="character.json"'}
    return Response(write_card(character), media_type="application/json", headers=headers)


@router.get("/voices")
async def list_voices(house: AHouse, owner: AnOwner) -> list[dict[str, Any]]:
    """Every voice that a running worker can speak with."""
    workers = await house.streams.workers()
    voices = {(voice["engine"], voice["name"]): voice for worker in workers for voice in voices_of(worker)}
    cloning = next((engine for worker in workers for engine in worker.get("cloning", ())), "")
    recorded = [clip.to_offer(cloning) for clip in await house.clips.all(owner)] if cloning else []
    return recorded + list(voices.values())


@router.post(
    "/voices/preview",
    dependencies=[Depends(take_room)],
    response_class=Response,
    responses=sent("audio/wav", what="The sentence, as it is made."),
)
async def preview_voice(wanted: Preview, house: AHouse, owner: AnOwner) -> Response:
    """One sentence in a voice, as a sound file that is streamed while it is being made."""
    house.admission.admit_turn(None)
    audition = Audition(owner, house.streams, house.inbox, house.dispatcher, house.clips.provide)
    pcm = audition.speak(wanted.text, wanted.voice.to_voice())
    try:
        first = await anext(pcm, b"")
    except SpeechError as error:
        status = 503 if error.retryable or isinstance(error, NoWorker) else 422
        return JSONResponse({"code": error.code, "message": error.text}, status, {"Retry-After": "2"})
    return StreamingResponse(_stream(first, pcm), media_type="audio/wav", headers={"X-Accel-Buffering": "no"})


async def _stream(first: bytes, pcm: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(pcm):
        yield wav_head(None) + first
        async for more in pcm:
            yield more


def _describe(character: Character) -> dict[str, Any]:
    return {**character.to_dict(), "is_built_in": character.id in CAST}
