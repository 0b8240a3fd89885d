"""Starts the real processes for tests and talks to them like a client would. No doubles here."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from cli import commands, redis_server
from contract.chunk import Chunk, unpack

ROOT = Path(__file__).parent.parent
FRAMED = "cueline.v1"
Message = dict[str, Any]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(check: Callable[[], Any], what: str, timeout_s: float = 20.0) -> Any:
    """Poll until `check` returns something true; fail with `what` after the time is up."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if result := check():
            return result
        time.sleep(0.02)
    raise AssertionError(f"waited {timeout_s} s in vain for {what}")


class Process:
    """One process in a group of its own, its output in a file."""

    def __init__(self, argv: tuple[str, ...], log: Path, env: dict[str, str] | None = None, stdin: bytes = b"") -> None:
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                argv,
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        assert self.popen.stdin
        self.popen.stdin.write(stdin)
        self.popen.stdin.close()

    def signal(self, number: int) -> None:
        """To the whole group."""
        os.killpg(self.popen.pid, number)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self.popen.wait(10)

    def stop(self) -> None:
        """SIGTERM to the process itself, then whatever is needed."""
        self.popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(8)
        self.kill()


class Stack:
    """Redis, workers and an api, as `cueline up` starts them."""

    def __init__(self, folder: Path, engine: str = "tests.fakes:CounterEngine", env: dict[str, str] | None = None):
        self.folder = folder
        self.deaths = folder / "deaths"
        self.deaths.mkdir(exist_ok=True)
        self.redis_port = free_port()
        self.port = free_port()
        self.redis_url = f"redis://:secret@127.0.0.1:{self.redis_port}/0"
        self.engine = engine
        self.env = {
            "CUELINE_REDIS_URL": self.redis_url,
            "CUELINE_TTS_ENGINE": engine,
            "FAKE_DEATHS": str(self.deaths),
            "PYTHONDONTWRITEBYTECODE": "1",
            **(env or {}),
        }
        self.redis: Process | None = None
        self.workers: list[Process] = []
        self.api: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    def start_redis(self) -> None:
        program = redis_server.find_program()
        assert program, "no redis-server, no valkey"
        command = redis_server.command(program[0], self.redis_port, "secret", self.folder)
        self.redis = Process(command.argv, self.folder / "redis.log", stdin=command.stdin)
        wait_until(lambda: _answers(self.redis_port), "redis")

    def start_worker(self, pool: str = "") -> Process:
        name = f"speech{len(self.workers) + 1}"
        pool = pool or ("solo" if self.engine == "espeak" else "prefork")
        argv = commands.here(commands.worker(name, pool))
        worker = Process(argv, self.folder / f"{name}.log", self.env)
        self.workers.append(worker)
        return worker

    def start_api(self, env: dict[str, str] | None = None) -> None:
        argv = commands.here(commands.api("127.0.0.1", self.port))
        self.api = Process(argv, self.folder / "api.log", {**self.env, **(env or {})})

    def wait_until_ready(self, workers: int = 1) -> None:
        wait_until(lambda: (self.get("/readyz")[1] or {}).get("workers", 0) >= workers, "readyz", 60)

    def start(self, workers: int = 2, env: dict[str, str] | None = None) -> Stack:
        self.start_redis()
        for _ in range(workers):
            self.start_worker()
        self.start_api(env)
        self.wait_until_ready(workers)
        return self

    def stop(self) -> None:
        """In the order in which they need each other, so that nobody complains on the way."""
        users = [process for process in (self.api, *self.workers) if process]
        for process in users:
            process.popen.terminate()
        for process in [*users, *([self.redis] if self.redis else [])]:
            process.stop()

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, timeout_s: float = 20
    ) -> tuple[int, bytes, Any]:
        """Status, body, headers; an answer of any status is an answer."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, headers or {}, method=method)
        if data:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.headers

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON; (0, None) while nobody answers."""
        try:
            status, body, _ = self.request("GET", path)
            return status, json.loads(body)
        except (OSError, ValueError):
            return 0, None

    def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        status, answer, _ = self.request("POST", path, body if body is not None else {})
        return status, json.loads(answer)

    @asynccontextmanager
    async def listen(self, session: str | None = None, framed: bool = True, **options: Any) -> AsyncIterator[Client]:
        url = self.ws_url + (f"?session={session}" if session else "")
        protocols = [Subprotocol(FRAMED)] if framed else None
        async with connect(url, subprotocols=protocols, compression=None, max_size=None, **options) as socket_:
            client = Client(socket_)
            yield client


class Client:
    """A listener that keeps everything it gets, in order."""

    def __init__(self, socket_: ClientConnection) -> None:
        self.socket = socket_
        self.got: list[Message | bytes] = []

    async def send(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def receive(self, timeout_s: float = 10.0) -> Message | bytes:
        """The next message or frame."""
        raw = await asyncio.wait_for(self.socket.recv(), timeout_s)
        got: Message | bytes = json.loads(raw) if isinstance(raw, str) else raw
        self.got.append(got)
        return got

    async def until(self, kind: str, timeout_s: float = 20.0, **fields: Any) -> Message:
        """Receive until a message of that type with those fields."""
        async with asyncio.timeout(timeout_s):
            while True:
                got = await self.receive(timeout_s)
                if isinstance(got, dict) and got["type"] == kind and all(got.get(k) == v for k, v in fields.items()):
                    return got

    async def have(self, kind: str, timeout_s: float = 20.0, **fields: Any) -> Message:
        """The same, but one that came earlier will do."""
        found = self.messages(kind, **fields)
        return found[0] if found else await self.until(kind, timeout_s, **fields)

    async def ask(self, text: str, timeout_s: float = 30.0, **fields: Any) -> int:
        """Say something and receive until the turn has ended; returns its number."""
        await self.send(type="chat", text=text, **fields)
        started = await self.until("final_transcript", timeout_s, content=text.strip())
        await self.until("turn", timeout_s, turn=started["turn"], state="ended")
        turn: int = started["turn"]
        return turn

    def messages(self, kind: str | None = None, **fields: Any) -> list[Message]:
        return [
            got
            for got in self.got
            if isinstance(got, dict)
            and (kind is None or got["type"] == kind)
            and all(got.get(k) == v for k, v in fields.items())
        ]

    def chunks(self, turn: int | None = None) -> list[Chunk]:
        found = [unpack(got) for got in self.got if isinstance(got, bytes)]
        return [chunk for chunk in found if turn is None or chunk.turn == turn]

    def pcm(self, turn: int | None = None) -> bytes:
        return b"".join(chunk.pcm for chunk in self.chunks(turn))


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
