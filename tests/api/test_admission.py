"""A full house refuses who comes, politely, and lets who talks go on; nobody can shout the others down."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psutil
import pytest
import redis
from websockets.exceptions import ConnectionClosed

from api import admission
from api.admission import FramePace, Pace
from api.errors import TooManyMessages
from api.quiet import Quiet
from api.routes.socket import MAX_BAD
from tests.harness import Client, Stack, wait_until
from tests.test_laws import expected_pcm

MIB = 1024 * 1024


@contextmanager
def nearly_full(stack: Stack) -> Iterator[None]:
    """Redis at three quarters of its limit, with some forty MiB to go."""
    with redis.Redis.from_url(stack.redis_url) as admin:
        before = admin.config_get("maxmemory")["maxmemory"]
        # Redis fills it up itself: a command of that size would count too, for as long as it is remembered.
        admin.setrange("ballast", 120 * MIB, "x")
        admin.expire("ballast", 60)
        used = admin.info("memory")["used_memory"]
        admin.config_set("maxmemory", int(used / 0.75))
        try:
            yield
        finally:
            admin.delete("ballast")
            admin.config_set("maxmemory", before)


async def closing_code(client: Client) -> int:
    """Receive until the other side closes."""
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await client.receive()
    return closed.value.rcvd.code if closed.value.rcvd else 1006


async def test_who_talks_goes_on_while_redis_is_nearly_full_and_nobody_new_is_taken(stack: Stack) -> None:
    async with stack.listen() as client:
        session = (await client.until("session"))["session_id"]
        await client.send(type="chat", text="SAY " + "This is said slowly and goes on and on for a while. " * 24)
        await client.until("tts_start")
        with nearly_full(stack):
            await asyncio.to_thread(wait_until, lambda: stack.post("/api/sessions")[0] == 503, "a refusal", 5)
            status, body, headers = await asyncio.to_thread(stack.request, "POST", "/api/sessions", {})
            assert (status, json.loads(body)["code"], headers["Retry-After"]) == (503, "server_busy", "5")
            async with stack.listen() as late:
                refused = await late.until("error")
                assert (refused["code"], refused["retryable"], refused["retry_after_s"]) == ("server_busy", True, 5)
                assert await closing_code(late) == 1013
            async with stack.listen(session) as second:  # costs Redis nothing, and may be the same person
                await second.until("session")
            await client.send(type="chat", text="SAY There is no room for this.", queue=True)
            refused = await client.until("error")
            assert (refused["code"], refused["retryable"], refused["retry_after_s"]) == ("server_busy", True, 5)
            path = f"/api/sessions/{session}/messages"
            status, body, headers = await asyncio.to_thread(stack.request, "POST", path, {"text": "SAY Nor for this."})
            assert (status, json.loads(body)["code"], headers["Retry-After"]) == (503, "server_busy", "5")
            assert not client.messages("turn", state="ended"), "nobody talked meanwhile"
            assert (await client.until("turn", turn=0, state="ended"))["reason"] == "complete"
            assert client.pcm(0) == expected_pcm(client, 0) != b""
        await asyncio.to_thread(wait_until, lambda: stack.post("/api/sessions")[0] == 201, "room again", 5)
        turn = await client.ask("SAY There is room again.")
        assert client.pcm(turn) == expected_pcm(client, turn) != b""


@asynccontextmanager
async def somebody_else(stack: Stack) -> AsyncIterator[None]:
    """Talks meanwhile, and is served."""

    async def talk() -> None:
        async with stack.listen() as client:
            while not is_over.is_set():
                turn = await client.ask("SAY We are not disturbed. Not at all.", timeout_s=5)
                assert client.pcm(turn) == expected_pcm(client, turn) != b""

    is_over = asyncio.Event()
    talking = asyncio.create_task(talk())
    try:
        yield
    finally:
        is_over.set()
        await talking


async def test_ten_thousand_messages_at_once_cut_off_who_sends_them(stack: Stack) -> None:
    assert stack.api
    api = psutil.Process(stack.api.popen.pid)
    lines = len((stack.folder / "api.log").read_text().splitlines())
    async with somebody_else(stack), stack.listen() as flooder:
        await flooder.until("session")
        before = api.memory_info().rss
        with pytest.raises(ConnectionClosed):
            for number in range(10_000):
                await flooder.send(type="ping", t=number)
            await closing_code(flooder)
            await flooder.send(type="ping")
        assert await closing_code(flooder) == 1008
        assert api.memory_info().rss - before < 16 * MIB
        refused = flooder.messages("error", code="too_many_messages")
        assert 1 <= len(refused) <= MAX_BAD
        assert refused[0]["retry_after_s"] == 1
    assert len((stack.folder / "api.log").read_text().splitlines()) - lines < 5


async def test_a_hundred_megabytes_of_frames_cut_off_who_sends_them(stack: Stack) -> None:
    assert stack.api
    api = psutil.Process(stack.api.popen.pid)
    async with somebody_else(stack), stack.listen() as flooder:
        await flooder.until("session")
        await flooder.send(type="start")
        before = api.memory_info().rss
        with pytest.raises(ConnectionClosed):
            for _ in range(1600):
                await flooder.socket.send(b"\0" * 65_000)
            await closing_code(flooder)
            await flooder.send(type="ping")
        assert flooder.socket.close_code in {1008, 1006}, "1006: the server no longer waits for what is on its way"
        assert api.memory_info().rss - before < 16 * MIB


async def test_a_frame_of_sixty_four_megabytes_is_not_even_read(stack: Stack) -> None:
    assert stack.api
    api = psutil.Process(stack.api.popen.pid)
    async with somebody_else(stack), stack.listen() as flooder:
        await flooder.until("session")
        before = api.memory_info().rss
        with pytest.raises(ConnectionClosed):
            await flooder.socket.send(b"\0" * 64 * MIB)
            await closing_code(flooder)
            await flooder.send(type="ping")
        assert flooder.socket.close_code in {1009, 1006}
        assert api.memory_info().rss - before < 16 * MIB
    async with stack.listen() as smaller:
        await smaller.socket.send("x" * 70_000)
        assert await closing_code(smaller) == 1009


async def test_a_session_that_asks_too_often_is_told_to_wait(stack: Stack) -> None:
    async with stack.listen() as client:
        session = (await client.until("session"))["session_id"]
        for number in range(int(admission.TURNS_AT_ONCE) + 20):
            await client.send(type="chat", text=f"SAY Number {number} is said slowly and at length.")
        refused = await client.until("error")
        assert (refused["code"], refused["retryable"], refused["retry_after_s"]) == ("too_many_messages", True, 1)
        path = f"/api/sessions/{session}/messages"
        said_too = {"text": "SAY " + "This is said slowly and at length. " * 5}
        posts = [asyncio.to_thread(stack.request, "POST", path, said_too) for _ in range(40)]
        answers = {(status, headers["Retry-After"]) for status, _, headers in await asyncio.gather(*posts)}
        assert (429, "1") in answers <= {(429, "1"), (202, None)}
        await asyncio.sleep(1)
        await client.send(type="chat", text="SAY Now there is room.")
        said = await client.until("final_transcript", content="SAY Now there is room.")
        await client.until("turn", turn=said["turn"], state="ended")
        assert client.pcm(said["turn"]) == expected_pcm(client, said["turn"]) != b""


async def test_who_lets_each_turn_end_is_never_too_fast(stack: Stack) -> None:
    async with stack.listen() as client:
        for _ in range(int(admission.TURNS_AT_ONCE) + 40):
            await client.ask("SAY One.")
        assert client.messages("error") == []


async def test_who_never_reads_is_let_go_and_can_go_on_later(stack: Stack) -> None:
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    narrow.connect(("127.0.0.1", stack.port))
    async with stack.listen() as reader:
        session = (await reader.until("session"))["session_id"]
        async with stack.listen(session, sock=narrow, max_queue=1, ping_interval=None, close_timeout=0.2) as sleeper:
            await sleeper.until("session")
            await sleeper.send(type="resume")
            listening = stack.metric("cueline_listeners")
            for _ in range(3):
                await reader.ask("SAY " + "This is a sentence of a certain length that is said at once. " * 22)
            await asyncio.to_thread(
                wait_until, lambda: stack.metric("cueline_listeners") < listening, "the sleeper to be let go", 25
            )
            turn = await reader.ask("SAY The others go on.")
            assert reader.pcm(turn) == expected_pcm(reader, turn) != b""
            with pytest.raises(ConnectionClosed):
                while True:
                    await sleeper.receive()
        had, event = sleeper.chunks()[-1], [m["event"] for m in sleeper.messages() if "event" in m][-1]
        assert had.turn < 3, "it had it all: nothing was tried"
        async with stack.listen(session) as woken:
            await woken.until("session")
            await woken.send(type="resume", turn=had.turn, sentence=had.sentence, part=had.part, event=event)
            await woken.until("turn", turn=turn, state="ended")
            assert sleeper.pcm() + woken.pcm() == reader.pcm()


async def test_event_streams_take_room_and_sessions_found_again_do_too(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    await asyncio.to_thread(stack.start, 1, {"CUELINE_MAX_LISTENERS": "4", "CUELINE_MAX_SESSIONS": "2"})
    try:
        old = (await asyncio.to_thread(stack.post, "/api/sessions"))[1]["id"]
        await asyncio.sleep(3.2)  # what was just used does not give way
        async with stack.listen() as first, stack.listen() as second:
            session = (await first.until("session"))["session_id"]
            await second.until("session")
            assert (await asyncio.to_thread(stack.get, f"/api/sessions/{old}"))[0] == 503
            streams = [await open_events(stack, session) for _ in range(3)]
            assert sorted(status for status, _ in streams) == [200, 200, 503]
            for _, writer in streams:
                writer.close()
            await asyncio.to_thread(
                wait_until, lambda: stack.metric("cueline_listeners") == 2, "the streams to be over"
            )
        await asyncio.to_thread(wait_until, lambda: stack.get(f"/api/sessions/{old}")[0] == 200, "room again")
    finally:
        await asyncio.to_thread(stack.stop)


async def open_events(stack: Stack, session: str) -> tuple[int, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    writer.write(f"GET /api/sessions/{session}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return int((await reader.readline()).split()[1]), writer


def test_a_pace_lets_a_burst_pass_and_then_so_many_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(admission.time, "monotonic", lambda: now)
    pace = Pace(per_s=10, at_once=5)
    assert [pace.take() for _ in range(7)] == [True] * 5 + [False] * 2
    now += 0.25
    assert [pace.take() for _ in range(4)] == [True] * 2 + [False] * 2
    now += 1000
    assert [pace.take() for _ in range(7)] == [True] * 5 + [False] * 2


def test_a_microphone_is_never_too_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """48 kHz in frames of 20 ms, beside a page that says where it is."""
    now = 100.0
    monkeypatch.setattr(admission.time, "monotonic", lambda: now)
    pace = FramePace()
    for frame in range(50 * 60):
        now += 0.02
        pace.check(8 + 1920)
        if frame % 12 == 0:
            pace.check(60)
    with pytest.raises(TooManyMessages):
        for _ in range(600):
            pace.check(10)


def test_what_everybody_says_is_written_once_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("api.quiet.time.monotonic", lambda: now)
    quiet = Quiet(every_s=5)

    def says(text: str, *values: object) -> logging.LogRecord | None:
        record = logging.LogRecord("api.x", logging.WARNING, "x.py", 1, text, values, None)
        return record if quiet.filter(record) else None

    assert says("redis is away: %s", "refused")
    assert not any(says("redis is away: %s", "refused") for _ in range(40))
    assert says("redis is away: %s", "timeout"), "another reason"
    assert says("%d events wait", 3)
    assert not says("%d events wait", 4), "a number is no reason"
    now += 5
    again = says("redis is away: %s", "refused")
    assert again
    assert again.getMessage() == "redis is away: refused (and 40 more like it)"
    for number in range(2000):
        says("%s", f"reason {number}")
    assert len(quiet._said) <= 500
