"""Tickets and share links: what opens a door for who can send no key. Not: what is behind it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from api.answers import ANYWHERE, IN_SESSION
from api.routes.house import AHouse, AnAsker, ASession

router = APIRouter(prefix="/api", responses=ANYWHERE)


@router.post("/tickets", response_model=dict[str, str])
async def ticket(house: AHouse, asker: AnAsker) -> JSONResponse:
    """A one-minute, one-use ticket for a browser's socket or event stream."""
    return _unkept({"ticket": await house.access.make_ticket(asker)})


@router.post("/sessions/{session_id}/share", status_code=201, response_model=dict[str, Any], responses=IN_SESSION)
async def share(session: ASession, house: AHouse) -> JSONResponse:
    """A link with which anybody may listen to a session for a day."""
    token, until = await house.access.shares.open(session.id)
    link = {"token": token, "url": f"/?session={session.id}&share={token}", "expires_at": int(until * 1000)}
    return _unkept(link, 201)


@router.delete("/sessions/{session_id}/share", status_code=204, responses=IN_SESSION)
async def unshare(session: ASession, house: AHouse) -> Response:
    """Take back every link to a session. Who has come by one hears no more."""
    await house.access.shares.revoke(session.id)
    return Response(status_code=204)


def _unkept(secret: dict[str, Any], status: int = 200) -> JSONResponse:
    return JSONResponse(secret, status, headers={"Cache-Control": "no-store"})
