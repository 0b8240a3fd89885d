"""SSE: the mirror of a session's messages. Not: audio."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from api.access.access import Asker, is_over
from api.answers import ANYWHERE, IN_SESSION, sent, told
from api.errors import MessageInvalid, SessionUnknown, ShareUnknown
from api.events import Gap
from api.routes.house import AHeardSession, AHouse, AListener, House, take_room
from api.session.resume import are_events_gone, is_hole
from api.session.session import Session
from api.streams import StreamsError

router = APIRouter(prefix="/api", responses=ANYWHERE)

PING_S = 12
LOOK_S = 1.0
_ENTRY_ID = re.compile(r"\d{1,18}(-\d{1,18})?")


@router.get(
    "/sessions/{session_id}/events",
    dependencies=[Depends(take_room)],
    response_class=Response,
    responses=IN_SESSION | told(SessionUnknown, ShareUnknown) | sent("text/event-stream", what="Every message."),
)
async def mirror(
    session: AHeardSession,
    house: AHouse,
    listener: AListener,
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
        _events(house, session, position, listener), ping=PING_S, headers={"X-Accel-Buffering": "no"}
    )


async def _events(house: House, session: Session, after: str, listener: Asker) -> AsyncIterator[ServerSentEvent]:
    """Rung by the mirror where the session's turns run; looks every second for what another process wrote."""
    streams = house.streams
    try:
        gap = Gap(what="messages", message="Some messages before this are gone.")
        if await are_events_gone(streams, session.id, after, session.last_mirrored):
            yield ServerSentEvent(data=gap.to_json(session.id), event=gap.type)
        had, before = after, await streams.event_until(session.id, after)
        with session.reading(), house.access.shares.visit(session.id, listener.share) as visit:
            while not session.is_closed and not is_over(listener) and not visit.over.is_set():
                more = session.next_write()
                found = await streams.read_events(session.id, after)
                for after, text in found:
                    if is_hole(before, after, had):
                        yield ServerSentEvent(data=gap.to_json(session.id), event=gap.type)
                    before = after
                    yield ServerSentEvent(data=text, event=json.loads(text)["type"], id=after)
                if not found:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_S):
                            await more.wait()
    except StreamsError:
        return  # the client comes back with the id of the last event it has
