"""Health: does the process live, can it speak, how is it doing. Not: repair."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.answers import ANYWHERE, NotReady, sent
from api.errors import AccessDenied
from api.routes.house import AHouse, AnAsker
from api.speaking.offers import engines_of
from api.streams import StreamsError

router = APIRouter()
ANSWER_S = 1.0


@router.get("/health")
@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"model": NotReady, "description": "Nothing could be spoken now."}})
async def readyz(house: AHouse) -> JSONResponse:
    """Whether a sentence could be spoken now; if not, why."""
    if house.is_draining:
        return _not_ready("This process is ending.")
    try:
        async with asyncio.timeout(ANSWER_S):
            workers = await house.streams.workers()
    except (StreamsError, TimeoutError):
        return _not_ready("Redis does not answer.")
    if not workers:
        return _not_ready("No speech worker is running yet.")
    outbox = house.archive.outbox
    return JSONResponse(
        {
            "status": "ready",
            "workers": len(workers),
            # One that rests has others in its chain, or is asked all the same.
            "engines": engines_of(workers),
            "model": house.llm.model or "demo",
            # Talk goes on without it, so it keeps nobody away.
            "store": f"degraded: {outbox.why_down}" if outbox.is_down else "ok",
        }
    )


@router.get("/metrics", response_class=Response, responses={401: ANYWHERE[401], **sent("text/plain", what="Figures.")})
async def metrics(asker: AnAsker) -> Response:
    """Prometheus, which can send a key. Not for a project's users: it tells of everybody."""
    if asker.kind == "user":
        raise AccessDenied("The figures of this server are for who has one of its keys.")
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _not_ready(why: str) -> JSONResponse:
    return JSONResponse({"status": "not ready", "reason": why}, status_code=503, headers={"Retry-After": "1"})
