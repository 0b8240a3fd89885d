"""Puts one api process together: parts, middleware, routes, the page. Not: what any of them does."""

from __future__ import annotations

import gc
import logging
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.access import Access
from api.admission import Admission
from api.casting.characters import Characters
from api.casting.clips import Clips
from api.demo import DemoModel
from api.drain import when_asked_to_end
from api.errors import ConversationError, MessageInvalid, RouteUnknown, ScriptInvalid, StoreUnreachable
from api.inbox import Inbox
from api.listening.files import Files
from api.listening.hearing import Hearing
from api.listening.words.recognition import Recognition
from api.notify import notify
from api.quiet import Quiet
from api.render.desk import Desk
from api.render.files.kept import Kept
from api.render.files.products import Products
from api.render.lending import Lending
from api.render.library import Library
from api.render.renders import Renders
from api.routes import (
    characters,
    config,
    events,
    health,
    openai_audio,
    openai_speech,
    openai_stream,
    passes,
    sessions,
    socket,
)
from api.routes.house import House
from api.routes.openai_shape import openai_error
from api.routes.rendering import renders, uploads
from api.session.neighbours import Neighbours
from api.session.sessions import Sessions
from api.settings import Settings, SettingsError, choose_llm, read_settings
from api.speaking.lexicon import open_lexicon
from api.speaking.offers import Offers
from api.speaking.readings import Readings
from api.store.archive import Archive
from api.store.opening import open_shelf, open_store
from api.streams import Streams, StreamsError
from api.turn.dispatch import Dispatcher
from api.turn.stage import Parts
from api.turn.tokens import OpenAIModel
from contract.data_dir import find_data_dir
from contract.errors import CuelineError

log = logging.getLogger(__name__)

_ROUTES = (
    health,
    config,
    sessions,
    events,
    characters,
    passes,
    socket,
    openai_audio,
    openai_speech,
    openai_stream,
    renders,
    uploads,
)
FRONTEND = Path(__file__).parent.parent / "frontend"
MAX_BODY_BYTES = 1024 * 1024
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'{shelf}; img-src 'self' data:; "
        "media-src 'self' blob:{shelf}; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def make_app(settings: Settings | None = None) -> FastAPI:
    """The ASGI app; `uvicorn --factory api.main:make_app` starts it."""
    settings = settings or _settings_or_exit()
    handler = logging.StreamHandler()
    handler.addFilter(Quiet())
    level = settings.log_level.upper()
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", handlers=[handler])
    # At INFO they write every request's URL: the model's address, and what somebody searches for.
    for name in ("httpx", "httpx2"):
        logging.getLogger(name).setLevel(logging.WARNING)

    app = FastAPI(
        title="Cueline",
        lifespan=_lifespan,
        max_body_size=MAX_BODY_BYTES,
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=_hosts(settings), www_redirect=False),
            Middleware(SecurityHeaders, sounds_at=settings.supabase_url),
        ],
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.add_exception_handler(CuelineError, _answer_error)
    app.add_exception_handler(StreamsError, _answer_away)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    for routes in _ROUTES:
        app.include_router(routes.router)
    app.mount("/", StaticFiles(directory=FRONTEND, html=True), name="frontend")
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    llm = choose_llm(settings)
    streams = Streams(settings.redis_url)
    name = secrets.token_hex(8)
    inbox = Inbox(streams, name)
    dispatcher = Dispatcher(streams, inbox)
    model = OpenAIModel(llm, settings) if llm.base_url else DemoModel()
    neighbours = Neighbours(streams, inbox, name)
    admission = Admission(streams, settings.max_listeners)
    store, shelf = open_store(settings), open_shelf(settings)
    archive, cast = Archive(store), Characters(store)
    clips = Clips(store, shelf, streams)
    parts = Parts(streams, inbox, dispatcher, model, admission, cast, open_lexicon(settings.lexicon), clips.provide)
    held = Sessions(parts, neighbours, settings, archive)
    readings, offers = Readings(parts, archive.usage), Offers(streams)
    hearing = Hearing(settings, Recognition(streams, inbox, dispatcher.envelopes))
    access = Access(settings, streams)
    files = Files(hearing)
    lending = Lending(shelf)
    library = Library(store, find_data_dir(os.environ) / "renders", lending)
    making = Renders(library, streams, inbox, dispatcher, archive.usage, clips.provide)
    products = Products(library)
    desk = Desk(library, making, products, Kept(products, shelf), cast, streams, clips)
    house = House(
        settings,
        llm,
        streams,
        inbox,
        dispatcher,
        held,
        archive,
        cast,
        access,
        admission,
        hearing,
        files,
        readings,
        offers,
        desk,
        shelf,
        clips,
    )
    archive.start()
    access.start()
    await inbox.start()
    await admission.start()
    await held.start()
    making.start()
    app.state.house = house
    # What is there now stays. Looking through all of it for garbage took a tenth of a second, again and again.
    gc.collect()
    gc.freeze()

    def drain() -> None:
        house.is_draining = True
        notify("STOPPING=1")

    when_asked_to_end(drain)
    notify("READY=1")
    try:
        yield
    finally:
        await products.stop()
        await making.stop()
        await lending.stop()
        await hearing.stop()
        await readings.stop()
        await held.stop()
        await cast.stop()
        await archive.stop()
        await shelf.close()
        await access.stop()
        await admission.stop()
        await inbox.stop()
        await model.close()
        await streams.close()


