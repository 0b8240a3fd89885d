"""Renders over HTTP: order, look, change, hear. Not: making them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import Response, StreamingResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

from api.encoding.encoder import stream_encoder
from api.encoding.formats import STREAMED, find_format
from api.encoding.riff import wav_head
from api.encoding.sending import encoded
from api.errors import MessageInvalid
from api.render.desk import Desk
from api.render.errors import RenderUnknown
from api.render.order import LineChange, Order
from api.routes.house import AHouse, AnOwner, ATicketOwner, take_room
from contract.audio import ms_to_bytes

router = APIRouter(prefix="/api/renders")
MAX_ORDER_BYTES = 16 * 1024 * 1024
PING_S = 12
_PLACE = re.compile(r"\d{1,15}")


def find_desk(house: AHouse) -> Desk:
    """Where renders are ordered."""
    return house.desk


ADesk = Annotated[Desk, Depends(find_desk)]


@router.post("", status_code=202, max_body_size=MAX_ORDER_BYTES)
async def order(wanted: Order, desk: ADesk, owner: AnOwner) -> dict[str, Any]:
    """Have a script rendered."""
    return await desk.order(owner, wanted)


@router.get("")
async def list_all(desk: ADesk, owner: AnOwner) -> list[dict[str, Any]]:
    """The asker's renders, the newest first."""
    return await desk.all(owner)


@router.get("/{render_id}")
async def show(render_id: str, desk: ADesk, owner: AnOwner, lines: bool = True) -> dict[str, Any]:
    """One of them, with its lines unless nobody wants them."""
    return await desk.show(owner, render_id, with_lines=lines)


@router.delete("/{render_id}", status_code=204)
async def delete(render_id: str, desk: ADesk, owner: AnOwner) -> Response:
    """Forget one, with all of its sound."""
    await desk.delete(owner, render_id)
    return Response(status_code=204)


@router.post("/{render_id}/cancel")
async def cancel(render_id: str, desk: ADesk, owner: AnOwner) -> dict[str, Any]:
    """Make no more of it; what is there stays."""
    return await desk.cancel(owner, render_id)


@router.post("/{render_id}/retry", status_code=202)
async def retry(render_id: str, desk: ADesk, owner: AnOwner) -> dict[str, Any]:
    """Make what failed, or was cancelled."""
    return await desk.retry(owner, render_id)


@router.put("/{render_id}/lines/{line}", status_code=202)
async def change(render_id: str, line: int, wanted: LineChange, desk: ADesk, owner: AnOwner) -> dict[str, Any]:
    """Have one line said differently."""
    return await desk.change(owner, render_id, line, wanted)


@router.get("/{render_id}/lines/{line}/audio")
async def line_audio(
    render_id: str, line: int, desk: ADesk, owner: AnOwner, wanted: Annotated[str, Query(alias="format")] = "wav"
) -> Response:
    """One line as a file."""
    form = find_format(wanted, STREAMED)
    pcm = await desk.sound_of(owner, render_id, line)
    headers = {"Content-Disposition": f'inline; filename="line-{line + 1}.{form.extension}"'}
    if not form.codec:
        head = wav_head(len(pcm)) if form.name == "wav" else b""
        return Response(head + pcm, media_type=form.media_type, headers=headers)
    encoder = stream_encoder(form.name)
    return StreamingResponse(encoded(encoder, _one(pcm)), media_type=encoder.media_type, headers=headers)


@router.get("/{render_id}/audio")
async def audio(
    render_id: str, desk: ADesk, owner: AnOwner, wanted: Annotated[str, Query(alias="format")] = "wav"
) -> Response:
    """All of it in one file, sent while later lines are still made."""
    encoder = stream_encoder(find_format(wanted, STREAMED).name)
    shown = await desk.show(owner, render_id, with_lines=False)
    headers = {"X-Accel-Buffering": "no", "Content-Disposition": f'inline; filename="render.{wanted}"'}
    body = encoded(encoder, _whole(desk, owner, render_id, shown["settings"]["gap_ms"]))
    return StreamingResponse(body, media_type=encoder.media_type, headers=headers)


@router.get("/{render_id}/events", dependencies=[Depends(take_room)])
async def events(
    render_id: str,
    desk: ADesk,
    owner: ATicketOwner,
    after: Annotated[str | None, Query(max_length=40)] = None,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> EventSourceResponse:
    """Every line as it ends; after the last one the client has, or all of them."""
    place = last_event_id or after or "0"
    if not _PLACE.fullmatch(place):
        raise MessageInvalid("after and Last-Event-ID are the id of an event, or 0.")
    await desk.show(owner, render_id, with_lines=False)
    return EventSourceResponse(
        _events(desk, owner, render_id, int(place)), ping=PING_S, headers={"X-Accel-Buffering": "no"}
    )


async def _events(desk: Desk, owner: str, render_id: str, after: int) -> AsyncIterator[ServerSentEvent]:
    try:
        async for place, kind, message in desk.follow(owner, render_id, after):
            data = json.dumps(message, ensure_ascii=False)
            yield ServerSentEvent(data=data, event=kind, id=str(place) if place else None)
    except RenderUnknown:
        return  # deleted meanwhile


async def _one(pcm: bytes) -> AsyncIterator[bytes]:
    yield pcm


async def _whole(desk: Desk, owner: str, render_id: str, gap_ms: int) -> AsyncIterator[bytes]:
    is_first = True
    async for line, pcm in desk.sounds(owner, render_id):
        gap = 0 if is_first else gap_ms
        silence_ms = gap if line.pause_before_ms is None else line.pause_before_ms
        is_first = False
        yield bytes(ms_to_bytes(silence_ms)) + (pcm or b"")
