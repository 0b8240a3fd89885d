"""The only doubles in the tests: an engine whose every sample has a number, and a language model that does as told."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import threading
import time
import uuid
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import psutil
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from api.store.store import Row, Store, StoreDown
from contract.audio import SAMPLE_RATE_HZ
from contract.errors import EngineFailed, EngineUnavailable, TextUnspeakable, VoiceUnknown
from contract.transcribe import Kind, TranscribeJob, Transcript
from contract.voice import Voice
from workers.tts.engine import Pool, VoiceInfo

if TYPE_CHECKING:
    from api.listening.words.recognition import Wishes
    from api.session.voiced import Voiced

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
    file named by FAKE_DEATHS · freeze: no block for a minute · mute: no sound at all ·
    hunger: all the memory it may have, once per file named by FAKE_DEATHS ·
    gorge: more than it may have, until the kernel ends it, once per file named by FAKE_DEATHS

    Each start leaves a file in FAKE_STARTS, whose name ends with that of the voice.
    """

    name = "counter"
    pool: Pool = "prefork"
    repeatable = True
    version = "1"

    def load(self) -> None:
        pass

    def voices(self) -> list[VoiceInfo]:
        return [VoiceInfo("default", "Counter", "en-us")]

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        if not text.strip():
            raise TextUnspeakable()
        if voice.name == "nobody":
            raise VoiceUnknown()
        rendering = note_start(text, voice.name)
        words = set(text.lower().replace(".", " ").replace(",", " ").split())
        if "explode" in words:
            raise EngineFailed()
        if "crash" in words:
            raise ZeroDivisionError
        if "late" in words:
            time.sleep(0.5)
        if "later" in words:
            time.sleep(2)
        if "mute" in words:
            return
        pcm = self._render(text, rendering)
        for start in range(0, len(pcm), 2 * BLOCK_SAMPLES):
            yield pcm[start : start + 2 * BLOCK_SAMPLES]
            if start >= 4 * BLOCK_SAMPLES:
                self._misbehave(words)
            if "slowly" in words:
                time.sleep(BLOCK_SAMPLES / SAMPLE_RATE_HZ / 5)

    def _render(self, text: str, rendering: int) -> bytes:
        return counter_pcm(text)

    def _misbehave(self, words: set[str]) -> None:
        if "freeze" in words:
            time.sleep(60)
        if "die" in words and may_die():
            os.kill(os.getpid(), signal.SIGKILL)
        if "hunger" in words and may_die():
            eat_all_memory()
        if "gorge" in words and may_die():
            gorge()


class ThreadedCounterEngine(CounterEngine):
    """The same in one process with many threads."""

    pool: Pool = "threads"


class WanderingEngine(CounterEngine):
    """One that never says a sentence twice in the same samples: they tell how often it was started, 1 to 3."""

    name = "wanderer"
    repeatable = False

    def _render(self, text: str, rendering: int) -> bytes:
        return rendering_pcm(text, rendering)


def rendering_pcm(text: str, rendering: int) -> bytes:
    """What WanderingEngine says the n-th time."""
    numbers = np.arange(len(text) * SAMPLES_PER_CHAR) % 10_000 + 10_000 * (rendering - 1) + 1
    return numbers.astype("<i2").tobytes()


def note_start(text: str, voice: str) -> int:
    """Leave a file that says that a sentence was started; how often that has happened to this one."""
    if not (folder := os.environ.get("FAKE_STARTS")):
        return 1
    name = f"{zlib.crc32(text.encode()):08x}"
    (Path(folder) / f"{name}-{uuid.uuid4().hex}-{voice.replace('/', '')}").write_text(text)
    return len(list(Path(folder).glob(f"{name}-*")))