class SecurityHeaders:
    """Adds the same headers to every answer. Plain ASGI, because Starlette's base class would buffer streams.

    `sounds_at` is the address of another server that keeps our sound files, and sends them to the page.
    """

    def __init__(self, app: ASGIApp, sounds_at: str = "") -> None:
        self.app = app
        there = urlsplit(sounds_at)
        shelf = f" {there.scheme}://{there.netloc.rpartition('@')[2]}" if sounds_at else ""
        self._headers = {name: value.replace("{shelf}", shelf) for name, value in SECURITY_HEADERS.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith(("/api", "/v1")):
                    # The page and its modules change together; the browser asks each time and gets 304.
                    headers.setdefault("cache-control", "no-cache")
            await send(message)

        await self.app(scope, receive, send_with_headers)


async def _answer_error(_: Request, error: Exception) -> JSONResponse:
    status = error.status if isinstance(error, ConversationError) else 500
    assert isinstance(error, CuelineError)  # noqa: S101  what the handler is registered for
    headers = {}
    if status in {429, 503}:
        headers["Retry-After"] = str(getattr(error, "retry_after_s", 1))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body: dict[str, Any] = {"code": error.code, "message": error.text}
    if isinstance(error, ScriptInvalid):
        body["problems"] = [{"line": line, "message": text} for line, text in error.problems]
    return JSONResponse(body, status_code=status, headers=headers)


async def _answer_away(request: Request, error: Exception) -> JSONResponse:
    log.warning("redis is away: %s", error)
    return await _answer_error(request, StoreUnreachable())


async def _answer_http(request: Request, error: Exception) -> JSONResponse:
    """What the framework refuses by itself, in the shape that everything else at that address has."""
    assert isinstance(error, HTTPException)  # noqa: S101  what the handler is registered for
    status, headers = error.status_code, dict(error.headers or {})
    is_lost = status in {404, 405}
    if is_lost and (methods := _methods(request)):
        status, headers["Allow"] = 405, ", ".join(methods)
    refusal = RouteUnknown() if is_lost else MessageInvalid(f"{error.detail}.")
    if request.url.path.startswith("/v1/"):
        answer = openai_error(status, refusal.text, refusal.code)
        answer.headers.update(headers)
        return answer
    body = {"code": refusal.code, "message": refusal.text}
    return JSONResponse(body, status_code=status, headers=headers)


def _methods(request: Request) -> list[str]:
    """What an address can be asked with. The page, which is found last, hides from the router that there is any."""

    def is_known(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(
            route.matches(scope)[0] is Match.FULL for route in request.app.routes if not isinstance(route, Mount)
        )

    known = [method for method in METHODS if is_known(method)]
    return known or (["GET", "HEAD"] if request.method not in {"GET", "HEAD"} else [])


async def _answer_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  what the handler is registered for
    first = error.errors()[0]
    where = ".".join(str(step) for step in first["loc"])
    body = {"code": "message_invalid", "message": f"{where}: {first['msg']}."}
    return JSONResponse(body, status_code=422)


def _hosts(settings: Settings) -> list[str]:
    """Names this server answers to. Listening everywhere, it cannot know them all: access keys guard it then."""
    if settings.host in {"0.0.0.0", "::", ""} and not settings.allowed_hosts:  # noqa: S104  compared, not bound
        return ["*"]
    return ["127.0.0.1", "localhost", "[::1]", settings.host, *settings.allowed_hosts]


def _settings_or_exit() -> Settings:
    try:
        settings = read_settings()
        if settings.llm and not settings.llm_base_url:
            raise SettingsError("CUELINE_LLM=local: `cueline up` serves it; else CUELINE_LLM_BASE_URL says who does")
        return settings
    except SettingsError as error:
        sys.stderr.write(f"cueline: {error}\n")
        sys.exit(2)
