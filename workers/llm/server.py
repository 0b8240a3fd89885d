"""`python -m workers.llm.server PLACE` answers as OpenAI's chat completions do, so the api talks with our own model as
with any other. PLACE is HOST:PORT, or the number of a socket that listens already. Not: the model.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import uvicorn
from pydantic import BaseModel, Field, ValidationError
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workers.llm.local import MAX_REPLY_TOKENS, NAME, LocalModel, ModelMissing

log = logging.getLogger(__name__)

MAX_AT_ONCE = 4
"""Replies that are made together; they share the processor token by token."""
MAX_WAITING = 16
MAX_BODY_BYTES = 1024 * 1024


class _Message(BaseModel):
    role: str
    content: str


class _Asked(BaseModel):
    model: str = NAME
    messages: list[_Message] = Field(min_length=1)
    max_tokens: int = Field(MAX_REPLY_TOKENS, ge=1)
    stream: bool = True


class Answers:
    """The routes, over one model."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)
        self.speaking = self._waiting = 0
        """Replies that are being made, and those that wait."""
        self.app = Starlette(
            routes=[
                Route("/v1/chat/completions", self.complete, methods=["POST"]),
                Route("/v1/models", self.list_models),
                Route("/health", self.tell_health),
            ]
        )

    async def list_models(self, request: Request) -> Response:
        """The one."""
        return JSONResponse({"object": "list", "data": [{"id": NAME, "object": "model", "owned_by": "local"}]})

    async def tell_health(self, request: Request) -> Response:
        """It lives, and how much it does."""
        return JSONResponse({"status": "ok", "speaking": self.speaking, "waiting": self._waiting})

    async def complete(self, request: Request) -> Response:
        """A reply, as server-sent events."""
        try:
            asked = _Asked.model_validate_json(await _body(request))
        except ValidationError as error:
            return _problem(400, str(error.errors()[0]["msg"]))
        if asked.model != NAME:
            return _problem(404, f"There is no model {asked.model[:80]!r} here, only {NAME}.")
        if not asked.stream:
            return _problem(400, "This server streams: ask with stream=true.")
        if self._waiting >= MAX_WAITING:
            return _problem(503, "Too many replies are being made.", {"Retry-After": "2"})
        return EventSourceResponse(self._events(asked), sep="\n")

    async def _events(self, asked: _Asked) -> AsyncIterator[str]:
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        self.speaking += 1
        made: _Beside | None = None
        try:
            prompt = await asyncio.to_thread(self._model.prompt, [one.model_dump() for one in asked.messages])
            most, count = min(asked.max_tokens, MAX_REPLY_TOKENS), 0
            made = _Beside(self._model.reply(prompt, most), self._end)
            async for text in made:
                count += 1
                if text:
                    yield _chunk([_choice({"content": text})])
            yield _chunk([_choice({}, "length" if count >= most else "stop")])
            total = len(prompt) + count
            yield _chunk([], {"prompt_tokens": len(prompt), "completion_tokens": count, "total_tokens": total})
            yield "[DONE]"
        finally:
            if made:
                made.stop()
            else:
                self._end()

    def _end(self) -> None:
        """A reply is over, and the model really done with it: the next one may begin."""
        self.speaking -= 1
        self._turns.release()


class _Beside:
    """An iterator that is run to its end, or until it is stopped, by a thread beside the event loop."""

    def __init__(self, texts: Iterator[str], on_end: Callable[[], None]) -> None:
        self._texts = texts
        self._loop = asyncio.get_running_loop()
        self._made: asyncio.Queue[str | Exception | None] = asyncio.Queue()
        self._is_stopped = threading.Event()
        self._loop.run_in_executor(None, self._run).add_done_callback(lambda _: on_end())

    def _run(self) -> None:
        end: Exception | None = None
        try:
            for text in self._texts:
                if self._is_stopped.is_set():
                    break
                self._say(text)
        except Exception as error:  # noqa: BLE001 -- whoever reads is given it
            end = error
        finally:
            with suppress(AttributeError):
                self._texts.close()  # type: ignore[attr-defined]
        self._say(end)

    def _say(self, what: str | Exception | None) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._made.put_nowait, what)

    async def __aiter__(self) -> AsyncIterator[str]:
        while (made := await self._made.get()) is not None:
            if isinstance(made, Exception):
                raise made
            yield made

    def stop(self) -> None:
        """Have it end with the step that is under way."""
        self._is_stopped.set()


def _choice(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _chunk(choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> str:
    said = {"id": NAME, "object": "chat.completion.chunk", "created": 0, "model": NAME, "choices": choices}
    return json.dumps({**said, "usage": usage} if usage else said)


def _problem(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": {"message": message, "type": "invalid_request_error"}}, status, headers)


async def _body(request: Request) -> bytes:
    """At most `MAX_BODY_BYTES`; a longer one is cut and then no JSON."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            return b""
    return bytes(body)


def main(place: str) -> int:
    """Load the model and serve it. Exit code 3 if there is none, with why on the last line."""
    model = LocalModel()
    try:
        model.load()
    except ModelMissing as missing:
        sys.stderr.write(f"{missing}\n")
        return 3
    host, _, port = place.rpartition(":")
    where: dict[str, Any] = {"host": host, "port": int(port)} if host else {"fd": int(place)}
    app = Answers(model).app
    uvicorn.run(app, **where, access_log=False, log_level="warning", timeout_graceful_shutdown=1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
