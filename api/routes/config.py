"""Config: what this server is set to, for anybody to see who may use it, and how much of it they have used.

Not: secrets, addresses of what is behind it.

Each field is named here: what is not, is not shown, however it is called.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.answers import ANYWHERE
from api.casting.characters import MAX_CHARACTERS
from api.ensemble.playbill import MAX_ANSWERS, MAX_MEMBERS, MAX_SPEED, MIN_SPEED
from api.routes.house import AHouse, AnOwner
from api.session.turns import MAX_WAITING
from api.settings import choosable_models
from api.speaking.offers import engines_of
from api.store.usage import MAX_DAYS
from api.turn.turn import MAX_REPLY_CHARS
from api.turn.utterance import MAX_CHARS

router = APIRouter(prefix="/api", responses=ANYWHERE)


@router.get("/config")
async def show_config(house: AHouse, owner: AnOwner) -> dict[str, Any]:
    """The effective settings."""
    settings, llm = house.settings, house.llm
    workers = await house.streams.workers()
    recognizers = await house.streams.recognizers()
    return {
        "version": version("cueline"),
        "model": {
            "name": llm.model or "demo",
            "decided_by": llm.source,
            "choice": choosable_models(llm, settings) if llm.base_url else [],
            "first_token_s": settings.llm_first_token_s,
            "stall_s": settings.llm_stall_s,
        },
        "engines": sorted(engines_of(workers)),
        "workers": len(workers),
        "recognizer": {
            "name": settings.stt_engine,
            "language": settings.stt_language,
            "is_ready": any(one.get("state") == "ready" for one in recognizers),
        },
        "store": {"kind": house.archive.store.name.partition(",")[0], "is_down": house.archive.outbox.is_down},
        "needs_key": not settings.is_open,
        "limits": {
            "text_chars": MAX_CHARS,
            "reply_chars": MAX_REPLY_CHARS,
            "waiting": MAX_WAITING,
            "characters": MAX_CHARACTERS,
            "members": MAX_MEMBERS,
            "answers": MAX_ANSWERS,
            "speed": [MIN_SPEED, MAX_SPEED],
            "sessions": settings.max_sessions,
            "listeners": settings.max_listeners,
            "listener_grace_s": settings.listener_grace_s,
        },
    }


@router.get("/usage")
async def show_usage(
    house: AHouse, owner: AnOwner, days: Annotated[int, Query(ge=1, le=MAX_DAYS)] = 30
) -> list[dict[str, Any]]:
    """What the asker has used, by day."""
    return await house.archive.used(owner, days)
