"""A conversation over the socket: the messages, their order, and what bad input does to it (nothing)."""

from __future__ import annotations

import asyncio
import json
import struct

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.fakes import FakeModelServer
from tests.harness import Client, Stack, wait_until
from tests.test_laws import expected_pcm


async def test_a_turn_is_told_in_the_documented_order(stack: Stack) -> None:
    async with stack.listen() as client:
        await client.ask("SAY 5 Good morning, and welcome. It is a fine day today.", id="m1")
    kinds = [got["type"] if isinstance(got, dict) else "audio" for got in client.got]
    assert kinds[0] == "session"
    assert kinds[1:5] == ["final_transcript", "turn", "llm_status", "status"]
    assert kinds.index("tts_start") < kinds.index("audio")
    last_audio = len(kinds) - 1 - kinds[::-1].index("audio")
    assert last_audio < kinds.index("tts_end") < len(kinds) - 1
    assert client.got[-1]["type"] == "turn"  # type: ignore[index]
    assert {m["session_id"] for m in client.messages()} == {client.messages("session")[0]["session_id"]}
    assert client.messages("final_transcript")[0]["id"] == "m1"
    text = "".join(m["content"] for m in client.messages("llm_response", is_complete=False))
    assert client.messages("llm_response", is_complete=True)[0]["content"] == text
    for sentence in (0, 1):
        states = [m["state"] for m in client.messages("sentence", sentence=sentence)]
        assert states == ["queued", "speaking", "done"]
    done = client.messages("sentence", state="done")[0]
    assert done["duration_ms"] > 0
    assert done["first_audio_ms"] >= done["queue_ms"] >= 0
    assert done["worker"].startswith("speech")


async def test_raw_framing_is_pcm_between_tts_start_and_tts_end(stack: Stack) -> None:
    async with stack.listen(framed=False) as client:
        assert (await client.until("session"))["audio"]["framing"] == "raw"
        turn = await client.ask("SAY One sentence only. And then one more.")
    kinds = [got["type"] if isinstance(got, dict) else "audio" for got in client.got]
    first, last = kinds.index("audio"), len(kinds) - 1 - kinds[::-1].index("audio")
    assert kinds.index("tts_start") < first <= last < kinds.index("tts_end")
    assert b"".join(got for got in client.got if isinstance(got, bytes)) == expected_pcm(client, turn)


async def test_the_first_sentence_is_spoken_while_the_reply_is_still_being_written(stack: Stack) -> None:
    async with stack.listen() as client:
        await client.ask("SAY 100 The first sentence is here. " + "And more of it follows now. " * 3)
    first_audio = next(i for i, got in enumerate(client.got) if isinstance(got, bytes))
    complete = client.got.index(client.messages("llm_response", is_complete=True)[0])
    assert first_audio < complete


async def test_at_most_three_sentences_of_a_turn_are_in_synthesis(stack: Stack) -> None:
    async with stack.listen() as client:
        await client.ask("SAY " + "This is said slowly here. " * 6)
    at_once = most = 0
    for message in client.messages("sentence"):
        at_once += {"speaking": 1, "done": -1}.get(message["state"], 0)
        most = max(most, at_once)
    assert 1 < most <= 3


async def test_a_new_message_interrupts_and_a_queued_one_waits(stack: Stack) -> None:
    async with stack.listen() as client:
        await client.send(type="chat", text="SAY " + "This is said slowly here. " * 6)
        await client.until("tts_start", turn=0)
        await client.send(type="chat", text="SAY Short and slowly said.")
        await client.send(type="chat", text="SAY The third one.", queue=True)
        await client.until("turn", turn=2, state="ended")
    reasons = {m["turn"]: m["reason"] for m in client.messages("turn", state="ended")}
    assert reasons == {0: "interrupted", 1: "complete", 2: "complete"}
    assert client.pcm(2) == expected_pcm(client, 2)


async def test_the_same_message_id_twice_is_one_message(stack: Stack) -> None:
    async with stack.listen() as client:
        for _ in range(3):
            await client.send(type="chat", text="SAY Only once.", id="same")
        await client.until("turn", turn=0, state="ended")
        assert await client.ask("SAY And on we go.") == 1
    assert len(client.messages("final_transcript")) == 2


async def test_history_keeps_of_a_cut_reply_only_what_was_heard(stack: Stack, model: FakeModelServer) -> None:
    async with stack.listen() as client:
        await client.send(
            type="chat", text="SAY One two three four slowly. And five six seven slowly. " + "More slowly. " * 20
        )
        await client.until("sentence", state="done", sentence=1)
        duration = client.messages("sentence", state="done", sentence=1)[0]["duration_ms"]
        await client.send(type="interrupt", heard={"sentence": 1, "ms": duration * 0.45})
        acknowledged = await client.until("interrupt_acknowledged")
        assert acknowledged["turn"] == 0
        await client.ask("SAY What did you hear.")
    said = [m["content"] for m in model.prompts[-1] if m["role"] == "assistant"]
    assert said == ["One two three four slowly. And five"]


