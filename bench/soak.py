"""Minutes of several sessions that chat, interrupt, come back and leave: what memory does, and what went wrong.

    cueline bench soak [--minutes 3] [--sessions 6] [--stay] [--breath 0.2] [--engine tests.fakes:CounterEngine]

Every so often it prints the resident memory of the api and of the workers and what Redis uses; at the end the slope
of each after the first third of the time, and how many errors, retries and gaps the sessions met. A gap is a frame
whose place does not follow the one before it, or an event whose number does not.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis
from websockets.exceptions import WebSocketException

from contract.chunk import Chunk
from tests.fakes import FakeModelServer
from tests.harness import Client, Stack

PHRASES = (
    "The tide is coming in and the wind is fair.",
    "I have packed sandwiches and three kinds of tea, and a map of which nobody knows the age.",
    "Nobody had seen the lighthouse keeper since Tuesday.",
    "That is a good question.",
)
MIB = 1024 * 1024


@dataclass(slots=True)
class Tally:
    """What the sessions did and met."""

    did: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Sample:
    """Memory at one moment, in MiB."""

    at_s: float
    turns: int
    api: float
    workers: float
    redis: float


class Talker:
    """One person: a conversation, then another one."""

    def __init__(self, stack: Stack, tally: Tally, seed: int, breath_s: float, stays: bool) -> None:
        self._stack = stack
        self._breath_s = breath_s
        self._stays = stays
        self._tally = tally
        self._random = random.Random(seed)
        self._session: str | None = None
        self._last_event = 0
        self._last_frame: Chunk | None = None

    async def talk(self, until: float) -> None:
        """Come, say a few things, go; until the time is up."""
        while time.monotonic() < until:
            try:
                await self._visit(until)
            except (OSError, WebSocketException, TimeoutError, AssertionError) as error:
                self._tally.met[f"broken: {type(error).__name__}"] += 1
                self._session = None
                await asyncio.sleep(1.0)
            if self._session and not self._stays and self._random.random() < 0.3:
                await self._leave_for_good(self._session)

    async def _leave_for_good(self, session: str) -> None:
        """Audio nobody deletes stays in Redis for ten minutes; people who talk this fast would fill it."""
        self._session = None
        await asyncio.to_thread(self._stack.request, "DELETE", f"/api/sessions/{session}")

    async def _visit(self, until: float) -> None:
        is_back = self._session is not None
        self._tally.did["came back" if is_back else "sessions"] += 1
        async with self._stack.listen(self._session) as client:
            self._session = (await client.until("session"))["session_id"]
            if is_back:
                frame = self._last_frame
                place = {"turn": frame.turn, "sentence": frame.sentence, "part": frame.part} if frame else {}
                await client.send(type="resume", event=f"{self._last_event}-0", **place)
            else:
                self._last_event, self._last_frame = 0, None
            for _ in range(self._random.randint(1, 12)):
                if time.monotonic() > until:
                    break
                await self._say_something(client)
                self._take_stock(client)
                await asyncio.sleep(self._breath_s)

    async def _say_something(self, client: Client) -> None:
        text = f"SAY {self._random.randint(0, 4)} " + " ".join(
            self._random.choices(PHRASES, k=self._random.randint(1, 4))
        )
        self._tally.did["turns"] += 1
        await client.send(type="chat", text=text)
        said = await client.until("final_transcript", content=text)
        if self._random.random() < 0.25:
            await client.until("llm_response", turn=said["turn"])
            await client.send(type="interrupt")
            self._tally.did["interrupts"] += 1
        await client.until("turn", turn=said["turn"], state="ended")

    def _take_stock(self, client: Client) -> None:
        """Look at what came, and forget it: a bench that keeps everything measures itself."""
        for message in client.messages():
            if "event" in message:
                number = int(message["event"].partition("-")[0])
                self._tally.met["gaps in events"] += self._last_event > 0 and number != self._last_event + 1
                self._last_event = number
            if message["type"] == "error":
                self._tally.met[f"error {message['code']}"] += 1
            if message["type"] == "sentence" and message["state"] == "done":
                self._tally.met["retries"] += message["attempt"] > 1
        for chunk in client.chunks():
            last = self._last_frame
            if last and chunk.turn == last.turn:
                follows = (last.sentence + 1, 0) if last.last else (last.sentence, last.part + 1)
                self._tally.met["gaps in sound"] += (chunk.sentence, chunk.part) != follows and not chunk.failed
            self._last_frame = chunk
        client.got.clear()


async def run(stack: Stack, options: argparse.Namespace) -> tuple[Tally, list[Sample]]:
    """Let them talk, and look at the memory now and then."""
    tally, samples = Tally(), [Sample(0.0, 0, *memory(stack))]
    began = time.monotonic()
    until = began + options.minutes * 60
    people = [Talker(stack, tally, seed, options.breath, options.stay) for seed in range(options.sessions)]
    talkers = [asyncio.create_task(person.talk(until)) for person in people]
    while time.monotonic() < until:
        await asyncio.sleep(min(options.every, max(0.1, until - time.monotonic())))
        samples.append(Sample(time.monotonic() - began, tally.did["turns"], *memory(stack)))
        show(samples[-1])
    await asyncio.gather(*talkers)
    return tally, samples


def memory(stack: Stack) -> tuple[float, float, float]:
    """MiB of the api, of all workers with their children, and in Redis' own count."""
    assert stack.api
    api = psutil.Process(stack.api.popen.pid).memory_info().rss
    tops = [psutil.Process(worker.popen.pid) for worker in stack.workers]
    workers = sum(process.memory_info().rss for top in tops for process in [top, *top.children(recursive=True)])
    with redis.Redis.from_url(stack.redis_url) as admin:
        used = int(admin.info("memory")["used_memory"])
    return api / MIB, workers / MIB, used / MIB


