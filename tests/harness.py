"""Starts the real processes for tests and talks to them like a client would. No doubles here."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from redis import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from cli import commands, redis_server
from contract.chunk import Chunk, unpack

ROOT = Path(__file__).parent.parent
TOY_WHISPER = Path(__file__).parent / "data/toy-whisper"
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
        self._was_hurt = False
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

    @property
    def is_whole(self) -> bool:
        """Whether it runs and nobody has hurt it."""
        return self.popen.poll() is None and not self._was_hurt

    def signal(self, number: int) -> None:
        """To the whole group."""
        self._was_hurt = True
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
        self.starts = folder / "starts"
        self.starts.mkdir(exist_ok=True)
        self.redis_port = free_port()
        self.port = free_port()
        self.redis_url = f"redis://:secret@127.0.0.1:{self.redis_port}/0"
        self.api_log = "api.log"
        self.engine = engine
        self.env = {
            "CUELINE_REDIS_URL": self.redis_url,
            "CUELINE_TTS_ENGINE": engine,
            "CUELINE_DATA_DIR": str(folder),
            # Most tests count what the engine makes.
            "CUELINE_CACHE_MB": "0",
            "FAKE_DEATHS": str(self.deaths),
            "FAKE_STARTS": str(self.starts),
            "PYTHONDONTWRITEBYTECODE": "1",
            **(env or {}),
        }
        self.redis: Process | None = None
        self.workers: list[Process] = []
        self.worker_starts = 0
        self.api: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    def started(self) -> Counter[str]:
        """How often the engine was started on each text."""
        return Counter(path.read_text() for path in self.starts.iterdir())

    def voices(self) -> dict[str, set[str]]:
        """The names of the voices in which each text was spoken."""
        found: dict[str, set[str]] = {}
        for path in self.starts.iterdir():
            found.setdefault(path.read_text(), set()).add(path.name.split("-", 2)[2])
        return found

    def start_redis(self, config: str = "", before: tuple[str, ...] = ()) -> None:
        """`config`: further lines of its configuration; `before`: what starts the program."""
        program = redis_server.find_program()
        assert program, "no redis-server, no valkey"
        command = redis_server.command(program[0], self.redis_port, "secret", self.folder)
        self.redis = Process((*before, *command.argv), self.folder / "redis.log", stdin=command.stdin + config.encode())
        wait_until(lambda: _answers(self.redis_port), "redis")

    def start_worker(
        self, pool: str = "", concurrency: int = 1, prefix: tuple[str, ...] = (), settings: tuple[str, ...] = ()
    ) -> Process:
        """`settings`: of Celery's, `worker.name=value`."""
        self.worker_starts += 1
        name = f"speech{self.worker_starts}"
        pool = pool or ("solo" if self.engine == "espeak" else "prefork")
        argv = (*prefix, *commands.here(commands.worker(name, pool)), "-c", str(concurrency), "--", *settings)
        worker = Process(argv, self.folder / f"{name}.log", self.env)
        self.workers.append(worker)
        return worker

    def start_recognizer(self, env: dict[str, str] | None = None) -> Process:
        """A recognition worker; with the toy model, unless `env` says something else."""
        self.worker_starts += 1
        name = f"hear{self.worker_starts}"
        own = {"CUELINE_STT_ENGINE": "whisper", "CUELINE_WHISPER_MODEL": str(TOY_WHISPER), **(env or {})}
        worker = Process(commands.here(commands.recognizer(name)), self.folder / f"{name}.log", {**self.env, **own})
        self.workers.append(worker)
        return worker

    def start_api(self, env: dict[str, str] | None = None, *options: str) -> None:
        argv = commands.here((*commands.api("127.0.0.1", self.port), *options))
        self.api = Process(argv, self.folder / self.api_log, {**self.env, **(env or {})})

    def another_api(self) -> Stack:
        """A second api process on the same Redis and workers; end it by `another.api.stop()`."""
        return self.another_api_with({})

    def another_api_with(self, env: dict[str, str]) -> Stack:
        """The same with other settings."""
        another = copy.copy(self)
        another.port = free_port()
        another.api_log = f"api-{another.port}.log"
        another.start_api(env)
        return another

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
        """All at once: nobody waits for anybody to finish."""
        for process in (self.api, *self.workers, self.redis):
            if process:
                process.kill()

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

    def redis_keys(self, pattern: str) -> list[str]:
        with Redis.from_url(self.redis_url) as redis:
            return sorted(key.decode() for key in redis.scan_iter(pattern, count=1000))

    def forget_session(self, session: str) -> None:
        """As Redis does after a day."""
        with Redis.from_url(self.redis_url) as redis:
            redis.delete(*redis.scan_iter(f"cueline:{{{session}}}:*", count=1000))

    def stream_length(self, key: str) -> int:
        with Redis.from_url(self.redis_url) as redis:
            return int(redis.xlen(key))

    def redis_json(self, key: str) -> Any:
        with Redis.from_url(self.redis_url) as redis:
            return json.loads(redis.get(key) or b"{}")

    def metric(self, name: str) -> float:
        """A figure of this api, without labels."""
        lines = self.request("GET", "/metrics")[1].decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    @asynccontextmanager
    async def listen(
        self, session: str | None = None, framed: bool = True, port: int = 0, **options: Any
    ) -> AsyncIterator[Client]:
        """A socket on a session; `port` of whatever stands between."""
        url = f"ws://127.0.0.1:{port or self.port}/ws" + (f"?session={session}" if session else "")
        protocols = [Subprotocol(FRAMED)] if framed else None
        # A client that leaves with much unread does not hear the other side's goodbye, and need not wait for it.
        options.setdefault("close_timeout", 1)
        async with connect(url, subprotocols=protocols, compression=None, max_size=None, **options) as socket_:
            client = Client(socket_)
            yield client


class Client:
    """A listener that keeps everything it gets, in order."""

    def __init__(self, socket_: ClientConnection) -> None:
        self.socket = socket_
        self.got: list[Message | bytes] = []
        self.got_at: list[float] = []
        self.longest_pause_s = 0.0
        """Between two frames of sound."""
        self._sounded_at = 0.0

    async def send(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def receive(self, timeout_s: float = 10.0) -> Message | bytes:
        """The next message or frame."""
        raw = await asyncio.wait_for(self.socket.recv(), timeout_s)
        got: Message | bytes = json.loads(raw) if isinstance(raw, str) else raw
        self.got.append(got)
        self.got_at.append(time.monotonic())
        if isinstance(got, bytes):
            now = time.monotonic()
            self.longest_pause_s = max(self.longest_pause_s, now - (self._sounded_at or now))
            self._sounded_at = now
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

    def place(self, turn: int) -> Message:
        """What this client has of a turn, as `resume` says it."""
        place: Message = {"turn": turn}
        if found := self.chunks(turn):
            place |= {"sentence": found[-1].sentence, "part": found[-1].part}
        if events := [message["event"] for message in self.messages() if "event" in message]:
            place["event"] = events[-1]
        return place

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

    def longest_pause(self, turn: int) -> float:
        """Seconds between two chunks of a turn."""
        at = [at for at, got in zip(self.got_at, self.got, strict=True) if isinstance(got, bytes)]
        at = [moment for moment, chunk in zip(at, self.chunks(), strict=True) if chunk.turn == turn]
        return max(later - earlier for earlier, later in itertools.pairwise(at))

    def pcm(self, turn: int | None = None) -> bytes:
        return b"".join(chunk.pcm for chunk in self.chunks(turn))


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
