"""A server with OpenAI's speech API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from contract.voice import Voice
from tests.fakes.local_server import LocalServer


class FakeSpeechServer:
    """A server with OpenAI's speech API that speaks with espeak, unless the text tells it otherwise.

    `FAIL 500 …` answers with that status, `BUSY 0.1 …` with 429 and that Retry-After the first time; `NEVER` is silent;
    `STALL …` begins and sends nothing more; `CUT …` begins and drops the connection; `ODD …` sends blocks of 777 bytes;
    `MUTE` sends nothing, `PAGE` sends HTML with status 200; `RATE 8000 …` says so in its Content-Type.
    """

    def __init__(self, voices: list[Any] | None = None) -> None:
        from workers.tts.espeak import EspeakEngine

        routes = [
            Route("/v1/audio/speech", self.speak, methods=["POST"]),
            *([Route("/v1/audio/voices", self.list_voices)] if voices is not None else []),
        ]
        self._server = LocalServer(routes)
        self._espeak = EspeakEngine()
        self._voices = voices
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.open = 0
        """Answers that are being sent: shows that a cancel closes the connection."""

    def __enter__(self) -> FakeSpeechServer:
        self._espeak.load()
        self.url = f"{self._server.start()}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    async def list_voices(self, request: Request) -> Response:
        return JSONResponse({"voices": self._voices})

    async def speak(self, request: Request) -> Response:
        asked = await request.json()
        self.asked.append(asked)
        self.keys.append(request.headers.get("authorization", ""))
        verb, _, text = asked["input"].partition(" ")
        argument, _, rest = text.partition(" ")
        if verb == "FAIL":
            about = {"message": f"told to fail, {request.headers.get('authorization')}", "param": rest or None}
            return JSONResponse({"error": about}, status_code=int(argument))
        if verb == "BUSY" and [before["input"] for before in self.asked].count(asked["input"]) == 1:
            return JSONResponse({"error": {"message": "busy"}}, status_code=429, headers={"Retry-After": argument})
        if verb == "PAGE":
            return Response("<html>not a sound</html>", media_type="text/html")
        kind = f"audio/pcm;rate={argument}" if verb == "RATE" else "audio/pcm"
        return StreamingResponse(self._stream(verb, asked), media_type=kind)

    async def _stream(self, verb: str, asked: dict[str, Any]) -> AsyncIterator[bytes]:
        text = asked["input"].split(" ", 2)[2] if verb == "RATE" else asked["input"]
        speed = min(max(float(asked.get("speed", 1.0)), 0.25), 4.0)
        made, held = self._espeak.speak(text, Voice("en-us+f3", rate=speed), 1), b""
        size = 777 if verb == "ODD" else 4800
        self.open += 1
        try:
            if verb == "NEVER":
                await asyncio.sleep(60)
            if verb == "MUTE":
                return
            while block := await asyncio.to_thread(next, made, b""):
                held += block
                while len(held) >= size:
                    yield held[:size]
                    held = held[size:]
                    if verb == "STALL":
                        await asyncio.sleep(60)
                    if verb == "CUT":
                        raise ConnectionResetError("told to cut")
            yield held
        finally:
            self.open -= 1
            with suppress(ValueError):  # where its thread is still at it
                made.close()  # type: ignore[attr-defined]
