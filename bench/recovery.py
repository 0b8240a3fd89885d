"""A worker or an api dies in the midst of a sentence: last chunk before it → first chunk after it, at the client.

    cueline bench recovery [--kills 12] [--healthy 1000] [--only FAULT]

The engine is the tests' own, which makes 100 ms of speech every 20 ms and the same samples every time, so a second
attempt makes again what the first had made before there is anything new: "remade" is that part of the pause. When an
api dies the client joins again through the one beside it, at once, and says what it has. The last measurement kills
nobody: how many of many healthy sentences under load are taken for dead?
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis
from websockets.exceptions import ConnectionClosed

from contract.chunk import Chunk, unpack
from tests.fakes import FakeModelServer
from tests.harness import Client, Process, Stack, wait_until

POOLS = ("prefork", "threads", "solo")
ENGINES = {"threads": "tests.fakes:ThreadedCounterEngine"}
SENTENCE = "SAY This sentence is said slowly and heard to its very end."
HEALTHY = "SAY This is said slowly. And this at once. Now one comes late."
SESSIONS = 4


@dataclass(frozen=True, slots=True)
class Pause:
    """One recovery, in milliseconds from the last chunk of the attempt that was lost."""

    claimed: float
    """Until another worker had the sentence."""
    heard: float
    """Until its first chunk was at the client."""


def child_killed(stack: Stack, pid: int) -> None:
    """SIGKILL to the one process that speaks; with prefork its parent lives."""
    os.kill(pid, signal.SIGKILL)


def worker_killed(stack: Stack, pid: int) -> None:
    """SIGKILL to the whole worker."""
    _worker_of(stack, pid).kill()


def worker_frozen(stack: Stack, pid: int) -> None:
    """SIGSTOP to the whole worker: it does not die, and would go on."""
    _worker_of(stack, pid).signal(signal.SIGSTOP)


FAULTS: dict[str, tuple[Callable[[Stack, int], None], tuple[str, ...]]] = {
    "child killed": (child_killed, ("prefork",)),
    "worker killed": (worker_killed, POOLS),
    "worker frozen": (worker_frozen, POOLS),
}
"""What is done to a worker, and with which pools."""

API_FAULTS = {"api killed": signal.SIGKILL, "api replaced": signal.SIGTERM}


def _worker_of(stack: Stack, pid: int) -> Process:
    for worker in stack.workers:
        if worker.popen.poll() is None and os.getpgid(pid) == worker.popen.pid:
            return worker
    raise LookupError(f"no worker has a process {pid}")


async def measure(stack: Stack, client: Client, fault: Callable[[Stack, int], None]) -> Pause:
    """One sentence with one fault in its midst."""
    client.got.clear()
    await client.send(type="chat", text=SENTENCE)
    lost_at = claimed_at = heard_at = 0.0
    pid, broken = 0, False
    while True:
        got = await client.receive(30)
        now = time.perf_counter() * 1000
        if isinstance(got, dict):
            if got["type"] == "sentence" and got["state"] == "speaking":
                pid = int(got["worker"].rpartition(":")[2])
                claimed_at = now
            if got["type"] == "turn" and got["state"] == "ended":
                break
            continue
        chunk: Chunk = unpack(got)
        if chunk.attempt == 1:
            lost_at = now
        else:
            heard_at = heard_at or now
        if chunk.part == 2 and not broken:
            broken = True
            fault(stack, pid)
    parts = [chunk.part for chunk in client.chunks()]
    assert parts == list(range(len(parts))), "a part was lost or came twice"
    assert heard_at, "nobody took over"
    return Pause(claimed_at - lost_at, heard_at - lost_at)


async def measure_all(stack: Stack, pool: str, fault: Callable[[Stack, int], None], kills: int) -> list[Pause]:
    """Many recoveries, each with two whole workers at its start."""
    pauses = []
    async with stack.listen() as client:
        for _ in range(kills):
            pauses.append(await measure(stack, client, fault))
            await asyncio.to_thread(_make_whole, stack, pool)
    return pauses


def _make_whole(stack: Stack, pool: str) -> None:
    for worker in list(stack.workers):
        if worker.popen.poll() is None and psutil.Process(worker.popen.pid).status() == psutil.STATUS_STOPPED:
            worker.kill()
        if worker.popen.poll() is not None:
            stack.workers.remove(worker)
            stack.start_worker(pool)
    wait_until(lambda: _count_ready(stack) == len(stack.workers), "workers", 30)


def _count_ready(stack: Stack) -> int:
    """Workers of which a living process says that it takes jobs; the sign of one that died stands for four seconds."""
    with redis.Redis.from_url(stack.redis_url) as client:
        names = [name.decode() for name in client.scan_iter("cueline:worker:*", count=1000)]
    signs = {int(name.rpartition(":")[2]) for name in names}
    return sum(bool(signs & set(_pids(worker))) for worker in stack.workers)


def _pids(worker: Process) -> list[int]:
    top = psutil.Process(worker.popen.pid)
    return [top.pid, *(child.pid for child in top.children(recursive=True))]


async def measure_api(speaking: Stack, beside: Stack, number: int) -> float:
    """One sentence whose api dies in its midst; milliseconds until the other one goes on."""
    async with speaking.listen() as client:
        session = (await client.until("session"))["session_id"]
        await client.send(type="chat", text=SENTENCE)
        while len(client.chunks()) < 3:
            await client.receive()
        assert speaking.api
        speaking.api.popen.send_signal(number)
        lost_at = time.perf_counter()
        try:
            while True:
                got = await client.receive()
                lost_at = time.perf_counter() if isinstance(got, bytes) else lost_at
        except ConnectionClosed:
            place = client.place(0)
    async with beside.listen(session) as again:
        await again.send(type="resume", **place)
        while not again.chunks():
            await again.receive()
        heard_at = time.perf_counter()
        await again.until("turn", turn=0, state="ended")
    parts = [chunk.part for chunk in (*client.chunks(), *again.chunks())]
    assert parts == list(range(len(parts))), "a part was lost or came twice"
    return (heard_at - lost_at) * 1000


def measure_apis(stack: Stack, number: int, kills: int) -> list[float]:
    """Many, each with two whole api processes at its start."""
    pauses = []
    speaking, beside = stack, stack.another_api()
    try:
        for _ in range(kills):
            beside.wait_until_ready(2)
            pauses.append(asyncio.run(measure_api(speaking, beside, number)))
            assert speaking.api
            speaking.api.stop()
            speaking.start_api()
            speaking, beside = beside, speaking
    finally:
        for one in (speaking, beside):
            if one is not stack and one.api:
                one.api.stop()
    return pauses


@contextmanager
def loaded_cores() -> Iterator[None]:
    """Something else to do for every core."""
    code = "while True: pass"
    burners = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(os.cpu_count() or 2)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


async def speak_healthily(stack: Stack, sentences: int) -> int:
    """Speak at least so many sentences in several sessions at once; how many were dispatched more than once."""
    left = sentences

    async def talk() -> None:
        nonlocal left
        async with stack.listen() as client:
            while left > 0:
                left -= 3
                await client.ask(HEALTHY, 120)
                client.got.clear()

    before = _repeats(stack)
    await asyncio.gather(*(talk() for _ in range(SESSIONS)))
    return _repeats(stack) - before


def _repeats(stack: Stack) -> int:
    _, body, _ = stack.request("GET", "/metrics")
    found = re.findall(r'cueline_sentence_attempts_total\{attempt="(\d+)"\} ([\d.]+)', body.decode())
    return sum(int(float(count)) for attempt, count in found if attempt != "1")


@contextmanager
def running(pool: str, env: dict[str, str]) -> Iterator[Stack]:
    """Redis, an api and two workers of one kind."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder), engine=ENGINES.get(pool, "tests.fakes:CounterEngine"), env=env)
        try:
            stack.start_redis()
            for _ in range(2):
                stack.start_worker(pool)
            stack.start_api()
            stack.wait_until_ready(2)
            yield stack
        finally:
            for worker in stack.workers:
                if worker.popen.poll() is None:
                    worker.signal(signal.SIGCONT)
            stack.stop()


