"""Doorway: who may open a socket, and how one is refused or closed and told why. Not: what is said on it."""

from __future__ import annotations

import asyncio
import logging

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from api.access.access import Asker
from api.errors import AccessDenied, StoreUnreachable, UsersUnreachable
from api.events import error_message
from api.routes.house import find_house
from api.streams import StreamsError
from contract.errors import CuelineError

log = logging.getLogger(__name__)

PARTING_S = 2.0
"""For a last word. Behind a full line it cannot be said: the other side then sees a line that is lost, and resumes."""

TRY_AGAIN, POLICY = 1013, 1008
"""Come again later; not as you are."""


async def let_in(websocket: WebSocket, ticket: str | None, session: str = "", share: str | None = None) -> Asker | None:
    """Who opens this socket; None if they may not, and then they have been told.

    Raises: ShareUnknown. A page can be told of it only once the socket is open.
    """
    access, headers = find_house(websocket).access, websocket.headers
    if not access.is_known_origin(headers.get("origin"), headers.get("host")):
        await deny(websocket, 403, "Sockets are opened from the server's own pages only.")
        return None
    try:
        if share is not None:
            return await access.guest(session, share)
        return await access.asker(headers.get("authorization"), ticket)
    except (AccessDenied, UsersUnreachable) as error:
        await deny(websocket, error.status, error.text)
    except StreamsError:
        await deny(websocket, 503, StoreUnreachable.default)
    return None


async def deny(websocket: WebSocket, status: int, why: str) -> None:
    """Refuse before the socket is open."""
    await websocket.send_denial_response(JSONResponse({"detail": why}, status_code=status))


async def refuse(websocket: WebSocket, error: CuelineError, session: str = "", code: int = 0) -> None:
    """Say why, then close: come back later, or do not."""
    try:
        async with asyncio.timeout(PARTING_S):
            await websocket.send_text(error_message(error).to_json(session))
    except (TimeoutError, RuntimeError, WebSocketDisconnect):
        log.debug("a refused socket did not wait for the reason")
    await close(websocket, code or (TRY_AGAIN if error.retryable else POLICY), error.code)


async def close(websocket: WebSocket, code: int, why: str) -> None:
    if websocket.application_state is WebSocketState.CONNECTED:
        try:
            async with asyncio.timeout(PARTING_S):
                await websocket.close(code, why)
        except (TimeoutError, RuntimeError):
            log.debug("a socket was closed by the other side")
