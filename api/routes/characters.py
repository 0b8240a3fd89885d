"""Who can speak, and how that may sound. Not: speaking."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.casting.cards import MAX_CARD_BYTES, read_card, write_card
from api.casting.fields import CharacterFields
from api.routes.house import AHouse, AnOwner

router = APIRouter(prefix="/api")


@router.get("/characters")
async def list_characters(house: AHouse, owner: AnOwner) -> list[dict[str, Any]]:
    """Everybody whom the asker can talk with."""
    return [character.to_dict() for character in await house.characters.everybody(owner)]


@router.post("/characters", status_code=201)
async def create_character(wanted: CharacterFields, house: AHouse, owner: AnOwner) -> dict[str, Any]:
    """A new one."""
    return (await house.characters.create(owner, wanted)).to_dict()


@router.post("/characters/import", status_code=201, max_body_size=MAX_CARD_BYTES)
async def import_character(request: Request, house: AHouse, owner: AnOwner) -> dict[str, Any]:
    """A new one from a card, as JSON or PNG; under another name if its own is taken."""
    return (await house.characters.create(owner, read_card(await request.body()), any_name=True)).to_dict()


@router.get("/characters/{character_id}")
async def show_character(character_id: str, house: AHouse, owner: AnOwner) -> dict[str, Any]:
    """One of them."""
    return (await house.characters.find(owner, character_id)).to_dict()


@router.put("/characters/{character_id}")
async def change_character(character_id: str, wanted: CharacterFields, house: AHouse, owner: AnOwner) -> dict[str, Any]:
    """Say one anew; of one that is there from the start a copy is made."""
    return (await house.characters.change(owner, character_id, wanted)).to_dict()


@router.delete("/characters/{character_id}", status_code=204)
async def delete_character(character_id: str, house: AHouse, owner: AnOwner) -> Response:
    """Forget one's own. Who is being spoken by it is heard to the end."""
    await house.characters.delete(owner, character_id)
    return Response(status_code=204)


@router.get("/characters/{character_id}/export")
async def export_character(character_id: str, house: AHouse, owner: AnOwner) -> Response:
    """One as a card that other programs read too."""
    character = await house.characters.find(owner, character_id)
    headers = {"Content-Disposition": 'attachment; filename="character.json"'}
    return Response(write_card(character), media_type="application/json", headers=headers)


@router.get("/voices")
async def list_voices(house: AHouse, owner: AnOwner) -> list[dict[str, Any]]:
    """Every voice that a running worker can speak with."""
    workers = await house.streams.workers()
    voices = {
        (worker["engine"], voice["name"]): {**voice, "engine": worker["engine"]}
        for worker in workers
        for voice in worker.get("voices", [])
    }
    return list(voices.values())