def row(name: str, pool: str, heard: list[float], claimed: list[float]) -> str:
    """Median, p95 and maximum of the whole pause, and the median until another worker had the sentence."""
    p95 = sorted(heard)[math.ceil(0.95 * len(heard)) - 1]
    median = statistics.median(heard)
    claim = f"{statistics.median(claimed):>12.0f}" if claimed else ""
    return f"{name:<16}{pool:<10}{len(heard):>4}{median:>9.0f}{p95:>9.0f}{max(heard):>9.0f}{claim}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--healthy", type=int, default=1000, help="sentences, over all pools; 0: none")
    parser.add_argument("--only", default="", help=f"one of: {', '.join((*FAULTS, *API_FAULTS))}")
    options = parser.parse_args()
    model = FakeModelServer()
    env = {"CUELINE_LLM_BASE_URL": model.start(), "CUELINE_LLM_MODEL": "fake"}
    try:
        print(f"{'ms':<26}{'n':>4}{'median':>9}{'p95':>9}{'max':>9}{'to claim':>12}")
        for name, (fault, pools) in FAULTS.items():
            for pool in pools if options.only in {"", name} else ():
                with running(pool, env) as stack:
                    pauses = asyncio.run(measure_all(stack, pool, fault, options.kills))
                print(row(name, pool, [p.heard for p in pauses], [p.claimed for p in pauses]), flush=True)
        for name, number in API_FAULTS.items():
            if options.only in {"", name}:
                with running("prefork", env) as stack:
                    print(row(name, "", measure_apis(stack, number, options.kills), []), flush=True)
        for pool in POOLS if options.healthy else ():
            with running(pool, env) as stack, loaded_cores():
                repeats = asyncio.run(speak_healthily(stack, options.healthy // len(POOLS) + 1))
            print(f"healthy, {pool:<10} {options.healthy // len(POOLS) + 1} sentences, dispatched again: {repeats}")
    finally:
        model.stop()


if __name__ == "__main__":
    main()
