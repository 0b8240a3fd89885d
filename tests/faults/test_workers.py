"""What happens to workers, done to real ones: killed, frozen, out of memory, stuck, asked twice, out of time, retired.

Every time the listener hears each sample once and in order, after a bounded pause, and the next turn works.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import redis

from api.turn.spoken import spoken
from contract import keys
from contract.chunk import Chunk, part_start, unpack
from contract.job import TALK_QUEUE
from tests.conftest import model_env
from tests.fakes import FakeModelServer, counter_pcm, rendering_pcm
from tests.harness import Client, Process, Stack, wait_until
from workers.pcm import seamed

PAUSE_S = 1.5
"""Of silence on a busy machine: 0.3 s until it is noticed, and what the engine makes again."""
SOON_S = 8
"""Shorter than what Celery gives a job before it is given back."""
LONG = "This is the one sentence that is said slowly and with all the care in the world."


class Crew:
    """A stack whose workers are made whole again before each test."""

    def __init__(self, stack: Stack, workers: int) -> None:
        self.stack = stack
        self.size = workers
        self.redis = redis.Redis.from_url(stack.redis_url)

    def make_whole(self) -> None:
        for worker in list(self.stack.workers):
            if worker.popen.poll() is not None:
                self.stack.workers.remove(worker)
        while len(self.stack.workers) < self.size:
            self.stack.start_worker()
        wait_until(lambda: len(self.ready()) >= self.size, "workers", 30)
        for path in (*self.stack.deaths.iterdir(), *self.stack.starts.iterdir()):
            path.unlink()

    def ready(self) -> list[int]:
        """Living processes that say that they take jobs."""
        names = self.redis.scan_iter(f"{keys.PREFIX}:worker:*", count=1000)
        pids = [int(name.rpartition(b":")[2]) for name in names]
        return [pid for pid in pids if _is_alive(pid)]

    def worker_of(self, pid: int) -> Process:
        return next(worker for worker in self.stack.workers if worker.popen.pid == os.getpgid(pid))

    def frames(self, session: str, turn: int, sentence: int) -> list[Chunk]:
        entries = self.redis.xrange(keys.sentence(session, turn, sentence))
        return [unpack(fields[b"f"]) for _, fields in entries if b"f" in fields]


def _is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, model: FakeModelServer) -> Iterator[Crew]:
    stack = Stack(tmp_path_factory.mktemp("crew"), env=model_env(model))
    try:
        yield Crew(stack.start(workers=2), 2)
    finally:
        stack.stop()


@pytest.fixture
def crew(started: Crew) -> Crew:
    started.make_whole()
    return started


async def speaking_pid(client: Client, parts: int = 4) -> int:
    """The process that speaks, once some of it has been heard."""
    worker = (await client.have("sentence", state="speaking", sentence=0))["worker"]
    while len(client.chunks()) < parts:
        await client.receive()
    return int(worker.rpartition(":")[2])


def expected(client: Client, turn: int, failed: tuple[int, ...] = ()) -> bytes:
    said = client.messages("sentence", turn=turn, state="queued")
    return b"".join(counter_pcm(spoken(m["text"])) for m in said if m["sentence"] not in failed)


def attempts(client: Client, turn: int = 0) -> dict[int, int]:
    return {m["sentence"]: m["attempt"] for m in client.messages("sentence", turn=turn, state="done")}


async def all_is_well(client: Client, turn: int = 0, pause_s: float = PAUSE_S) -> None:
    """Each sample once, a short pause at most, and the next turn works."""
    assert client.pcm(turn) == expected(client, turn), client.messages("error")
    assert client.longest_pause(turn) < pause_s
    after = await client.ask("SAY And on we go.")
    assert client.pcm(after) == expected(client, after) != b""


async def test_1_a_killed_child_costs_a_pause(crew: Crew) -> None:
    async with crew.stack.listen() as client:
        await client.send(type="chat", text=f"SAY {LONG}")
        pid = await speaking_pid(client)
        os.kill(pid, signal.SIGKILL)
        await client.until("turn", state="ended")
        assert attempts(client) == {0: 2}
        await all_is_well(client)


async def test_1_a_worker_on_its_own_replaces_its_child_in_time(crew: Crew) -> None:
    await asyncio.to_thread(crew.stack.workers[0].kill)
    async with crew.stack.listen() as client:
        for turn in range(3):
            await client.send(type="chat", text=f"SAY {LONG}")
            speaking = await client.until("sentence", state="speaking", turn=turn)
            await client.receive()
            os.kill(int(speaking["worker"].rpartition(":")[2]), signal.SIGKILL)
            await client.until("turn", state="ended", turn=turn)
            assert client.pcm(turn) == expected(client, turn)
            assert client.longest_pause(turn) < 2 * PAUSE_S
        await all_is_well(client, turn, 2 * PAUSE_S)


async def test_2_a_killed_worker_costs_a_pause(crew: Crew) -> None:
    async with crew.stack.listen() as client:
        await client.send(type="chat", text=f"SAY {LONG}")
        crew.worker_of(await speaking_pid(client)).kill()
        await client.until("turn", state="ended")
        assert attempts(client) == {0: 2}
        await all_is_well(client)


async def test_3_a_frozen_worker_that_wakes_up_is_refused(crew: Crew) -> None:
    async with crew.stack.listen() as client:
        session = (await client.until("session"))["session_id"]
        await client.send(type="chat", text=f"SAY {LONG}")
        worker = crew.worker_of(await speaking_pid(client))
        worker.signal(signal.SIGSTOP)
        try:
            again = await client.until("sentence", state="speaking", sentence=0, attempt=2)
        finally:
            worker.signal(signal.SIGCONT)
        assert crew.worker_of(int(again["worker"].rpartition(":")[2])) is not worker
        await client.until("turn", state="ended")
        parts = [chunk.part for chunk in crew.frames(session, 0, 0)]
        assert parts == list(range(len(parts))), "both have written"
        await all_is_well(client)
        assert worker.popen.poll() is None


async def test_4_a_worker_out_of_memory_tries_again_and_stays(crew: Crew) -> None:
    (crew.stack.deaths / "hunger").touch()
    before = set(crew.ready())
    async with crew.stack.listen() as client:
        turn = await client.ask(
            "SAY This comes before it all. Here comes hunger in the middle of it all. And this comes after."
        )
        assert not list(crew.stack.deaths.iterdir()), "nobody was hungry"
        assert attempts(client) == {0: 1, 1: 2, 2: 1}
        await all_is_well(client, turn)
    assert set(crew.ready()) == before


async def test_5_a_poison_sentence_takes_nobody_along(crew: Crew) -> None:
    poison = "Whoever says this shall die at once, whatever comes."
    for number in range(10):
        (crew.stack.deaths / f"death{number}").touch()
    async with crew.stack.listen() as client:
        turn = await client.ask(f"SAY The one before is whole. {poison} The one after is whole too. And the last.")
        starts = crew.stack.started()
        assert 1 <= starts.pop(poison) <= 3
        assert set(starts.values()) == {1}, "a neighbour was started twice"
        got = client.chunks(turn)
        for neighbour in (0, 2, 3):
            text = spoken(client.messages("sentence", turn=turn, sentence=neighbour)[0]["text"])
            assert b"".join(chunk.pcm for chunk in got if chunk.sentence == neighbour) == counter_pcm(text)
        heard = b"".join(chunk.pcm for chunk in got if chunk.sentence == 1)
        assert counter_pcm(poison).startswith(heard)
        assert [chunk.sentence for chunk in got if chunk.failed] == [1]
        assert [m["code"] for m in client.messages("error")] == ["worker_lost"]
        crew.make_whole()
        after = await client.ask("SAY And on we go.")
        assert client.pcm(after) == expected(client, after) != b""


async def test_12_a_job_delivered_twice_is_spoken_once(crew: Crew) -> None:
    for worker in crew.stack.workers:
        worker.signal(signal.SIGSTOP)
    async with crew.stack.listen() as client:
        await client.send(type="chat", text="SAY This is said once. And this once.")
        try:
            await asyncio.to_thread(wait_until, lambda: crew.redis.llen(TALK_QUEUE) == 2, "two jobs")
            doubles = crew.redis.lrange(TALK_QUEUE, 0, -1)
            crew.redis.lpush(TALK_QUEUE, *doubles, *doubles)
        finally:
            for worker in crew.stack.workers:
                worker.signal(signal.SIGCONT)
        await client.until("turn", state="ended")
        await asyncio.to_thread(wait_until, lambda: crew.redis.llen(TALK_QUEUE) == 0, "the doubles to be taken")
        await all_is_well(client)
    assert set(crew.stack.started().values()) == {1}


# Not by its command: that makes all processes wait for each other whenever one of them looks at the time.
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
NO_FAKETIME = "NO CLOCK IS SKEWED: needs faketime (apt-get install faketime)"


@pytest.mark.skipif(not FAKETIME, reason=NO_FAKETIME)
async def test_17_workers_whose_clocks_are_an_hour_off_do_their_jobs(tmp_path: Path, model: FakeModelServer) -> None:
    stack = Stack(tmp_path, env=model_env(model))
    stack.start_redis()
    for skew in ("+1h", "-1h"):
        # The clock that only counts is right on every machine, and faketime cannot fake it for all that waits by it:
        # processes hang then, and time.sleep fails, which is why nothing is said slowly here.
        stack.start_worker(
            prefix=("env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME={skew}", "FAKETIME_DONT_FAKE_MONOTONIC=1")
        )
    stack.start_api()
    try:
        await asyncio.to_thread(stack.wait_until_ready, 2)
        async with stack.listen() as client:
            for _ in range(10):  # until both have begun to take jobs, which is later than they say that they live
                turn = await client.ask("SAY Here comes one. Here comes another. And the last of them is this.")
                # On a busy machine one may be taken for dead; a wrong clock would cost each of them every sentence.
                if len({m["worker"] for m in client.messages("sentence", state="done", attempt=1)}) == 2:
                    break
            else:
                pytest.fail("one of them speaks nothing")
            await all_is_well(client, turn)
    finally:
        await asyncio.to_thread(stack.stop)


async def test_18_a_worker_that_is_retired_finishes_its_sentence_and_leaves_the_rest(crew: Crew) -> None:
    unacked = crew.redis.hlen("unacked")  # those of workers that were killed before
    async with crew.stack.listen() as client:
        await client.send(type="chat", text=f"SAY {LONG} {LONG} {LONG} {LONG}")
        pid = await speaking_pid(client)
        worker = crew.worker_of(pid)
        worker.popen.terminate()
        await client.until("turn", state="ended")
        assert attempts(client) == dict.fromkeys(range(4), 1), "a sentence was made twice"
        assert client.messages("sentence", state="done", sentence=0)[0]["worker"].endswith(f":{pid}")
        assert await asyncio.to_thread(worker.popen.wait, 10) == 0
        assert crew.redis.hlen("unacked") <= unacked
        await all_is_well(client)


async def test_18_a_worker_that_shall_end_soon_finishes_its_sentence_and_ends_then(crew: Crew) -> None:
    async with crew.stack.listen() as client:
        await client.send(type="chat", text=f"SAY {LONG} {LONG}")
        worker = crew.worker_of(await speaking_pid(client))
        worker.popen.send_signal(signal.SIGQUIT)
        await client.until("turn", state="ended")
        assert attempts(client) == {0: 1, 1: 1}, "a sentence was made twice"
        assert await asyncio.to_thread(worker.popen.wait, SOON_S) == 0
        await all_is_well(client)


async def test_20_of_a_cancelled_turn_nothing_more_is_made(crew: Crew) -> None:
    """The engine itself is counted: the sentence in hand stops within a chunk, those in the queue never start."""
    async with crew.stack.listen() as client:
        await client.send(type="chat", text="SAY " + " ".join(f"{LONG[:-1]}, number {n}." for n in range(8)))
        await client.until("sentence", state="queued", sentence=7)
        pid = await speaking_pid(client)
        await client.send(type="interrupt")
        await client.until("turn", state="ended")
        turn = await client.ask("SAY And on we go.")
        assert client.pcm(turn) == expected(client, turn)
    assert pid in crew.ready()
    started = crew.stack.started()
    assert started.pop("And on we go.") == 1
    over = len(client.messages("sentence", turn=0, state="done"))
    assert sum(started.values()) <= over + 2, "a queued sentence of a cancelled turn was begun"


async def test_18_a_worker_that_shall_end_soon_ends_at_once_if_idle_and_in_time_if_its_engine_hangs(crew: Crew) -> None:
    for idle in crew.stack.workers:
        idle.popen.send_signal(signal.SIGQUIT)
    for idle in crew.stack.workers:
        assert await asyncio.to_thread(idle.popen.wait, SOON_S) == 0
    await asyncio.to_thread(wait_until, lambda: not crew.ready(), "all to be gone")
    alone = crew.stack.start_worker(settings=("worker.soft_shutdown_timeout=1",))
    await asyncio.to_thread(wait_until, crew.ready, "the one that is left")
    async with crew.stack.listen() as client:
        await client.send(type="chat", text="SAY Here we freeze in the midst of all that there is to say.")
        await speaking_pid(client, parts=2)
        await client.send(type="stop")
        await client.until("turn", state="ended")
        alone.popen.send_signal(signal.SIGQUIT)
        await asyncio.to_thread(alone.popen.wait, SOON_S)
    crew.make_whole()
    async with crew.stack.listen() as client:
        assert client.pcm(await client.ask("SAY And on we go.")) == counter_pcm("And on we go.")


# engines that never say a sentence twice in the same samples


@pytest.fixture(scope="module")
def wanderers(tmp_path_factory: pytest.TempPathFactory, model: FakeModelServer) -> Iterator[Crew]:
    stack = Stack(tmp_path_factory.mktemp("wander"), engine="tests.fakes:WanderingEngine", env=model_env(model))
    try:
        yield Crew(stack.start(workers=2), 2)
    finally:
        stack.stop()


async def test_a_sentence_that_cannot_be_repeated_starts_again_once_and_says_so(wanderers: Crew) -> None:
    wanderers.make_whole()
    async with wanderers.stack.listen() as client:
        session = (await client.until("session"))["session_id"]
        await client.send(type="chat", text=f"SAY {LONG}")
        os.kill(await speaking_pid(client), signal.SIGKILL)
        await client.until("turn", state="ended")
        given = sum(chunk.attempt == 1 for chunk in client.chunks(0))
        first = rendering_pcm(LONG, 1)[: part_start(given)]
        last_sample = int(np.frombuffer(first, "<i2")[-1])
        assert client.pcm(0) == first + b"".join(seamed([rendering_pcm(LONG, 2)], last_sample))
        restart_ms = len(first) // 48
        again = client.messages("sentence", state="speaking")[-1]
        assert (again["attempt"], again["restart_ms"]) == (2, restart_ms)
        assert client.messages("sentence", state="done")[0]["restart_ms"] == restart_ms
        status, body, _ = await asyncio.to_thread(
            wanderers.stack.request, "GET", f"/api/sessions/{session}/turns/0/audio?format=pcm"
        )
        assert (status, body) == (200, client.pcm(0))
        assert client.longest_pause(0) < PAUSE_S


async def test_nobody_notices_a_restart_of_what_nobody_was_given(wanderers: Crew) -> None:
    wanderers.make_whole()
    (wanderers.stack.deaths / "death").touch()
    doomed = "Here we die slowly in the middle of it."
    async with wanderers.stack.listen() as client:
        turn = await client.ask(f"SAY {LONG} {doomed} And the last.")
        assert not list(wanderers.stack.deaths.iterdir()), "nobody died"
        whole = rendering_pcm(LONG, 1) + rendering_pcm(doomed, 2) + rendering_pcm("And the last.", 1)
        assert client.pcm(turn) == whole
        assert Counter(chunk.attempt for chunk in client.chunks(turn) if chunk.sentence == 1).keys() == {2}
        assert not [m for m in client.messages("sentence") if m.get("restart_ms")]