async def test_how_far_a_listener_says_it_is_counts_and_only_forwards(stack: Stack, model: FakeModelServer) -> None:
    async with stack.listen() as client:
        await client.send(
            type="chat", text="SAY One two three four slowly. And five six seven slowly. " + "More slowly. " * 20
        )
        duration = (await client.until("sentence", state="done", sentence=1))["duration_ms"]
        await client.send(type="played", turn=0, sentence=1, ms=duration * 0.45)
        await client.send(type="played", turn=0, sentence=0, ms=100)
        await client.send(type="played", turn=0, sentence=1, ms=0)
        await client.send(type="interrupt")
        await client.until("interrupt_acknowledged")
        await client.ask("SAY What did you hear.")
    said = [m["content"] for m in model.prompts[-1] if m["role"] == "assistant"]
    assert said == ["One two three four slowly. And five"]


async def test_reset_forgets_the_conversation(stack: Stack, model: FakeModelServer) -> None:
    async with stack.listen() as client:
        await client.ask("SAY Something to remember.")
        await client.send(type="reset")
        assert (await client.until("stop_acknowledged"))["queues_cleared"] is True
        await client.until("status", status="stopped")
        await client.ask("SAY Hello again.")
    assert [m["role"] for m in model.prompts[-1]] == ["system", "user"]


async def test_an_interrupt_closes_the_request_to_the_model(stack: Stack, model: FakeModelServer) -> None:
    async with stack.listen() as client:
        await client.send(type="chat", text="SAY 200 " + "This is a very long reply indeed. " * 40)
        await client.until("tts_start")
        assert model.open == 1
        await client.send(type="interrupt")
        await client.until("turn", state="ended")
        await asyncio.to_thread(wait_until, lambda: model.open == 0, "the model's stream to be closed", 5)


async def test_fifty_interrupts_in_a_row_and_the_next_turn_works(stack: Stack) -> None:
    async with stack.listen() as client:
        for number in range(50):
            await client.send(type="chat", text="SAY This is said slowly. And this is too.")
            await client.until("turn", turn=number, state="started")
            await client.send(type="interrupt")
            await client.until("turn", turn=number, state="ended")
        turn = await client.ask("SAY And then it works. Quite well.")
        assert client.pcm(turn) == expected_pcm(client, turn)


async def test_every_listener_hears_the_same_bytes(stack: Stack) -> None:
    async with stack.listen() as first:
        session = (await first.until("session"))["session_id"]
        async with stack.listen(session) as second, stack.listen(session, framed=False) as third:
            await asyncio.sleep(0.6)  # longer than a socket that comes back is given to say what it has
            turn = await first.ask("SAY Heard by all three. Word by word.")
            await second.until("turn", state="ended")
            await third.until("turn", state="ended")
            raw = b"".join(got for got in third.got if isinstance(got, bytes))
            assert first.pcm() == second.pcm() == raw == expected_pcm(first, turn)


async def test_an_unspoken_sentence_is_over_at_once_and_no_failure(stack: Stack) -> None:
    async with stack.listen() as client:
        turn = await client.ask("SAY Here it is.\n\n***************\n\nAnd on it goes.")
    assert not client.messages("error")
    assert client.pcm(turn) == expected_pcm(client, turn)
    assert client.messages("turn", state="ended")[0]["reason"] == "complete"


# the language model's faults


async def _codes(client: Client) -> list[str]:
    return [message["code"] for message in client.messages("error")]


async def test_a_model_that_fails_once_before_its_first_word_is_asked_again(stack: Stack) -> None:
    async with stack.listen() as client:
        turn = await client.ask("FAIL 503 It works the second time.")
        assert not client.messages("error")
        assert client.pcm(turn) == expected_pcm(client, turn) != b""


@pytest.mark.parametrize(
    ("order", "code", "said"),
    [
        ("REFUSE", "model_refused", ""),
        ("NEVER", "model_stalled", ""),
        ("GARBAGE", "model_cut", ""),
        ("STALL This much was said. And this.", "model_stalled", "This much was said. And this. "),
        ("CUT This much was said. And this.", "model_cut", "This much was said. And this. "),
    ],
)
async def test_a_model_that_fails_ends_the_turn_with_a_reason_and_keeps_what_was_said(
    stack: Stack, order: str, code: str, said: str
) -> None:
    async with stack.listen() as client:
        turn = await client.ask(order)
        assert await _codes(client) == [code]
        assert client.messages("llm_response", is_complete=True)[0]["content"] == said
        assert client.messages("turn", state="ended")[0]["reason"] == "failed"
        assert client.pcm(turn) == expected_pcm(client, turn)
        after = await client.ask("SAY The session lives.")
        assert client.pcm(after) == expected_pcm(client, after) != b""


