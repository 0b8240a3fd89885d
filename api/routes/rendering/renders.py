"""Renders over HTTP: order, look, change, hear. Not: making them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import FileResponse, RedirectResponse, Response, StreamingResponse
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request

from api.answers import ANYWHERE, sent, told
from api.encoding.encoder import stream_encoder
from api.encoding.formats import FILES, STREAMED, find_format
from api.encoding.formats import FORMATS as SOUNDS
from api.encoding.riff import wav_head
from api.encoding.sending import encoded
from api.errors import CastUnknown, DiskFull, FormatUnknown, MessageInvalid, ScriptEmpty, ScriptInvalid, ScriptTooLong
from api.render.desk import Desk
from api.render.errors import LineNotReady, LineUnknown, RenderChanged, RenderUnknown, TooManyRenders
from api.render.files.kept import ZIP_TYPE
from api.render.files.subtitles import FORMATS
from api.render.order import LineChange
from api.routes.house import AHouse, AnOwner, ATicketOwner, take_room
from api.routes.rendering.uploads import AN_ORDER, MAX_FORM_BYTES, read_order_body

router = APIRouter(prefix="/api/renders", responses=ANYWHERE)
PING_S = 12
_ANY_SOUND = tuple(dict.fromkeys((*STREAMED, *FILES)))
_PLACE = re.compile(r"\d{1,15}")


def find_desk(house: AHouse) -> Desk:
    """Where renders are ordered."""
    return house.desk


ADesk = Annotated[Desk, Depends(find_desk)]


@router.post(
    "",
    status_code=202,
    max_body_size=MAX_FORM_BYTES,
    openapi_extra={"requestBody": AN_ORDER},
    responses=told(ScriptInvalid, ScriptEmpty, CastUnknown, ScriptTooLong, TooManyRenders),
)
async def order(request: Request, house: AHouse, owner: AnOwner) -> dict[str, Any]:
    """Have a script rendered: as JSON, or a form with the script as a file and the other fields beside it."""
    wanted, file = await read_order_body(request, house)
    return await house.desk.order(owner, wanted, file)


@router.get("")
async def list_all(desk: ADesk, owner: AnOwner) -> list[dict[str, Any]]:
    """The asker's renders, the newest first."""
    return await desk.all(owner)


@router.get("/{render_id}", response_model=dict[str, Any], responses=told(RenderUnknown))
async def show(render_id: str, desk: ADesk, owner: AnOwner, lines: bool = True) -> Response:
    """One of them, with its lines unless nobody wants them."""
    shown = await desk.show(owner, render_id, with_lines=lines)
    return Response(await asyncio.to_thread(_json, shown), media_type="application/json")


@router.delete("/{render_id}", status_code=204, responses=told(RenderUnknown))
async def delete(render_id: str, desk: ADesk, owner: AnOwner) -> Response:
    """Forget one, with all of its sound."""
    await desk.delete(owner, render_id)
    return Response(status_code=204)


@router.post("/{render_id}/cancel", responses=told(RenderUnknown, RenderChanged))
async def cancel(render_id: str, desk: ADesk, owner: AnOwner) -> dict[str, Any]:
    """Make no more of it; what is there stays."""
    return await desk.cancel(owner, render_id)


@router.post("/{render_id}/retry", status_code=202, responses=told(RenderUnknown, RenderChanged))
async def retry(render_id: str, desk: ADesk, owner: AnOwner) -> dict[str, Any]:
    """Make what failed, or was cancelled."""
    return await desk.retry(owner, render_id)


@router.put(
    "/{render_id}/lines/{line}",
    status_code=202,
    responses=told(ScriptInvalid, CastUnknown, RenderUnknown, LineUnknown, RenderChanged),
)
async def change(render_id: str, line: int, wanted: LineChange, desk: ADesk, owner: AnOwner) -> dict[str, Any]:
    """Have one line said differently."""
    return await desk.change(owner, render_id, line, wanted)


@router.get(
    "/{render_id}/lines/{line}/audio",
    response_class=Response,
    responses=told(FormatUnknown, RenderUnknown, LineUnknown, LineNotReady)
    | sent(*(SOUNDS[name].media_type for name in STREAMED), what="The line."),
)
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


