"""Azure's speech service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from xml.etree import ElementTree

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from contract.voice import Voice
from tests.fakes.local_server import LocalServer


class FakeAzure:
    """Azure's REST API of speech, with espeak's voice, unless the text tells it otherwise.

    It parses the SSML as XML and refuses what is none. `FAIL 500 …` answers with that status; `NEVER` is silent;
    `STALL …` begins and sends nothing more; `CUT …` drops the connection; `PAGE` sends HTML with 200; `MUTE` nothing.
    """

    def __init__(self) -> None:
        from workers.tts.espeak import EspeakEngine

        routes = [
            Route("/cognitiveservices/v1", self.speak, methods=["POST"]),
            Route("/cognitiveservices/voices/list", self.list_voices),
        ]
        self._server = LocalServer(routes)
        self._espeak = EspeakEngine()
        self.lists = True
        self.asked: list[str] = []
        self.headers: dict[str, str] = {}
        self.texts: list[str] = []
        self.open = 0

    def __enter__(self) -> FakeAzure:
        self._espeak.load()
        self.url = self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    async def list_voices(self, request: Request) -> Response:
        if not self.lists:
            return JSONResponse({}, status_code=401)
        names = {"de-DE-KatjaNeural": "Female", "en-US-AvaMultilingualNeural": "Female", "en-GB-RyanNeural": "Male"}
        return JSONResponse(
            [
                {"ShortName": name, "Locale": name[:5], "Gender": gender, "DisplayName": name.split("-")[2][:-6]}
                for name, gender in names.items()
            ]
        )

    async def speak(self, request: Request) -> Response:
        self.asked.append((await request.body()).decode())
        self.headers = dict(request.headers)
        try:
            spoken = ElementTree.fromstring(self.asked[-1])  # noqa: S314 -- ours, in a test
        except ElementTree.ParseError:
            return Response(status_code=400)
        prosody = next(spoken.iter("{http://www.w3.org/2001/10/synthesis}prosody"))
        if len(prosody) or self.headers["x-microsoft-outputformat"] != "raw-24khz-16bit-mono-pcm":
            return Response(status_code=400)
        text = prosody.text or ""
        self.texts.append(text)
        verb, _, rest = text.partition(" ")
        if verb == "FAIL":
            return Response(status_code=int(rest.partition(" ")[0]), headers={"Retry-After": "30"})
        if verb == "PAGE":
            return Response("<html>not a sound</html>", media_type="text/html")
        pitch = 1 + float(prosody.attrib["pitch"].removesuffix("%")) / 100
        voice = Voice("en-us", rate=float(prosody.attrib["rate"]), pitch=pitch)
        return StreamingResponse(self._stream(verb, text, voice), media_type="audio/basic")

    async def _stream(self, verb: str, text: str, voice: Voice) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            if verb == "NEVER":
                await asyncio.sleep(60)
            if verb == "MUTE":
                return
            made = self._espeak.speak(text, voice, 1)
            while block := await asyncio.to_thread(next, made, b""):
                yield block + await asyncio.to_thread(next, made, b"")
                if verb == "STALL":
                    await asyncio.sleep(60)
                if verb == "CUT":
                    raise ConnectionResetError("told to cut")
        finally:
            self.open -= 1
