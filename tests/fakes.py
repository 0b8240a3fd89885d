"""The only doubles in the tests: an engine whose every sample has a number, and a language model that does as told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from contract.audio import SAMPLE_RATE_HZ
from contract.errors import EngineFailed, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from workers.tts.engine import Pool, VoiceInfo

SAMPLES_PER_CHAR = 960
BLOCK_SAMPLES = 2400


def counter_pcm(text: str) -> bytes:
    """What CounterEngine says for `text`: samples that count upwards, from a start that the text decides."""
    start = zlib.crc32(text.encode()) % 30_000
    numbers = (np.arange(len(text) * SAMPLES_PER_CHAR) + start) % 30_000 + 1
    return numbers.astype("<i2").tobytes()


class CounterEngine:
    """An engine whose every sample names its own place. Words in the text make it misbehave:

    slowly: five times faster than speech instead of at once · late: half a second before the first block ·
    explode: an error of its own kind · crash: an error of any kind · die: SIGKILL to its own process, once per
    file named by FAKE_DEATHS · freeze: no block for a minute · mute: no sound at all
    """

    name = "counter"
    pool: Pool = "prefork"
    repeatable = True

    def load(self) -> None:
        pass

    def voices(self) -> list[VoiceInfo]:
        return [VoiceInfo("default", "Counter", "en-us")]

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        if not text.strip():
            raise TextUnspeakable()
        if voice.name == "nobody":
            raise VoiceUnknown()
        words = set(text.lower().replace(".", " ").replace(",", " ").split())
        if "explode" in words:
            raise EngineFailed()
        if "crash" in words:
            raise ZeroDivisionError
        if "late" in words:
            time.sleep(0.5)
        if "mute" in words:
            return
        pcm = counter_pcm(text)
        for start in range(0, len(pcm), 2 * BLOCK_SAMPLES):
            yield pcm[start : start + 2 * BLOCK_SAMPLES]
            if start >= 4 * BLOCK_SAMPLES:
                self._misbehave(words)
            if "slowly" in words:
                time.sleep(BLOCK_SAMPLES / SAMPLE_RATE_HZ / 5)

    def _misbehave(self, words: set[str]) -> None:
        if "freeze" in words:
            time.sleep(60)
        if "die" in words and may_die():
            os.kill(os.getpid(), signal.SIGKILL)


class ThreadedCounterEngine(CounterEngine):
    """The same in one process with many threads."""

    pool: Pool = "threads"


def may_die() -> bool:
    """Whether this death is still to come; a file per death remembers it beyond the process."""
    for death in Path(os.environ["FAKE_DEATHS"]).iterdir():
        death.unlink(missing_ok=True)
        return True
    return False


class FakeModelServer:
    """An OpenAI-compatible server that answers what the last message tells it to.

    `SAY text` streams the text word by word; `SAY n text` with n ms between words. `FAIL 500 text` answers with
    that status the first time and says the text afterwards; `STALL text` says the text and then nothing more;
    `CUT text` says the text and drops the connection; `NEVER` accepts and is silent; `GARBAGE` is no SSE at all;
    `EMPTY` sends chunks without words for ever; `ODD` sends JSON of another shape; `REPEAT n text` says it n times.
    """

    def __init__(self) -> None:
        routes = [Route("/v1/chat/completions", self.complete, methods=["POST"])]
        config = uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=0, log_level="error")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self.prompts: list[list[dict[str, str]]] = []
        self.failed: set[str] = set()
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
        order = body["messages"][-1]["content"]
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
            yield "data: [DONE]\n\n"
        finally:
            self.open -= 1

    @staticmethod
    def _event(delta: dict[str, str], finish: str | None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "fake", "choices": [choice]}
        return f"data: {json.dumps(chunk)}\n\n"
