"""What many, impatient, hostile or unlucky clients do to others: nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from api.turn.spoken import spoken
from api.turn.turn import MAX_REPLY_CHARS
from tests.conftest import model_env
from tests.fakes import FakeModelServer, counter_pcm
from tests.harness import Client, Stack, wait_until
from tests.test_laws import expected_pcm


async def test_a_hundred_and_fifty_listeners_at_once_are_served(stack: Stack) -> None:
    async def talk() -> bool:
        async with stack.listen(open_timeout=30) as client:
            session = (await client.until("session", 30))["session_id"]
            reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
            writer.write(f"GET /api/sessions/{session}/events?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            turn = await client.ask("SAY One short word.", timeout_s=60)
            async with asyncio.timeout(30):
                while '"ended"' not in (await reader.readline()).decode():
                    pass
            writer.close()
            return client.pcm(turn) == expected_pcm(client, turn) != b""

    assert all(await asyncio.gather(*(talk() for _ in range(150))))


async def test_a_reply_without_end_is_ended(stack: Stack, model: FakeModelServer) -> None:
    async with stack.listen() as client:
        await client.send(type="chat", text="REPEAT 9000 word")
        error = await client.until("error", 60)
        assert (error["code"], error["turn"]) == ("reply_too_long", 0)
        assert len((await client.until("llm_response", is_complete=True))["content"]) <= MAX_REPLY_CHARS
        assert model.open == 0
        # Speech is made ahead of the ear, but not by more than a minute and what was in hand.
        await client.have("sentence", state="done", sentence=3)
        await asyncio.sleep(2)
        await client.send(type="interrupt")
        await client.until("turn", state="ended")
        assert len(client.pcm(0)) < 100 * 48_000


async def test_a_killed_api_leaves_nobody_waiting(tmp_path: Path, model: FakeModelServer) -> None:
    stack = Stack(tmp_path, env=model_env(model))
    await asyncio.to_thread(stack.start, 1)
    try:
        async with stack.listen() as first:
            session = (await first.until("session"))["session_id"]
            await first.send(type="chat", text="SAY 60 " + "This one is said slowly and at length. " * 4, id="a")
            await first.send(type="chat", text="SAY Something that waits.", id="b", queue=True)
            while len(first.chunks()) < 5:
                await first.receive()
            assert stack.api
            await asyncio.to_thread(stack.api.kill)
            with pytest.raises(ConnectionClosed):
                while True:
                    await first.receive()
        had, last = first.chunks()[-1], [m["event"] for m in first.messages() if "event" in m][-1]
        stack.start_api()
        await asyncio.to_thread(stack.wait_until_ready)
        async with stack.listen(session) as second:
            await second.until("session")
            await second.send(type="resume", turn=0, sentence=had.sentence, part=had.part, event=last)
            assert (await second.until("error"))["code"] == "server_restarted"
            assert (await second.until("turn", turn=0, state="ended"))["reason"] == "failed"
            known = {m["sentence"]: m["text"] for c in (first, second) for m in c.messages("sentence", turn=0)}
            whole = b"".join(counter_pcm(spoken(known[number])) for number in sorted(known))
            assert first.pcm(0) + second.pcm(0) == whole, "what was said is heard, and nothing twice"
            ends = [chunk.sentence for client in (first, second) for chunk in client.chunks(0) if chunk.last]
            assert ends == sorted(set(ends))
            assert (await second.until("turn", turn=1, state="ended"))["reason"] == "complete"
            assert second.pcm(1) == counter_pcm("Something that waits.")
            numbers = [int(m["event"].split("-")[0]) for m in second.messages() if "event" in m]
            assert numbers == sorted(set(numbers))
            assert numbers[0] > int(last.split("-")[0])
            await second.send(type="chat", text="SAY This was sent before.", id="a")
            assert await second.ask("SAY And on we go.") == 2
            assert second.pcm(2) == expected_pcm(second, 2)
    finally:
        await asyncio.to_thread(stack.stop)


async def test_audio_that_nobody_was_given_is_not_replayed(stack: Stack) -> None:
    async with stack.listen() as client:
        session = (await client.until("session"))["session_id"]
        await client.send(type="chat", text="SAY This first one comes late. Second at once. Third one too.")
        await client.until("sentence", state="done", sentence=1)
        await client.send(type="interrupt")
        await client.until("turn", state="ended")
        given = client.pcm(0)
    await asyncio.sleep(0.5)
    status, body, _ = await asyncio.to_thread(stack.request, "GET", f"/api/sessions/{session}/turns/0/audio?format=pcm")
    assert (status, body) == (200, given)


async def test_an_interrupt_in_one_breath_with_its_message_interrupts_it(stack: Stack) -> None:
    async with stack.listen() as client:
        await client.send(type="chat", text="SAY The first is said slowly. And goes on slowly.")
        await client.until("tts_start", turn=0)
        await client.send(type="chat", text="SAY The second is said slowly. And goes on slowly.")
        await client.send(type="interrupt")
        await client.until("turn", turn=1, state="ended")
        reasons = {m["turn"]: m["reason"] for m in client.messages("turn", state="ended")}
        assert reasons == {0: "interrupted", 1: "interrupted"}


async def test_a_reply_with_nothing_to_speak_is_complete(stack: Stack) -> None:
    async with stack.listen() as client:
        await client.ask("SAY 👍")
        assert client.messages("turn", state="ended")[0]["reason"] == "complete"


async def test_deleting_a_session_ends_it_for_all_who_listen(stack: Stack) -> None:
    async with stack.listen() as client:
        session = (await client.until("session"))["session_id"]
        await client.send(type="chat", text="SAY " + "This goes on slowly. " * 4)
        await client.until("tts_start")
        assert (await asyncio.to_thread(stack.request, "DELETE", f"/api/sessions/{session}"))[0] == 204
        assert (await client.until("error"))["code"] == "session_unknown"
        with pytest.raises(ConnectionClosed):
            while True:
                await client.receive()
    assert (await asyncio.to_thread(stack.get, f"/api/sessions/{session}"))[0] == 404


async def test_of_messages_sent_in_one_breath_the_last_is_answered_and_all_are_kept(
    stack: Stack, model: FakeModelServer
) -> None:
    async with stack.listen() as client:
        for number in range(4):
            await client.send(type="chat", text=f"SAY Number {number} is said slowly.")
        await client.until("turn", turn=3, state="ended")
        reasons = {m["turn"]: m["reason"] for m in client.messages("turn", state="ended")}
        assert reasons == {0: "interrupted", 1: "interrupted", 2: "interrupted", 3: "complete"}
        assert {m["content"] for m in client.messages("final_transcript")} == {
            f"SAY Number {number} is said slowly." for number in range(4)
        }
        assert client.pcm(3) == expected_pcm(client, 3)
    assert len([m for m in model.prompts[-1] if m["role"] == "user"]) == 4


async def test_a_listener_who_missed_the_beginning_of_the_next_turn_gets_it(stack: Stack) -> None:
    async with stack.listen() as first:
        session = (await first.until("session"))["session_id"]
        await first.ask("SAY The first turn.")
        had = first.chunks()[-1]
        await first.send(type="chat", text="SAY And this is the second one.")
        event = (await first.until("tts_start", turn=1))["event"]
        missed = Client(first.socket)
        await missed.until("turn", turn=1, state="ended")
    async with stack.listen(session) as second:
        await second.until("session")
        await second.send(type="resume", turn=0, sentence=had.sentence, part=had.part, event=event)
        await second.until("turn", turn=1, state="ended")
        assert second.pcm(1) == missed.pcm(1) + first.pcm(1) != b""


async def test_stop_silences_those_who_still_play_what_was_made_faster_than_speech(stack: Stack) -> None:
    async with stack.listen() as first:
        session = (await first.until("session"))["session_id"]
        async with stack.listen(session) as second:
            await second.until("session")
            await second.send(type="resume")
            await first.ask("SAY This was made at once and is still being heard.")
            await first.send(type="stop")
            await second.until("turn", state="ended")
            assert (await second.until("tts_stop"))["turn"] == 0


async def test_a_late_interrupt_cuts_its_own_reply_in_its_own_place(stack: Stack, model: FakeModelServer) -> None:
    async with stack.listen() as client:
        await client.ask("SAY One two three four.")
        await client.send(type="chat", text="SAY This is said slowly, and then some more.")
        await client.until("tts_start", turn=1)
        duration = client.messages("sentence", turn=0, state="done")[0]["duration_ms"]
        await client.send(type="interrupt", turn=0, heard={"sentence": 0, "ms": duration / 2})
        await client.until("turn", turn=1, state="ended")
        await client.ask("SAY Done.")
    said = [(m["role"], m["content"]) for m in model.prompts[-1][1:4]]
    assert said[1] == ("assistant", "One two")
    assert said[2][0] == "user"


@pytest.mark.parametrize(("order", "code"), [("EMPTY x", "model_stalled"), ("ODD x", "model_unreachable")])
async def test_a_server_that_sends_no_words_is_a_failed_model(stack: Stack, order: str, code: str) -> None:
    async with stack.listen() as client:
        await client.ask(order)
        assert [m["code"] for m in client.messages("error")] == [code]
        assert await client.ask("SAY The session lives.") == 1


async def test_a_reply_that_is_interrupted_while_it_is_written_is_no_error_of_ours(stack: Stack) -> None:
    async with stack.listen() as client:
        for turn in range(5):
            await client.send(type="chat", text="SAY 50 A reply that is written slowly and goes on for long.")
            await client.until("llm_response", turn=turn)
            await client.send(type="interrupt")
            await client.until("turn", turn=turn, state="ended")
    assert "Traceback" not in (stack.folder / "api.log").read_text()


@pytest.mark.parametrize("t", ["x" * 65, "\ud800", [1], True])
async def test_a_ping_of_any_other_kind_is_an_error(stack: Stack, t: object) -> None:
    async with stack.listen() as client:
        await client.socket.send(json.dumps({"type": "ping", "t": t}))
        assert (await client.until("error"))["code"] == "message_invalid"
        await client.socket.send('{"type": "ping", "t": NaN}')
        assert (await client.until("error"))["code"] == "message_invalid"
        await client.send(type="ping", t="still here")
        await client.until("pong", t="still here")


async def test_limits_hold_for_those_who_come_at_the_same_moment(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    await asyncio.to_thread(stack.start, 1, {"CUELINE_MAX_LISTENERS": "5", "CUELINE_MAX_SESSIONS": "3"})

    async def knock() -> str:
        async with stack.listen() as client:
            first = await client.receive()
            await asyncio.sleep(1)
            assert isinstance(first, dict)
            return str(first["type"])

    async def create() -> tuple[int, str | None]:
        await asyncio.sleep(0.5)
        status, _, headers = await asyncio.to_thread(stack.request, "POST", "/api/sessions", {})
        return status, headers["Retry-After"]

    try:
        *came, made = await asyncio.gather(*(knock() for _ in range(12)), create())
        assert sorted(came) == ["error"] * 9 + ["session"] * 3
        assert made == (503, "5")
        await asyncio.to_thread(wait_until, lambda: stack.request("POST", "/api/sessions", {})[0] == 201, "room again")
    finally:
        await asyncio.to_thread(stack.stop)