def eat_all_memory() -> None:
    """Raises: MemoryError, from an allocation that the kernel refused."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + 2**20, before[1]))
    try:
        bytearray(2**30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def gorge() -> None:
    """Take memory, page by page, up to two gigabytes: a process with a limit does not get that far."""
    taken = []
    for _ in range(256):
        taken.append(b"\xff" * (8 * 1024 * 1024))


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


class UnpluggedStore:
    """A Store with a plug that can be pulled, and a line on which answers can be lost."""

    name = "unplugged"

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_plugged = True
        self.hangs = False
        self.loses_answers = 0
        self.added: list[tuple[str, str]] = []
        """Table and id of what was new."""

    async def add(self, table: str, row: Row) -> bool:
        await self._reach()
        is_new = await self._store.add(table, row)
        if is_new:
            self.added.append((table, row["id"]))
        self._answer()
        return is_new

    async def find(self, table: str, where: Row, **options: Any) -> list[Row]:
        await self._reach()
        return await self._store.find(table, where, **options)

    async def update(self, table: str, where: Row, changes: Row) -> int:
        await self._reach()
        count = await self._store.update(table, where, changes)
        self._answer()
        return count

    async def remove(self, table: str, where: Row) -> int:
        await self._reach()
        return await self._store.remove(table, where)

    async def close(self) -> None:
        await self._store.close()

    async def _reach(self) -> None:
        if self.hangs:
            await asyncio.sleep(60)
        if not self.is_plugged:
            raise StoreDown("the plug is pulled")

    def _answer(self) -> None:
        if self.loses_answers:
            self.loses_answers -= 1
            raise StoreDown("the answer is lost")


class BrokenRecognizer:
    """One that raises what it may not raise."""

    name = "broken"

    def load(self, *, may_download: bool = True) -> None:
        pass

    def about(self) -> dict[str, str]:
        return {}

    def transcribe(self, samples: object, job: TranscribeJob) -> Transcript:
        raise ZeroDivisionError


class HangingRecognizer(BrokenRecognizer):
    """One that takes a job, leaves a file and never ends."""

    name = "hanging"

    def transcribe(self, samples: object, job: TranscribeJob) -> Transcript:
        (Path(os.environ["FAKE_STARTS"]).parent / "hanging").touch()
        time.sleep(60)
        return Transcript()


class ScriptedRecognition:
    """Stands where Recognition stands: each look at a recording is answered by `hear(kind, wishes)`, at once or, where
    that waits, later. It counts what is asked of it.
    """

    def __init__(self, hear: Callable[[Kind, Wishes], Awaitable[Transcript]]) -> None:
        self.hear = hear
        self.looks: list[tuple[Kind, int, Wishes]] = []
        self.partials = self.most_partials = 0
        """That are out now, and were at most."""
        self._recordings = 0

    def record(self, session: str) -> ScriptedRecording:
        self._recordings += 1
        return ScriptedRecording(self, f"{session}-{self._recordings}")

    @property
    def finals(self) -> list[tuple[int, Wishes]]:
        return [(size, wishes) for kind, size, wishes in self.looks if kind == "final"]


class ScriptedRecording:
    """One recording of ScriptedRecognition."""

    def __init__(self, recognition: ScriptedRecognition, name: str) -> None:
        self._recognition = recognition
        self.name = name
        self.pcm = bytearray()

    async def look(self, kind: Kind, size: int, wishes: Wishes) -> Transcript:
        recognition = self._recognition
        recognition.looks.append((kind, size, wishes))
        recognition.partials += kind == "partial"
        recognition.most_partials = max(recognition.partials, recognition.most_partials)
        try:
            return await recognition.hear(kind, wishes)
        finally:
            recognition.partials -= kind == "partial"

    async def close(self) -> None:
        pass


class KeptLine:
    """Stands where Line stands, and keeps what is said on it."""

    session_id = "somebody"

    def __init__(self) -> None:
        self.said: list[Voiced] = []

    def say(self, heard: Voiced) -> None:
        self.said.append(heard)

    @property
    def finals(self) -> list[str]:
        return [heard.content for heard in self.said if heard.what == "final"]

    @property
    def steps(self) -> list[str]:
        return [heard.step for heard in self.said if heard.what == "barge_in"]

    async def flush(self) -> None:
        pass

    async def close(self) -> None:
        pass


class FakeStorageServer:
    """Speaks the HTTP of Supabase Storage, as far as a private bucket needs it.

    Source: the routes and answers of supabase/storage: upload with `x-upsert`, `sign` with a token that expires,
    the signed GET, removal of several, and errors whose status is 400 and whose body says what it was.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.files: dict[str, tuple[bytes, str]] = {}
        """By path in the bucket: what it is, and its media type."""
        self.buckets = {"audio"}
        self.refuses = ""
        """What it says to whatever is asked next."""
        self._tokens: dict[str, tuple[str, float]] = {}
        object_ = "/storage/v1/object"
        routes = [
            Route(f"{object_}/sign/{{bucket}}/{{path:path}}", self.sign, methods=["POST"]),
            Route(f"{object_}/sign/{{bucket}}/{{path:path}}", self.download, methods=["GET"]),
            Route(f"{object_}/list/{{bucket}}", self.list, methods=["POST"]),
            Route(f"{object_}/{{bucket}}/{{path:path}}", self.upload, methods=["POST"]),
            Route(f"{object_}/{{bucket}}", self.remove, methods=["DELETE"]),
        ]
        self._server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def start(self) -> str:
        """Start; returns the address of the project."""
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=5)

    async def upload(self, request: Request) -> Response:
        if problem := self._problem(request):
            return problem
        path = request.path_params["path"]
        if path in self.files and request.headers.get("x-upsert") != "true":
            return _storage_error("409", "Duplicate", "The resource already exists")
        async with request.form() as form:
            file: Any = form["file"]
            self.files[path] = (await file.read(), file.content_type)
        return JSONResponse({"Key": f"{request.path_params['bucket']}/{path}", "Id": uuid.uuid4().hex})

    async def sign(self, request: Request) -> Response:
        if problem := self._problem(request):
            return problem
        path = request.path_params["path"]
        if path not in self.files:
            return _storage_error("404", "not_found", "Object not found")
        token = uuid.uuid4().hex
        self._tokens[token] = (path, time.monotonic() + float((await request.json())["expiresIn"]))
        return JSONResponse({"signedURL": f"/object/sign/{request.path_params['bucket']}/{path}?token={token}"})

    async def download(self, request: Request) -> Response:
        """Without a key: the token is the right to it."""
        path, until = self._tokens.get(request.query_params.get("token", ""), ("", 0.0))
        if path != request.path_params["path"] or until < time.monotonic():
            return _storage_error("400", "InvalidJWT", "jwt expired")
        content, media_type = self.files[path]
        name = request.query_params.get("download")
        headers = {"content-disposition": f'attachment; filename="{name}"'} if name else {}
        return Response(content, media_type=media_type, headers=headers)

    async def list(self, request: Request) -> Response:
        """Files and folders right below a folder."""
        if problem := self._problem(request):
            return problem
        body = await request.json()
        folder = body["prefix"] + "/"
        below = [path.removeprefix(folder) for path in self.files if path.startswith(folder)]
        names = sorted({path.partition("/")[0] for path in below})
        return JSONResponse([{"name": name, "id": name} for name in names[: body["limit"]]])

    async def remove(self, request: Request) -> Response:
        if problem := self._problem(request):
            return problem
        gone = [path for path in (await request.json())["prefixes"] if self.files.pop(path, None)]
        return JSONResponse([{"name": path} for path in gone])

    def _problem(self, request: Request) -> Response | None:
        said = (request.headers.get("apikey"), request.headers.get("authorization"))
        if said != (self.key, f"Bearer {self.key}"):
            return _storage_error("403", "Unauthorized", "Invalid Compact JWS")
        if request.path_params["bucket"] not in self.buckets:
            return _storage_error("404", "Bucket not found", "Bucket not found")
        if self.refuses:
            return _storage_error(self.refuses, "told to refuse", "The object exceeded the maximum allowed size")
        return None


