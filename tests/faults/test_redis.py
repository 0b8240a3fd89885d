"""Redis dies, stalls, fills up, loses its disk or its line: a pause or a clear end, never a wrong byte."""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from api.turn.spoken import spoken
from tests.conftest import model_env
from tests.fakes import FakeModelServer, counter_pcm
from tests.faults.proxy import ChaosProxy, chaos
from tests.harness import Client, Stack, free_port, wait_until
from tests.test_laws import expected_pcm

LOST = {"queue_unreachable", "worker_lost"}
AOF = "appendonly yes\nappendfsync everysec\n"
SLOWLY = "SAY " + "This one is said slowly and at some length. " * 6


class Mortal(Stack):
    """One whose Redis may be hurt; it starts again as it was."""

    def __init__(self, folder: Path, model: FakeModelServer, config: str = "", before: tuple[str, ...] = ()) -> None:
        super().__init__(folder, env=model_env(model))
        self._how = config, before

    def start_redis(self, *_: object) -> None:
        super().start_redis(*self._how)


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory, model: FakeModelServer) -> Iterator[Mortal]:
    """What its Redis has in memory is all that there is."""
    stack = Mortal(tmp_path_factory.mktemp("forgetful"), model)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory, model: FakeModelServer) -> Iterator[Mortal]:
    """Its Redis writes all down, in a file."""
    # Without the signal the write itself fails, as it does on a disk that is full.
    unkilled = ("/bin/sh", "-c", 'trap "" XFSZ; exec "$0" "$@"')
    stack = Mortal(tmp_path_factory.mktemp("keeping"), model, AOF, unkilled)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def port() -> int:
    """Where the api behind a line looks for Redis."""
    return free_port()


@pytest.fixture(scope="module")
def behind(stack: Stack, port: int) -> Iterator[Stack]:
    """A second api, which reaches Redis through whatever is at `port`, so only while something is there."""
    other = stack.another_api_with({"CUELINE_REDIS_URL": stack.redis_url.replace(str(stack.redis_port), str(port))})
    assert other.api
    yield other
    other.api.kill()


def check_sentences(client: Client, turn: int) -> None:
    """What was heard of each sentence is its beginning, and nothing else."""
    for said in client.messages("sentence", turn=turn, state="queued"):
        heard = b"".join(chunk.pcm for chunk in client.chunks(turn) if chunk.sentence == said["sentence"])
        assert counter_pcm(spoken(said["text"])).startswith(heard)


async def hear_parts(client: Client, count: int) -> None:
    while len(client.chunks()) < count:
        await client.receive()


async def heard_to_its_end(client: Client, turn: int, longest_pause_s: float) -> None:
    """Every byte once, no pause longer than that, and the next turn works."""
    assert (await client.until("turn", 40, turn=turn, state="ended"))["reason"] == "complete"
    assert client.pcm(turn) == expected_pcm(client, turn) != b""
    assert client.longest_pause_s < longest_pause_s
    after = await client.ask("SAY And on we go. Without a scratch.")
    assert client.pcm(after) == expected_pcm(client, after) != b""


@pytest.mark.parametrize("kind", ["keeping", "forgetful"])
async def test_redis_that_is_killed_and_comes_back_costs_a_pause(kind: str, request: pytest.FixtureRequest) -> None:
    stack: Mortal = request.getfixturevalue(kind)
    async with stack.listen() as client:
        before = await client.ask("SAY It begins well.")
        await client.send(type="chat", text=SLOWLY)
        await hear_parts(client, len(client.chunks()) + 5)
        if kind == "keeping":
            await asyncio.sleep(1.2)  # the file may lack the last second, and that second is not what is tried here
        assert stack.redis
        await asyncio.to_thread(stack.redis.kill)
        await asyncio.sleep(1.0)
        await asyncio.to_thread(stack.start_redis)
        await heard_to_its_end(client, before + 1, longest_pause_s=6.0)
        if kind == "keeping":
            session = client.messages("session")[0]["session_id"]
            path = f"/api/sessions/{session}/turns/{before}/audio?format=pcm"
            status, body, _ = await asyncio.to_thread(stack.request, "GET", path)
            assert (status, body) == (200, client.pcm(before)), "what was said before is still there"


