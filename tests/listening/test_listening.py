"""What somebody says into a microphone is heard and answered: real Redis, real Celery, real Whisper, real words."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import pytest

from contract.audio import SAMPLE_RATE_HZ
from tests.harness import Client, Stack
from tests.speaking import VOICES, Microphone, frame, noise, over, silence, spoken

HASTE = 6.0
"""How many times faster than speech a sound is sent where nothing hangs on the clock: an ear counts frames."""


async def test_what_is_said_is_answered(hearing: Stack) -> None:
    async with hearing.listen() as client:
        await client.send(type="start")
        await client.until("status", status="listening")
        microphone = Microphone(client)
        await microphone.send(silence(300), spoken("hello story please"), silence(900))
        said = await client.until("final_transcript", source="voice")
        assert said["content"] == "hello story please"
        await client.until("turn", state="ended", turn=said["turn"])
        assert client.chunks(said["turn"])


async def test_who_is_asked_to_begin_joins_the_group(hearing: Stack) -> None:
    async with hearing.listen() as client:
        await client.send(type="cast", characters=["ava", "ben"], order="chosen")
        await client.until("cast")
        await client.send(type="start", character="Cleo")
        joined = await client.until("cast")
        assert [member["name"] for member in joined["members"]] == ["Ava", "Ben", "Cleo"]
        await client.have("status", status="listening")
        await client.ask("SAY Good morning.")
        assert client.messages("turn", state="started")[-1]["character"] == "Cleo"
        await client.send(type="start", character="nobody")
        await client.until("error", code="character_unknown")


async def start(client: Client, speed: float = 1.0, **fields: Any) -> Microphone:
    await client.send(type="start", **fields)
    await client.until("status", status="listening")
    return Microphone(client, fields.get("sample_rate", SAMPLE_RATE_HZ), speed)


async def test_words_are_seen_while_they_are_said_and_what_is_stable_stays(hearing: Stack) -> None:
    words = "seven eight nine zero one two"
    async with hearing.listen() as client:
        microphone = await start(client)
        await microphone.send(silence(300), spoken(words, rate=0.7), silence(900))
        said = await client.until("final_transcript", source="voice")
        seen = [message for message in client.messages("partial_transcript") if message["content"]]
        assert len(seen) >= 2
        stable = [message["stable"] for message in seen]
        assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(stable[:-1]))
        assert all(message["content"].startswith(message["stable"]) for message in seen)
        assert stable[-1] == seen[-1]["content"] == said["content"]
        assert said["content"] == words


@pytest.mark.parametrize("sample_rate", [8000, 16_000, 44_100, 48_000])
async def test_any_rate_is_understood(hearing: Stack, sample_rate: int) -> None:
    async with hearing.listen() as client:
        microphone = await start(client, HASTE, sample_rate=sample_rate)
        speech = spoken("hello dragon music", rate_hz=sample_rate)
        await microphone.send(silence(300, sample_rate), speech, silence(900, sample_rate))
        said = await client.until("final_transcript", source="voice")
        if sample_rate == 8000:
            # Half of what the model listens for is not there; that something is understood will do.
            assert set(said["content"].split()) & {"hello", "dragon", "music"}
        else:
            assert said["content"] == "hello dragon music"


async def test_a_pause_in_the_middle_does_not_end_what_is_said(hearing: Stack) -> None:
    async with hearing.listen() as client:
        microphone = await start(client, HASTE)
        await microphone.send(silence(200), spoken("hello story"), silence(330), spoken("please music"), silence(900))
        said = (await client.until("final_transcript", source="voice"))["content"]
        # Beside a pause the toy model says a word twice.
        assert said.startswith("hello story")
        assert said.endswith("music")


async def test_two_utterances_are_two_turns_in_their_order(hearing: Stack) -> None:
    async with hearing.listen() as client:
        microphone = await start(client, HASTE)
        # Longer than any words could ask for: so it ends even where they come late.
        await microphone.send(silence(200), spoken("hello"), silence(1500), spoken("weather today"), silence(1500))
        first = await client.have("final_transcript", source="voice", content="hello")
        second = await client.have("final_transcript", source="voice", content="weather today")
        assert second["turn"] == first["turn"] + 1


async def test_a_button_that_is_let_go_ends_it_and_silence_does_not(hearing: Stack) -> None:
    async with hearing.listen() as client:
        microphone = await start(client, HASTE, turn_taking="push_to_talk")
        await microphone.send(silence(200), spoken("hello"), silence(700), spoken("music"))
        await microphone.let_go()
        said = (await client.until("final_transcript", source="voice"))["content"]
        assert said.startswith("hello")
        assert said.endswith("music")


async def test_a_microphone_that_falls_silent_in_mid_word_is_not_waited_for(hearing: Stack) -> None:
    async with hearing.listen() as client:
        microphone = await start(client, HASTE)
        speech = spoken("hello story")
        stopped_at = await microphone.send(silence(200), speech)
        said = await client.until("final_transcript", source="voice", timeout_s=6)
        assert said["content"] == "hello story"
        assert time.monotonic() - stopped_at < 4


async def test_a_socket_that_goes_in_mid_sentence_has_still_said_it(hearing: Stack) -> None:
    async with hearing.listen() as other:
        session = (await other.until("session"))["session_id"]
        async with hearing.listen(session) as speaker:
            microphone = await start(speaker, HASTE)
            await microphone.send(silence(200), spoken("hello story"))
        assert (await other.until("final_transcript", source="voice"))["content"] == "hello story"


async def test_stop_forgets_what_is_being_said(hearing: Stack) -> None:
    async with hearing.listen() as client:
        microphone = await start(client, HASTE)
        await microphone.send(silence(200), spoken("hello story"))
        await client.send(type="stop")
        await client.until("status", status="stopped")
        await client.socket.send(frame(silence(20)))
        await client.until("error", code="audio_unexpected")
        await client.ask("SAY Fine.")
        assert not client.messages("final_transcript", source="voice")


async def test_frames_that_make_no_sense_harm_nothing(hearing: Stack) -> None:
    async with hearing.listen() as client:
        microphone = await start(client, HASTE)
        for bad in (b"", b"\0" * 7, frame(b"\0")):
            await client.socket.send(bad)
            await client.until("error", code="message_invalid")
        await client.socket.send(frame(b"", 0xFFFF_F0FF))
        await client.socket.send(frame(b"\xff\x7f" * 9000))
        await microphone.send(silence(700), spoken("hello"), silence(900))
        assert (await client.until("final_transcript", source="voice"))["content"].endswith("hello")


async def test_silence_and_noise_are_no_turn(hearing: Stack) -> None:
    async with hearing.listen() as client:
        microphone = await start(client, HASTE)
        room = silence(6000)
        await microphone.send(room, over(room, noise(len(room), -35)))
        await client.ask("SAY Fine.")
        assert not client.messages("partial_transcript")
        assert len(client.messages("final_transcript")) == 1


async def test_eight_people_at_once_keep_their_own_words(hearing: Stack) -> None:
    texts = [
        *("one two three", "hello dragon please", "what time", "seven dragon music"),
        *("weather today", "no water thanks", "four five six", "zero eight nine"),
    ]

    async def talk(number: int, text: str) -> tuple[str, int]:
        async with hearing.listen() as client:
            microphone = await start(client)
            await microphone.send(silence(250), spoken(text, VOICES[number % len(VOICES)]), silence(900))
            said = await client.until("final_transcript", 30, source="voice")
            await client.until("turn", 30, turn=said["turn"], state="ended")
            return said["content"], len(client.messages("final_transcript", source="voice"))

    heard = await asyncio.gather(*(talk(number, text) for number, text in enumerate(texts)))
    assert [text for text, _ in heard] == texts
    assert {count for _, count in heard} == {1}


async def test_looks_at_a_recording_are_few_and_not_one_per_frame(hearing: Stack) -> None:
    def looks() -> float:
        lines = hearing.request("GET", "/metrics")[1].decode().splitlines()
        return sum(float(line.split()[1]) for line in lines if line.startswith("cueline_recognitions_total"))

    before = looks()
    async with hearing.listen() as client:
        microphone = await start(client)
        await microphone.send(silence(1000), spoken("hello story please", rate=0.7), silence(1000))
        await client.until("final_transcript", source="voice")
    assert 1 <= looks() - before <= 8


async def test_what_is_said_through_another_process_reaches_the_holder(hearing: Stack) -> None:
    another = hearing.another_api()
    assert another.api
    try:
        another.wait_until_ready()
        async with hearing.listen() as holder:
            session = (await holder.until("session"))["session_id"]
            async with another.listen(session) as speaker:
                microphone = await start(speaker, HASTE)
                await microphone.send(silence(250), spoken("hello story"), silence(900))
                said = await speaker.until("final_transcript", source="voice")
                assert said["content"] == "hello story"
            await holder.have("final_transcript", source="voice", content="hello story")
    finally:
        another.api.stop()