# bad input

BAD_TEXTS = [
    ("not json", "message_invalid"),
    ("[1, 2]", "message_invalid"),
    ("{}", "message_invalid"),
    ('{"type": 7}', "message_invalid"),
    ('{"type": "sing"}', "message_type_unknown"),
    ('{"type": "chat"}', "message_invalid"),
    ('{"type": "chat", "text": 5}', "message_invalid"),
    ('{"type": "chat", "text": "x", "queue": "yes"}', "message_invalid"),
    ('{"type": "chat", "text": "x", "character": "nobody at all"}', "character_unknown"),
    ('{"type": "chat", "text": ""}', "text_empty"),
    ('{"type": "chat", "text": " \\n\\t "}', "text_empty"),
    (json.dumps({"type": "chat", "text": "x" * 5000}), "text_too_long"),
    ('{"type": "chat", "text": "a\\u0000b"}', "text_invalid"),
    ('{"type": "chat", "text": "a\\u001b[31mb"}', "text_invalid"),
    ('{"type": "chat", "text": "half \\ud83d a face"}', "text_invalid"),
    ('{"type": "interrupt", "turn": -1}', "message_invalid"),
    ('{"type": "interrupt", "heard": {"sentence": 1}}', "message_invalid"),
    ('{"type": "played", "turn": 0, "sentence": 0, "ms": "soon"}', "message_invalid"),
    ('{"type": "start", "sample_rate": 4}', "message_invalid"),
    ('{"type": "resume", "turn": 0}', "message_invalid"),
    ("[" * 30_000, "message_invalid"),
]


async def test_bad_messages_get_a_clear_error_and_the_socket_stays_open(stack: Stack) -> None:
    async with stack.listen() as client:
        await client.until("session")
        await client.send(type="ping", t=0)
        await client.until("pong")
        for text, code in BAD_TEXTS:
            await client.socket.send(text)
            error = await client.until("error")
            assert error["code"] == code, text[:60]
            assert error["message"].endswith(".")
        turn = await client.ask("SAY Still here.")
        assert turn == 0
        assert client.pcm(turn) == expected_pcm(client, turn)


async def test_audio_in_the_wrong_place_is_an_error_and_nothing_more(stack: Stack) -> None:
    async with stack.listen() as client:
        await client.socket.send(b"\0" * 100)
        assert (await client.until("error"))["code"] == "audio_unexpected"
        await client.send(type="start")
        refused = await client.until("error")
        assert refused["code"] == "listening_unavailable"
        assert "CUELINE_STT_ENGINE=whisper" in refused["message"]
        await client.socket.send(struct.pack("<II", 0, 0) + b"\0")
        assert (await client.until("error"))["code"] == "audio_unexpected"
        await client.send(type="stop")
        await client.until("status", status="stopped")


async def test_ping_is_answered_with_the_same_t(stack: Stack) -> None:
    async with stack.listen() as client:
        await client.send(type="ping", t=12.5)
        assert (await client.until("pong"))["t"] == 12.5


async def test_a_frame_over_the_limit_closes_with_1009(stack: Stack) -> None:
    async with stack.listen() as client:
        await client.socket.send("x" * 70_000)
        with pytest.raises(ConnectionClosed):
            while True:
                await client.receive()
        assert client.socket.close_code == 1009


async def test_a_client_that_only_talks_nonsense_is_closed_with_1008(stack: Stack) -> None:
    async with stack.listen() as client:
        with pytest.raises(ConnectionClosed):
            for _ in range(200):
                await client.socket.send("nonsense")
                await client.receive()
        assert client.socket.close_code == 1008


async def test_an_unknown_session_gets_an_error_and_1008(stack: Stack) -> None:
    async with stack.listen("no-such-session-anywhere") as client:
        assert (await client.until("error"))["code"] == "session_unknown"
        with pytest.raises(ConnectionClosed):
            await client.receive()
        assert client.socket.close_code == 1008


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null", "file://"])
async def test_a_page_from_elsewhere_opens_no_socket(stack: Stack, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(stack.ws_url, origin=origin):  # type: ignore[arg-type]
            pass
    assert refused.value.response.status_code == 403


async def test_the_servers_own_page_opens_a_socket(stack: Stack) -> None:
    async with connect(stack.ws_url, origin=stack.url) as socket:  # type: ignore[arg-type]
        assert json.loads(await socket.recv())["type"] == "session"


async def test_a_socket_that_vanishes_leaves_others_and_the_session_alone(stack: Stack) -> None:
    async with stack.listen() as first:
        session = (await first.until("session"))["session_id"]
        async with stack.listen(session) as second:
            await second.until("session")
            await first.send(type="chat", text="SAY 20 This goes on slowly. While the other one leaves. All the same.")
            await second.until("tts_start")
            second.socket.transport.abort()
        await first.until("turn", state="ended")
        assert first.pcm() == expected_pcm(first, 0)
