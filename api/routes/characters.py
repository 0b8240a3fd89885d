"""Who can speak, and how that may sound. Not: speaking."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.characters import CAST, find_character
from api.routes.house import AHouse, AnOwner

router = APIRouter(prefix="/api")


@router.get("/characters")
async def list_characters(owner: AnOwner) -> list[dict[str, Any]]:
    """The cast."""
    return [character.to_dict() for character in CAST.values()]


@router.get("/characters/{character_id}")
async def show_character(character_id: str, owner: AnOwner) -> dict[str, Any]:
    """One of the cast."""
    return find_character(character_id).to_dict()


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
