"""Who speaks into a reply is heard through its echo, and the echo itself is not taken for them."""

from __future__ import annotations

import statistics

import pytest

pytest.importorskip("onnxruntime", reason="NOT TESTED: listening needs the extra whisper (make .venv/.dev installs it)")

from api.listening.ear import Ear
from api.listening.sound.vad import VadModel
from tests.harness import Client, Stack
from tests.room import RATE, Attempts, converse
from tests.speaking import PLAYING, Microphone, frame, silence, spoken


@pytest.mark.parametrize("echo_db", [None, -30, -20, -10])
def test_people_are_heard_through_the_echo_and_the_echo_is_not(echo_db: float | None) -> None:
    model = VadModel()
    runs = [converse(model, echo_db, delay_ms, seed) for seed, delay_ms in enumerate((60, 120, 180, 250))]
    delays = [delay for run in runs for delay in run.delays()]
    assert sum(run.false_stops for run in runs) == 0
    assert len([delay for delay in delays if delay <= 300]) >= 15, sorted(delays)
    assert statistics.median(delays) < 250


async def start_reply(client: Client, turn_taking: str = "barge_in", times: int = 3) -> int:
    await client.send(type="start", turn_taking=turn_taking)
    await client.until("status", status="listening")
    await client.send(type="chat", text=f"REPEAT {times} This reply is rather long and nobody has asked for all of it.")
    turn: int = (await client.until("tts_start"))["turn"]
    while not client.chunks(turn):
        await client.receive()
    return turn


async def test_words_stop_the_reply_and_are_answered(hearing: Stack) -> None:
    async with hearing.listen() as client:
        turn = await start_reply(client, times=40)
        microphone = Microphone(client)
        await microphone.send(silence(600), spoken("stop please"), silence(700), flags=PLAYING | 200 << 16)
        stopped = await client.until("tts_stop", turn=turn)
        assert stopped["reason"] == "interrupted"
        assert [message["state"] for message in client.messages("barge_in")][:1] == ["ducked"]
        said = await client.until("final_transcript", source="voice")
        assert said["content"] == "stop please"
        await client.until("turn", turn=said["turn"], state="ended", reason="complete")
        assert client.messages("turn", turn=turn, state="ended")[0]["reason"] == "interrupted"


async def test_a_sign_of_listening_lets_the_reply_go_on(hearing: Stack) -> None:
    async with hearing.listen() as client:
        turn = await start_reply(client)
        microphone = Microphone(client)
        await microphone.send(silence(600), spoken("yes"), silence(900), flags=PLAYING | 200 << 16)
        await client.until("barge_in", state="resumed")
        assert client.messages("barge_in")[0]["state"] == "ducked"
        await client.have("partial_transcript", content="")
        await client.have("turn", turn=turn, state="ended", reason="complete")
        assert not client.messages("tts_stop")
        assert not client.messages("final_transcript", source="voice")


async def test_a_client_that_tells_nothing_of_its_speaker_may_interrupt_too(hearing: Stack) -> None:
    async with hearing.listen() as client:
        turn = await start_reply(client)
        await Microphone(client).send(silence(600), spoken("stop please"), silence(700))
        await client.until("tts_stop", turn=turn)
        assert (await client.until("final_transcript", source="voice"))["content"] == "stop please"


async def test_automatic_turn_taking_hears_nothing_while_the_reply_sounds(hearing: Stack) -> None:
    async with hearing.listen() as client:
        turn = await start_reply(client, "automatic")
        microphone = Microphone(client)
        await microphone.send(silence(300), spoken("stop please"), silence(700), flags=PLAYING | 200 << 16)
        await client.have("turn", turn=turn, state="ended", reason="complete")
        await microphone.send(silence(300), spoken("hello music"), silence(700))
        assert (await client.until("final_transcript", source="voice"))["content"] == "hello music"
        assert not client.messages("barge_in")
        assert len(client.messages("final_transcript", source="voice")) == 1


def test_who_is_understood_late_is_heard_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A saying may end between two frames, when its words come after its silence."""
    attempts = Attempts()
    ear = Ear(VadModel(), attempts, RATE)  # type: ignore[arg-type]
    for sound in (spoken("hello story", rate_hz=RATE), silence(400, RATE), spoken("weather today", rate_hz=RATE)):
        for start in range(0, len(sound), 320):
            ear.hear(frame(sound[start : start + 320], PLAYING))
        if sound.max() == 0:
            assert attempts.current
            attempts.current = None
    assert len(attempts.ducked) == 2