async def test_redis_that_stalls_for_three_seconds_costs_three_seconds(stack: Stack) -> None:
    assert stack.redis
    async with stack.listen() as client:
        await client.send(type="chat", text=SLOWLY)
        await hear_parts(client, 5)
        stack.redis.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(3.0)
        finally:
            stack.redis.signal(signal.SIGCONT)
        await heard_to_its_end(client, 0, longest_pause_s=5.0)
        assert client.longest_pause_s > 2.0, "nothing stalled"
        attempts = {m["attempt"] for m in client.messages("sentence", turn=0, state="done")}
        assert attempts == {1}, "nobody is taken for dead because Redis was silent"


async def test_redis_that_is_full_ends_the_turn_with_a_reason(forgetful: Mortal) -> None:
    stack = forgetful
    async with stack.listen() as client:
        with redis.Redis.from_url(stack.redis_url) as admin:
            await client.send(type="chat", text=SLOWLY)
            await hear_parts(client, 5)
            admin.config_set("maxmemory", "1mb")
            assert (await client.until("turn", turn=0, state="ended"))["reason"] in {"complete", "failed"}
            assert LOST >= {m["code"] for m in client.messages("error")} != set()
            assert [chunk.sentence for chunk in client.chunks(0) if chunk.last] == list(range(6))
            check_sentences(client, 0)
            await still_refused(stack, client)
            admin.config_set("maxmemory", "512mb")
        await works_again(stack, client)


