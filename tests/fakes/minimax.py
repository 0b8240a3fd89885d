"""MiniMax's speech service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from contract.voice import Voice
from tests.fakes.local_server import LocalServer


class FakeMiniMax:
    """MiniMax's streaming speech API, with espeak's voice, unless the text tells it otherwise.

    `CODE 1004 …` refuses with that code, as JSON with status 200; `LATER 1002 …` in the midst of the sound;
    `FAIL 500 …` answers with that status; `NEVER` is silent; `CUT …` drops the connection; `SHORT …` ends without its
    last event; `ODD …` sends events that are none.
    """

    def __init__(self) -> None:
        from workers.tts.espeak import EspeakEngine

        routes = [
            Route("/v1/t2a_v2", self.speak, methods=["POST"]),
            Route("/v1/get_voice", self.list_voices, methods=["POST"]),
        ]
        self._server = LocalServer(routes)
        self._espeak = EspeakEngine()
        self.lists = True
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.open = 0

    def __enter__(self) -> FakeMiniMax:
        self._espeak.load()
        self.url = f"{self._server.start()}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    async def list_voices(self, request: Request) -> Response:
        if not self.lists:
            return JSONResponse({"base_resp": {"status_code": 1004, "status_msg": "login fail"}})
        voices = [{"voice_id": name, "voice_name": name.replace("_", " ")} for name in ("Calm_Woman", "Casual_Guy")]
        cloned = [{"voice_id": "mine-1", "created_time": "2026-01-01"}]
        return JSONResponse({"system_voice": voices, "voice_cloning": cloned, "base_resp": {"status_code": 0}})

    async def speak(self, request: Request) -> Response:
        asked = await request.json()
        self.asked.append(asked)
        self.keys.append(request.headers.get("authorization", ""))
        verb, _, rest = asked["text"].partition(" ")
        argument = rest.partition(" ")[0]
        if verb == "FAIL":
            return JSONResponse({"error": "told to fail"}, status_code=int(argument))
        if verb == "CODE":
            return JSONResponse({"base_resp": {"status_code": int(argument), "status_msg": self.keys[-1]}})
        return StreamingResponse(self._stream(verb, argument, asked), media_type="text/event-stream")

    async def _stream(self, verb: str, argument: str, asked: dict[str, Any]) -> AsyncIterator[str]:
        self.open += 1
        try:
            if verb == "NEVER":
                await asyncio.sleep(60)
            if verb == "ODD":
                yield 'data: {"data": [1]}\n\n'
            wanted = asked["voice_setting"]
            voice = Voice("en-us", rate=wanted["speed"], pitch=2 ** (wanted["pitch"] / 12))
            made = self._espeak.speak(asked["text"], voice, 1)
            while block := await asyncio.to_thread(next, made, b""):
                yield self._event({"audio": block.hex(), "status": 1})
                if verb == "LATER":
                    yield self._event(None, int(argument))
                    return
                if verb == "STALL":
                    await asyncio.sleep(60)
                if verb == "CUT":
                    raise ConnectionResetError("told to cut")
            if verb != "SHORT":
                yield self._event({"audio": "", "status": 2})
        finally:
            self.open -= 1

    @staticmethod
    def _event(data: dict[str, Any] | None, code: int = 0) -> str:
        message = {"data": data, "trace_id": "x", "base_resp": {"status_code": code, "status_msg": ""}}
        return f"data: {json.dumps(message)}\n\n"
