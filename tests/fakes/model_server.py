"""A language model behind a server of OpenAI's kind that does as it is told."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


class FakeModelServer:
    """An OpenAI-compatible server that answers what the last message tells it to.

    `SAY text` streams the text word by word; `SAY n text` with n ms between words. `FAIL 500 text` answers with
    that status the first time and says the text afterwards; `STALL text` says the text and then nothing more;
    `CUT text` says the text and drops the connection; `NEVER` accepts and is silent; `GARBAGE` is no SSE at all;
    `LATE n text` says nothing for n ms, then the text; `EMPTY` sends chunks without words for ever; `ODD` sends
    JSON of another shape; `REPEAT n text` says it n times; `COUNT text` says the text, then how many tokens it took.
    """

    def __init__(self) -> None:
        routes = [Route("/v1/chat/completions", self.complete, methods=["POST"])]
        config = uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=0, log_level="error")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self.prompts: list[list[dict[str, str]]] = []
        self.asked: list[str] = []
        """Names of models."""
        self.failed: set[str] = set()
        self.meant: dict[str, str] = {}
        """What it is to do when it is told something that is no order, such as words that were spoken."""
        self.open = 0
        """Replies that are being streamed: shows that an interrupt closes the request."""

    def start(self) -> str:
        """Start; returns the base URL."""
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/v1"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=5)

    async def complete(self, request: Request) -> Response:
        body = await request.json()
        self.prompts.append(body["messages"])
        self.asked.append(body["model"])
        order = body["messages"][-1]["content"]
        order = self.meant.get(order, order)
        verb, _, text = order.partition(" ")
        if verb == "FAIL":
            status, _, text = text.partition(" ")
            if order not in self.failed:
                self.failed.add(order)
                return JSONResponse({"error": {"message": "told to fail"}}, status_code=int(status))
        if verb == "REFUSE":
            return JSONResponse({"error": {"message": "told to refuse"}}, status_code=401)
        if verb == "GARBAGE":
            return Response("<html>not a model</html>", media_type="text/html")
        return StreamingResponse(self._stream(verb, text), media_type="text/event-stream")

    async def _stream(self, verb: str, text: str) -> AsyncIterator[str]:
        self.open += 1
        try:
            if verb == "NEVER":
                await asyncio.sleep(60)
            while verb == "EMPTY":
                yield self._event({"content": ""}, None)
                await asyncio.sleep(0.05)
            if verb == "ODD":
                yield 'data: {"choices": ["what"], "object": 7}\n\n'
            if verb == "LATE":
                delay, _, text = text.partition(" ")
                await asyncio.sleep(int(delay) / 1000)
            if verb == "REPEAT":
                count, _, text = text.partition(" ")
                text = " ".join([text] * int(count))
            pause, _, rest = text.partition(" ")
            pause_s = int(pause) / 1000 if pause.isdigit() else 0.0
            for word in (rest if pause.isdigit() else text).split(" "):
                yield self._event({"content": word + " "}, None)
                await asyncio.sleep(pause_s)
            if verb == "STALL":
                await asyncio.sleep(60)
            if verb == "CUT":
                raise ConnectionResetError("told to cut")
            yield self._event({}, "stop")
            if verb == "COUNT":
                usage = {"prompt_tokens": 70, "completion_tokens": 9, "total_tokens": 79}
                chunk = {"id": "x", "object": "chat.completion.chunk", "choices": [], "usage": usage}
                yield f"data: {json.dumps(chunk)}\n\n"
            yield "data: [DONE]\n\n"
        finally:
            self.open -= 1

    @staticmethod
    def _event(delta: dict[str, str], finish: str | None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "fake", "choices": [choice]}
        return f"data: {json.dumps(chunk)}\n\n"