def show(sample: Sample) -> None:
    """One row."""
    print(f"{sample.at_s:7.0f} s{sample.turns:8}{sample.api:9.1f}{sample.workers:9.1f}{sample.redis:9.1f}", flush=True)


def slope(samples: list[Sample], name: str) -> tuple[float, float]:
    """MiB per minute and KiB per turn after the first third."""
    warm = [sample for sample in samples if sample.at_s >= samples[-1].at_s / 3]
    values = [getattr(sample, name) for sample in warm]
    per_s = statistics.linear_regression([sample.at_s for sample in warm], values).slope
    turns = [float(sample.turns) for sample in warm]
    return per_s * 60, statistics.linear_regression(turns, values).slope * 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--sessions", type=int, default=6)
    parser.add_argument("--stay", action="store_true", help="conversations never end")
    parser.add_argument("--breath", type=float, default=0.2, help="seconds between two messages of one person")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two looks at the memory")
    parser.add_argument("--engine", default="espeak")
    options = parser.parse_args()
    model = FakeModelServer()
    env = {"CUELINE_LLM_BASE_URL": model.start(), "CUELINE_LLM_MODEL": "fake"}
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder), engine=options.engine, env=env)
        try:
            stack.start(workers=options.workers)
            with redis.Redis.from_url(stack.redis_url) as admin:
                admin.config_set("maxmemory", "4gb")  # what is tried here is not admission
            print(f"{'':9}{'turns':>8}{'api':>9}{'workers':>9}{'redis':>9}   MiB")
            tally, samples = asyncio.run(run(stack, options))
            complaints = (stack.folder / "api.log").read_text()
        finally:
            stack.stop()
            model.stop()
    for name in ("api", "workers", "redis"):
        per_minute, per_turn = slope(samples, name)
        print(f"{name:8} {per_minute:+8.2f} MiB a minute, {per_turn:+8.2f} KiB a turn after the first third")
    print("did:", ", ".join(f"{count} {what}" for what, count in tally.did.items()))
    print("met:", ", ".join(f"{count} {what}" for what, count in tally.met.items() if count) or "nothing")
    print(f"the api's log has {len(complaints.splitlines())} lines", *complaints.splitlines()[-12:], sep="\n  ")


if __name__ == "__main__":
    main()