def _storage_error(status: str, error: str, message: str) -> Response:
    return JSONResponse({"statusCode": status, "error": error, "message": message}, status_code=400)


class FakeSignIn:
    """Publishes the keys of a Supabase project as its sign-in does, and signs what it is told to.

    Source: `/auth/v1/.well-known/jwks.json` of Supabase Auth.
    """

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        """Private ones, by name."""
        self.published: set[str] = set()
        self.asked = 0
        self.status = 200
        self.body: bytes | None = None
        """What it says instead of the keys."""
        self.hangs = False
        routes = [Route("/auth/v1/.well-known/jwks.json", self.publish)]
        self._server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self.url = ""

    def start(self) -> FakeSignIn:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        return self

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=5)

    def add(self, name: str, algorithm: str = "ES256") -> None:
        """Make a key and publish it."""
        from cryptography.hazmat.primitives.asymmetric import ec, rsa

        is_rsa = algorithm == "RS256"
        self.keys[name] = rsa.generate_private_key(65537, 2048) if is_rsa else ec.generate_private_key(ec.SECP256R1())
        self.published.add(name)

    def sign(self, name: str, sub: str | None, algorithm: str = "ES256", **changes: Any) -> str:
        """A token as a user brings it; what is None is left out."""
        import jwt

        claims = {"iss": f"{self.url}/auth/v1", "aud": "authenticated", "role": "authenticated", "sub": sub}
        claims = {**claims, "exp": int(time.time()) + 600, **changes}
        kid = claims.pop("kid", name)
        body = {claim: value for claim, value in claims.items() if value is not None}
        return jwt.encode(body, self.keys[name], algorithm, headers={"kid": kid} if kid else {})

    def jwks(self) -> dict[str, Any]:
        from jwt.algorithms import ECAlgorithm, RSAAlgorithm

        found = []
        for name in sorted(self.published):
            public = self.keys[name].public_key()
            kind, algorithm = (RSAAlgorithm, "RS256") if hasattr(public, "encrypt") else (ECAlgorithm, "ES256")
            found.append({**json.loads(kind.to_jwk(public)), "kid": name, "alg": algorithm, "use": "sig"})
        return {"keys": found}

    async def publish(self, request: Request) -> Response:
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(10)
        if self.body is not None:
            return Response(self.body, self.status)
        return JSONResponse(self.jwks(), self.status)


