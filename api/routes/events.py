"""SSE: the mirror of a session's messages. Not: audio."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from sse_starlette import EventSourceResponse, ServerSentEvent

from api.errors import MessageInvalid
from api.routes.house import AHouse, ASession
from api.streams import Streams, StreamsError

router = APIRouter(prefix="/api")

PING_S = 12
BLOCK_MS = 1000
_ENTRY_ID = re.compile(r"\d{1,18}(-\d{1,18})?")


@router.get("/sessions/{session_id}/events")
async def mirror(
    session: ASession,
    house: AHouse,
    after: Annotated[str | None, Query(max_length=40)] = None,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> EventSourceResponse:
    """Every message of a session as it comes; after the last one the client has, or from now on."""
    position = last_event_id or after
    if position is None:
        position = str(session.last_event)
    if not _ENTRY_ID.fullmatch(position):
        raise MessageInvalid("after and Last-Event-ID are the id of an event, or 0.")
    return EventSourceResponse(
        _events(house.streams, session.id, position), ping=PING_S, headers={"X-Accel-Buffering": "no"}
    )


async def _events(streams: Streams, session: str, after: str) -> AsyncIterator[ServerSentEvent]:
    while True:
        try:
            found = await streams.read_events(session, after, BLOCK_MS)
        except StreamsError:
            return  # EventSource comes back by itself, with the id of the last event it has
        for after, text in found:
            yield ServerSentEvent(data=text, event=json.loads(text)["type"], id=after)