@router.get(
    "/{render_id}/audio",
    response_class=Response,
    responses=told(FormatUnknown, RenderUnknown, LineNotReady, DiskFull)
    | sent(*(SOUNDS[name].media_type for name in _ANY_SOUND), what="The render, from its start."),
)
async def audio(
    render_id: str, desk: ADesk, owner: AnOwner, wanted: Annotated[str, Query(alias="format")] = "wav"
) -> Response:
    """All of it: a file once every line has ended, until then sent as lines are made."""
    form = find_format(wanted, _ANY_SOUND)
    path = await desk.file(owner, render_id, form.name) if form.name in FILES else None
    headers = {"Content-Disposition": f'inline; filename="render.{form.extension}"', "X-Accel-Buffering": "no"}
    if path:
        return _whole(path, form.media_type, headers)
    if form.name not in STREAMED:
        raise LineNotReady(f"Lines of this render are still being made, and {form.name} needs all of them.")
    shown = await desk.show(owner, render_id, with_lines=False)
    encoder = stream_encoder(form.name, shown["settings"].get("channels", 1))
    body = encoded(encoder, desk.live(owner, render_id))
    return StreamingResponse(body, media_type=encoder.media_type, headers=headers)


@router.get(
    "/{render_id}/zip",
    response_class=Response,
    responses=told(RenderUnknown, LineNotReady, DiskFull) | sent("application/zip", what="The render in its parts."),
)
async def every_line(render_id: str, desk: ADesk, owner: AnOwner) -> Response:
    """Each line as a file of its own, subtitles and the manifest."""
    path = await desk.file(owner, render_id, "zip")
    if path is None:
        raise LineNotReady("Lines of this render are still being made.")
    return _whole(path, ZIP_TYPE, {"Content-Disposition": 'attachment; filename="render.zip"'})


@router.get(
    "/{render_id}/subtitles.{wanted}",
    response_class=Response,
    responses=told(FormatUnknown, RenderUnknown, LineNotReady)
    | sent(*(media_type for media_type, _ in FORMATS.values()), what="What is said, and when."),
)
async def subtitles(render_id: str, wanted: str, desk: ADesk, owner: AnOwner) -> Response:
    """When everything is said."""
    if wanted not in FORMATS:
        raise FormatUnknown(f"Known formats are {', '.join(FORMATS)}.")
    media_type, text = await desk.subtitles(owner, render_id, wanted)
    headers = {"Content-Disposition": f'attachment; filename="render.{wanted}"'}
    return Response(text, media_type=media_type, headers=headers)


@router.get(
    "/{render_id}/manifest",
    response_class=Response,
    responses=told(RenderUnknown, LineNotReady) | sent("application/json", what="Its lines, their voices and hashes."),
)
async def manifest(render_id: str, desk: ADesk, owner: AnOwner) -> Response:
    """What it is made of, with hashes."""
    media_type, text = await desk.subtitles(owner, render_id, "manifest")
    return Response(text, media_type=media_type)


@router.get(
    "/{render_id}/events",
    dependencies=[Depends(take_room)],
    response_class=Response,
    responses=told(RenderUnknown) | sent("text/event-stream", what="Every line as it ends."),
)
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


def _whole(found: Path | str, media_type: str, headers: dict[str, str]) -> Response:
    """The file itself, or where it is for the next minutes."""
    if isinstance(found, str):
        return RedirectResponse(found, headers={"Cache-Control": "no-store"})
    return FileResponse(found, media_type=media_type, headers=headers)


async def _events(desk: Desk, owner: str, render_id: str, after: int) -> AsyncIterator[ServerSentEvent]:
    try:
        async for place, kind, message in desk.follow(owner, render_id, after):
            data = json.dumps(message, ensure_ascii=False)
            yield ServerSentEvent(data=data, event=kind, id=str(place) if place else None)
    except RenderUnknown:
        return  # deleted meanwhile


def _json(shown: dict[str, Any]) -> str:
    """Its lines one by one: all of a book's in one call, or kept at once, would hold up whoever talks meanwhile."""
    script = shown.pop("script", None)
    head = json.dumps(shown, ensure_ascii=False)
    if script is None:
        return head
    return f'{head[:-1]}, "script": [{", ".join(json.dumps(line, ensure_ascii=False) for line in script)}]}}'


async def _one(pcm: bytes) -> AsyncIterator[bytes]:
    yield pcm
