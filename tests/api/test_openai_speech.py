"""`/v1/audio/speech` as its clients use it: the official one, plain HTTP, those who hang up, a socket."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import uuid
import wave
from typing import Any

import av
import httpx
import openai
import pytest
from websockets.asyncio.client import connect

from contract.audio import bytes_to_ms
from tests.fakes import counter_pcm
from tests.harness import Stack, wait_until

FORMATS = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


@pytest.fixture
def client(stack: Stack) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{stack.url}/v1", api_key="none", max_retries=0)


def ask(stack: Stack, **fields: Any) -> tuple[int, bytes, Any]:
    body = {"model": "tts-1", "input": "Hello there.", "voice": "alloy", "response_format": "pcm", **fields}
    return stack.request("POST", "/v1/audio/speech", {name: value for name, value in body.items() if value != "-"})


def own(text: str) -> str:
    """A text that nobody has asked for before."""
    return f"{text} {uuid.uuid4().hex[:8]}."


def test_the_official_client_gets_the_sound_of_its_text(client: openai.OpenAI) -> None:
    text = own("Said for a client")
    answer = client.audio.speech.create(model="tts-1", voice="alloy", input=text, response_format="pcm")
    assert answer.content == counter_pcm(text)
    # Streamed, and with every field there is.
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="nova", input=text, instructions="warm", response_format="wav", speed=1.5
    ) as streamed:
        assert streamed.headers["content-type"] == "audio/wav"
        assert b"".join(streamed.iter_bytes())[44:] == counter_pcm(text)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_what_it_says(stack: Stack, name: str) -> None:
    text = own("Seconds of speech in a certain format")
    status, body, headers = ask(stack, input=text, response_format=name)
    assert (status, headers["content-type"]) == (200, FORMATS[name])
    expected_ms = bytes_to_ms(len(counter_pcm(text)))
    if name == "pcm":
        assert body == counter_pcm(text)
        return
    if name == "wav":
        with wave.open(io.BytesIO(body)) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (24_000, 1, 2)
    with av.open(io.BytesIO(body)) as container:
        samples = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert abs(samples * 1000 - expected_ms) < 120


def test_sound_comes_as_events_too(client: openai.OpenAI, stack: Stack) -> None:
    text = own("An event for each piece of it")
    status, body, headers = ask(stack, input=text, stream_format="sse")
    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    events = [json.loads(line[6:]) for line in body.decode().split("\n\n") if line]
    *deltas, done = events
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    assert b"".join(base64.b64decode(event["audio"]) for event in deltas) == counter_pcm(text)
    assert done["type"] == "speech.audio.done"
    usage = done["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["output_tokens"] == bytes_to_ms(len(counter_pcm(text))) // 50


def test_a_long_text_is_said_in_order_with_its_pauses(stack: Stack) -> None:
    first, second, third = own("The first sentence is"), own("And the second one is"), own("Here ends the third")
    status, body, _ = ask(stack, input=f"{first} {second} [pause 250ms] {third}")
    assert status == 200
    assert body == counter_pcm(first) + counter_pcm(second) + bytes(48 * 250) + counter_pcm(third)


def test_the_first_bytes_leave_before_the_last_are_made(stack: Stack) -> None:
    text = own("This is said slowly and it takes a good while until all of it is there")
    body = {"model": "tts-1", "input": text, "voice": "alloy", "response_format": "pcm"}
    with httpx.stream("POST", f"{stack.url}/v1/audio/speech", json=body, timeout=20) as answer:
        blocks = answer.iter_raw()
        size = len(next(blocks))
        assert size < len(counter_pcm(text)) / 2
        assert size + sum(map(len, blocks)) == len(counter_pcm(text))


def test_null_is_as_good_as_nothing_and_a_voice_may_be_an_object(stack: Stack) -> None:
    text = own("Nulls are nothing")
    nothing = dict.fromkeys(("speed", "instructions", "stream_format"))
    assert ask(stack, input=text, voice=None, **nothing)[1] == counter_pcm(text)
    assert ask(stack, input=text, voice={"id": "ava"})[1] == counter_pcm(text)
    assert ask(stack, input=text, voice="-", response_format=None)[2]["content-type"] == "audio/mpeg"


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"input": "x" * 4097}, 400, "input"),
        ({"input": ""}, 400, "input"),
        ({"input": "-"}, 400, "input"),
        ({"model": "-"}, 400, "model"),
        ({"speed": 4.5}, 400, "speed"),
        ({"speed": 0.1}, 400, "speed"),
        ({"response_format": "tiff"}, 400, "response_format"),
        ({"stream_format": "x"}, 400, "stream_format"),
        ({"input": "*** !!! ***"}, 400, None),
        ({"voice": "nobody"}, 400, None),
        ({"voice": {"name": "x"}}, 400, "voice"),
        ({"input": "This will explode now."}, 503, None),
        ({"input": "This stays mute now."}, 400, None),
    ],
    ids=str,
)
def test_what_cannot_be_said_is_told_in_openais_shape(
    stack: Stack, fields: dict[str, Any], status: int, param: str | None
) -> None:
    got, body, headers = ask(stack, **fields)
    error = json.loads(body)["error"]
    assert got == status, body
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert (error["param"] or "").partition(".")[0] == (param or "")
    assert error["type"] == ("server_error" if status == 503 else "invalid_request_error")
    assert ("Retry-After" in headers) == (status == 503)


def test_the_client_sees_its_own_kinds_of_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as told:
        client.audio.speech.create(model="tts-1", voice="alloy", input="x" * 5000)
    assert told.value.param == "input"
    with pytest.raises(openai.InternalServerError):
        client.audio.speech.create(model="tts-1", voice="alloy", input="It will explode.")


def test_a_failure_in_the_midst_breaks_the_answer_off(stack: Stack) -> None:
    text = f"{own('The first sentence is said')} {own('The second one will explode')}"
    body = {"model": "tts-1", "input": text, "voice": "alloy", "response_format": "pcm"}
    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream("POST", f"{stack.url}/v1/audio/speech", json=body, timeout=20) as answer,
    ):
        answer.read()
    *_, last = ask(stack, input=text, stream_format="sse")[1].decode().strip().split("\n\n")
    assert json.loads(last[6:])["error"]["code"] == "engine_failed"


def test_models_and_voices_are_listed(client: openai.OpenAI, stack: Stack) -> None:
    names = [model.id for model in client.models.list()]
    assert {"counter", "tts-1", "whisper-1"} <= set(names)
    assert stack.get("/v1/audio/models")[1]["data"][0]["object"] == "model"
    voices = stack.get("/v1/audio/voices")[1]["voices"]
    assert {"alloy", "ava", "default"} <= {voice["id"] for voice in voices}
    assert all(set(voice) == {"id", "name"} for voice in voices)
    assert stack.get("/health") == (200, {"status": "ok"})


def test_who_hangs_up_stops_the_work_unless_somebody_else_waits(stack: Stack) -> None:
    sentences = [own(f"Number {n} of these is said slowly as slowly as it goes") for n in range(6)]
    text = " ".join(sentences)
    body = {"model": "tts-1", "input": text, "voice": "alloy", "response_format": "pcm"}
    with httpx.stream("POST", f"{stack.url}/v1/audio/speech", json=body, timeout=20) as one:
        blocks = one.iter_raw()  # held: httpx hangs up when it is forgotten
        next(blocks)
        # Asked once more while it runs: one and the same work.
        with httpx.stream("POST", f"{stack.url}/v1/audio/speech", json=body, timeout=20) as other:
            one.close()
            heard = b"".join(other.iter_raw())
    assert heard == b"".join(map(counter_pcm, sentences))
    started = stack.started()
    assert [started[sentence] for sentence in sentences] == [1] * 6
    left = [own(f"Line {n} of those is left and slowly said and then left") for n in range(8)]
    with httpx.stream("POST", f"{stack.url}/v1/audio/speech", json={**body, "input": " ".join(left)}) as answer:
        next(answer.iter_raw())
    wait_until(lambda: _are_ended(stack), "the work to be dropped")
    assert sum(stack.started()[sentence] for sentence in left) < 8


def _are_ended(stack: Stack) -> bool:
    """Nothing is left in Redis but the ends of what was asked for."""
    return all(stack.stream_length(key) <= 1 for key in stack.redis_keys("*speech-*"))


async def test_twenty_at_once_of_whom_half_hang_up(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=stack.url, timeout=60) as http:

        async def one(number: int) -> bool:
            sentences = [own(f"Stream {number} has this sentence"), own(f"Stream {number} has that one too")]
            body = {"model": "tts-1", "input": " ".join(sentences), "voice": "echo", "response_format": "pcm"}
            async with http.stream("POST", "/v1/audio/speech", json=body) as answer:
                if number % 2:
                    await anext(answer.aiter_raw())
                    return True
                return await answer.aread() == b"".join(map(counter_pcm, sentences))

        assert all(await asyncio.gather(*map(one, range(20))))
    text = own("And afterwards it still speaks")
    assert ask(stack, input=text)[1] == counter_pcm(text)


async def test_text_in_while_it_is_written_sound_out_sentence_by_sentence(stack: Stack) -> None:
    first, second = own("A sentence that comes in two pieces"), own("And another that is flushed at the end")
    async with connect(f"ws://127.0.0.1:{stack.port}/v1/audio/speech/stream") as socket:
        await socket.send(json.dumps({"type": "session.config", "voice": "alloy", "response_format": "pcm"}))
        await socket.send(json.dumps({"type": "input.text", "text": first[:12]}))
        await socket.send(json.dumps({"type": "input.text", "text": f"{first[12:]} And"}))
        started = json.loads(await asyncio.wait_for(socket.recv(), 10))
        # The sound of the first begins before the second is there.
        assert (started["type"], started["sentence_index"], started["sentence_text"]) == ("audio.start", 0, first)
        await socket.send(json.dumps({"type": "input.text", "text": second[3:]}))
        await socket.send(json.dumps({"type": "input.done"}))
        sounds, messages = [b""], [started]
        async for got in socket:
            if isinstance(got, bytes):
                sounds[-1] += got
            else:
                messages.append(json.loads(got))
                if messages[-1]["type"] == "audio.done":
                    sounds.append(b"")
    assert sounds == [counter_pcm(first), counter_pcm(second), b""]
    kinds = [message["type"] for message in messages]
    assert kinds == ["audio.start", "audio.done", "audio.start", "audio.done", "session.done"]
    assert messages[-1]["total_sentences"] == 2


@pytest.mark.parametrize(
    "messages", [["{"], [{"type": "input.text", "text": "x"}], [{"type": "session.config", "speed": 9}], [b"\x00"]]
)
async def test_a_socket_that_is_spoken_to_wrongly_says_so_and_closes(stack: Stack, messages: list[Any]) -> None:
    async with connect(f"ws://127.0.0.1:{stack.port}/v1/audio/speech/stream") as socket:
        for message in messages:
            await socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
        told = json.loads(await asyncio.wait_for(socket.recv(), 10))
        assert told["type"] == "error"
        assert told["error"]["code"] == "message_invalid"
        await asyncio.wait_for(socket.wait_closed(), 10)
        assert socket.close_code == 1008