class FakeShelf:
    """A server of files. `cut_after` bytes it drops the line, as often as `cuts` says; `status` answers instead of a
    file; `ignores_ranges` sends the whole of it whatever is asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.cut_after = 0
        self.cuts = 0
        self.status = 0
        self.ignores_ranges = False
        self.asked: list[str] = []
        """The `Range` of each request."""
        shelf = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                shelf.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range", "")
        self.asked.append(asked)
        if self.status:
            request.send_error(self.status)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and not self.ignores_ranges else 0
        rest = self.content[start:]
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        request.send_header("Content-Length", str(len(rest)))
        request.end_headers()
        if self.cuts:
            self.cuts -= 1
            rest = rest[: self.cut_after]
        request.wfile.write(rest)


class FickleEngine:
    """One that fails as it is told to, before its first block or after some."""

    pool: Pool = "solo"
    repeatable = True
    version = ""

    def __init__(self, name: str, voices: list[VoiceInfo]) -> None:
        self.name = name
        self._voices = voices
        self.blocks = [f"{name} {number} ".encode() for number in range(3)]
        self.error: Exception | None = None
        self.fails_after = 0
        self.missing = ""
        self.knows_others = True
        """Whether it speaks with names that it does not list."""
        self.spoken: list[Voice] = []
        self.closed = 0

    def load(self) -> None:
        if self.missing:
            raise EngineUnavailable(self.missing)

    def voices(self) -> list[VoiceInfo]:
        return self._voices

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        known = {"default", *(info.name for info in self._voices)}
        if voice.name not in known and not self.knows_others:
            raise VoiceUnknown()
        self.spoken.append(voice)
        try:
            for number, block in enumerate(self.blocks):
                if self.error and number >= self.fails_after:
                    raise self.error
                yield block
        except GeneratorExit:
            self.closed += 1
            raise


class LocalServer:
    """Routes on a port of loopback, in a thread."""

    def __init__(self, routes: list[Any]) -> None:
        config = uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=0, log_level="critical")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def start(self) -> str:
        """Returns the address without a path."""
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(timeout=5)


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