async def test_a_full_disk_ends_the_turn_with_a_reason(keeping: Mortal) -> None:
    """Redis refuses to write what it cannot keep, and tries again every second."""
    stack = keeping
    async with stack.listen() as client:
        assert stack.redis
        await client.send(type="chat", text=SLOWLY)
        await hear_parts(client, 5)
        before = resource.prlimit(stack.redis.popen.pid, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
        try:
            await client.until("turn", 40, turn=0, state="ended")
            assert LOST >= {m["code"] for m in client.messages("error")} != set()
            assert [chunk.sentence for chunk in client.chunks(0) if chunk.last] == list(range(6))
            check_sentences(client, 0)
            assert (await asyncio.to_thread(stack.get, "/healthz"))[0] == 200
        finally:
            resource.prlimit(stack.redis.popen.pid, resource.RLIMIT_FSIZE, before)
        await works_again(stack, client)


async def still_refused(stack: Stack, client: Client) -> None:
    assert (await asyncio.to_thread(stack.get, "/healthz"))[0] == 200
    await asyncio.to_thread(wait_until, lambda: stack.post("/api/sessions")[0] == 503, "a refusal", 5)
    await client.send(type="chat", text="SAY Nobody can say this.")
    assert (await client.until("error"))["code"] == "server_busy"


async def works_again(stack: Stack, client: Client) -> None:
    """Within seconds, once workers run: Celery's end themselves when the broker refuses, and are started again."""
    for worker in list(stack.workers):
        if worker.popen.poll() is not None:
            stack.workers.remove(worker)
            stack.start_worker()

    def says() -> bool:
        return bool(stack.post("/api/sessions")[0] == 201)

    await asyncio.to_thread(wait_until, says, "room again", 10)
    turn = await client.ask("SAY There is room again.", timeout_s=15)
    assert client.pcm(turn) == expected_pcm(client, turn) != b""


@asynccontextmanager
async def line_to_redis(api: Stack, port: int) -> AsyncIterator[ChaosProxy]:
    """The line of the api that is behind one."""
    async with chaos(api.redis_port, port) as proxy:
        await asyncio.to_thread(api.wait_until_ready)
        yield proxy


async def test_a_line_to_redis_that_is_cut_costs_a_pause(behind: Stack, port: int) -> None:
    async with line_to_redis(behind, port) as proxy, behind.listen() as client:
        await client.send(type="chat", text=SLOWLY)
        for _ in range(3):
            await hear_parts(client, len(client.chunks()) + 5)
            proxy.cut()
        await heard_to_its_end(client, 0, longest_pause_s=3.0)


async def test_a_line_to_redis_that_swallows_everything_costs_a_pause(behind: Stack, port: int) -> None:
    async with line_to_redis(behind, port) as proxy, behind.listen() as client:
        await client.send(type="chat", text=SLOWLY)
        await hear_parts(client, 5)
        proxy.hold()
        await asyncio.sleep(3.0)
        proxy.release()
        await heard_to_its_end(client, 0, longest_pause_s=6.0)
        await client.send(type="chat", text=SLOWLY)
        await hear_parts(client, len(client.chunks()) + 5)
        proxy.hold()
        await asyncio.sleep(3.0)
        proxy.cut()  # what was held never comes
        proxy.release()
        await heard_to_its_end(client, 2, longest_pause_s=6.0)


@asynccontextmanager
async def two_redis(folder: Path, model: FakeModelServer) -> AsyncIterator[tuple[Stack, Stack, list[ChaosProxy]]]:
    """A stack, a replica of its Redis, and the lines: of the replica, of the api, of the workers."""
    stack, replica = Stack(folder, env=model_env(model)), Stack(folder, env={})
    async with (
        chaos(stack.redis_port) as link,
        chaos(stack.redis_port) as of_api,
        chaos(stack.redis_port) as of_workers,
    ):

        def through(line: ChaosProxy) -> dict[str, str]:
            return {"CUELINE_REDIS_URL": stack.redis_url.replace(str(stack.redis_port), str(line.port))}

        def start() -> None:
            stack.start_redis()
            replica.start_redis(f"replicaof 127.0.0.1 {link.port}\nmasterauth secret\n")
            stack.env |= through(of_workers)
            stack.start_worker()
            stack.start_worker()
            stack.start_api(through(of_api))
            stack.wait_until_ready(2)
            with redis.Redis.from_url(replica.redis_url) as admin:
                wait_until(lambda: admin.info("replication")["master_link_status"] == "up", "the replica")

        try:
            await asyncio.to_thread(start)
            yield stack, replica, [link, of_api, of_workers]
        finally:
            await asyncio.to_thread(stack.stop)
            await asyncio.to_thread(replica.stop)


async def promote(stack: Stack, replica: Stack, lines: list[ChaosProxy]) -> None:
    """The Redis that all talk to is gone, and everybody finds its replica in its place."""
    assert stack.redis
    await asyncio.to_thread(stack.redis.kill)
    for line in lines:
        line.target = replica.redis_port
    with redis.Redis.from_url(replica.redis_url) as admin:
        admin.replicaof("NO", "ONE")
    for line in lines:
        line.cut()
        line.release()


async def test_what_a_replica_that_takes_over_has_not_heard_of_is_made_again_or_a_gap(
    tmp_path: Path, model: FakeModelServer
) -> None:
    async with two_redis(tmp_path, model) as (stack, replica, lines), stack.listen() as client:
        session = (await client.until("session"))["session_id"]
        await client.send(type="chat", text=SLOWLY)
        await hear_parts(client, 5)
        link, of_api, _ = lines
        link.hold()
        await hear_parts(client, 9)  # heard, and lost with the one that dies
        of_api.hold()
        await asyncio.sleep(0.2)  # written, never heard and lost: five parts at that pace
        await promote(stack, replica, lines)
        await heard_to_its_end(client, 0, longest_pause_s=6.0)
        async with stack.listen(session) as late:
            await late.send(type="resume", turn=0, event="0-0")
            await late.until("turn", turn=0, state="ended")
            heard = late.pcm(0)
            assert client.pcm(0).startswith(heard), "a splice"
            # Of the messages perhaps none was lost: not every moment has one.
            assert {"audio"} <= {gap["what"] for gap in late.messages("gap")} <= {"audio", "messages"}
            assert len(heard) < len(client.pcm(0))
