"""The eight laws of docs/architecture.md, each on real processes. The pure halves are tested beside their files."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path

import psutil
import redis
from celery import Celery

from api.streams import TOP_ID
from api.turn.spoken import spoken
from contract import keys
from contract.chunk import unpack
from contract.job import BATCH_QUEUE, SPEAK_TASK, TALK_QUEUE, SpeechJob
from contract.voice import Voice
from tests.conftest import model_env
from tests.fakes import FakeModelServer, counter_pcm
from tests.harness import Client, Stack, wait_until

FIVE = "The first one is here. The second one is late too. And a third follows. Four comes now. Five is the last."


def expected_pcm(client: Client, turn: int, failed: tuple[int, ...] = ()) -> bytes:
    """What the counter engine says for the sentences that were announced."""
    announced = client.messages("sentence", turn=turn, state="queued")
    return b"".join(counter_pcm(spoken(m["text"])) for m in announced if m["sentence"] not in failed)


def lasts(client: Client, turn: int) -> Counter[int]:
    return Counter(chunk.sentence for chunk in client.chunks(turn) if chunk.last)


async def test_law_1_a_sentence_always_ends(stack: Stack) -> None:
    async with stack.listen() as client:
        turn = await client.ask(
            "SAY All is well here. Now explode please at once. It goes on here. "
            "Then crash please at once. The end is near."
        )
        assert lasts(client, turn) == Counter(range(5))
        assert [c.sentence for c in client.chunks(turn) if c.failed] == [1, 3]
        assert client.pcm(turn) == expected_pcm(client, turn, failed=(1, 3))
        assert {m["sentence"] for m in client.messages("sentence", turn=turn, state="failed")} == {1, 3}
        assert {m["code"] for m in client.messages("error", turn=turn)} == {"engine_failed"}
        assert client.messages("turn", state="ended")[-1]["reason"] == "complete"


async def test_law_1_holds_for_a_cancelled_turn_too(stack: Stack) -> None:
    async with stack.listen() as client:
        await client.send(type="chat", text="SAY " + "This is spoken slowly so that it lasts. " * 6)
        await client.until("sentence", state="queued", sentence=5)
        await client.have("sentence", state="speaking", sentence=0)
        await client.send(type="interrupt")
        await client.until("turn", state="ended")
        assert lasts(client, 0) == Counter(range(6))


async def test_law_2_the_bytes_do_not_change(stack: Stack) -> None:
    async with stack.listen() as client:
        turn = await client.ask("SAY 5 " + FIVE)
        session = client.messages("session")[0]["session_id"]
    streams = redis.Redis.from_url(stack.redis_url)
    stored = [
        fields[b"f"]
        for sentence in range(5)
        for _, fields in streams.xrange(keys.sentence(session, turn, sentence))
        if b"f" in fields
    ]
    streams.close()
    assert [got for got in client.got if isinstance(got, bytes)] == stored


async def test_law_3_sentences_made_out_of_order_play_in_order(stack: Stack) -> None:
    """Five sentences over three workers; the first is the last to be made."""
    async with stack.listen() as client:
        turn = await client.ask("SAY 1 This one comes late. A second. " + FIVE)
        done = [m["sentence"] for m in client.messages("sentence", turn=turn, state="done")]
        assert done != sorted(done), "the first sentence should have been overtaken"
        workers = {m["worker"] for m in client.messages("sentence", turn=turn, state="done")}
        assert len(workers) == 3
        places = [(c.sentence, c.part) for c in client.chunks(turn)]
        assert places == sorted(set(places))
        assert client.pcm(turn) == expected_pcm(client, turn)


async def test_law_4_a_killed_worker_costs_a_pause_and_no_sample(stack: Stack) -> None:
    (stack.deaths / "death1").touch()
    async with stack.listen() as client:
        turn = await client.ask("SAY The first one is here. Here we die slowly in the middle of it. Five is the last.")
        assert not list(stack.deaths.iterdir()), "nobody died"
        assert client.pcm(turn) == expected_pcm(client, turn)
        attempts = {m["sentence"]: m["attempt"] for m in client.messages("sentence", turn=turn, state="done")}
        assert attempts == {0: 1, 1: 2, 2: 1}
        assert {c.attempt for c in client.chunks(turn) if c.sentence == 1} == {1, 2}


async def test_law_4_a_frozen_worker_that_wakes_up_is_shut_out(tmp_path: Path, model: FakeModelServer) -> None:
    stack = Stack(tmp_path, env=model_env(model)).start(workers=2)
    try:
        async with stack.listen() as client:
            await client.send(type="chat", text="SAY " + "This is a long sentence that is spoken slowly by one. " * 2)
            speaking = await client.until("sentence", state="speaking", sentence=0)
            pid = int(speaking["worker"].rpartition(":")[2])
            await client.have("sentence", state="speaking", sentence=1)
            os.kill(pid, signal.SIGSTOP)
            frozen_at = time.monotonic()
            again = await client.until("sentence", state="speaking", sentence=0, attempt=2)
            assert time.monotonic() - frozen_at < 2.0
            assert again["worker"] != speaking["worker"]
            os.kill(pid, signal.SIGCONT)
            await client.until("turn", state="ended")
            assert client.pcm(0) == expected_pcm(client, 0)
    finally:
        stack.stop()


async def test_law_5_nothing_of_a_cancelled_turn_is_heard_after_its_tts_stop(stack: Stack) -> None:
    async with stack.listen() as client:
        for turn in range(5):
            await client.send(type="chat", text="SAY 1 " + "This is said slowly and then some more. " * 4)
            await client.until("tts_start", turn=turn)
            await client.send(type="interrupt", turn=turn, heard={"sentence": 0, "ms": 40})
            await client.until("turn", turn=turn, state="ended")
        turn = await client.ask("SAY And then it works. Quite well indeed.")
        stops = [i for i, got in enumerate(client.got) if isinstance(got, dict) and got["type"] == "tts_stop"]
        assert len(stops) == 5
        for number, stop in enumerate(stops):
            late = [got for got in client.got[stop:] if isinstance(got, bytes) and unpack(got).turn == number]
            assert not late
        assert client.pcm(turn) == expected_pcm(client, turn)


async def test_law_5_a_cancelled_job_never_starts(stack: Stack) -> None:
    async with stack.listen() as client:
        await client.send(type="chat", text="SAY " + "This is said slowly and then some more. " * 8)
        await client.until("sentence", state="queued", sentence=7)
        await client.have("sentence", state="speaking")
        await client.send(type="stop")
        await client.until("status", status="stopped")
        session = client.messages("session")[0]["session_id"]
        turn = await client.ask("SAY And then it works.")
        assert client.pcm(turn) == expected_pcm(client, turn)
    streams = redis.Redis.from_url(stack.redis_url)
    # A cancel forgets what nobody was given, claims included; the bells of the claims are still in the inbox.
    bells = [fields for inbox in streams.scan_iter("cueline:inbox:*") for _, fields in streams.xrange(inbox)]
    ours = keys.sentence(session, 0, 0).rpartition(":")[0].encode()
    started = {fields[b"k"] for fields in bells if b"c" in fields and fields[b"k"].rpartition(b":")[0] == ours}
    ends = {streams.xrevrange(key, count=1)[0][0].decode() for key in started}
    streams.close()
    assert 1 <= len(started) <= 3
    assert ends == {TOP_ID}, "a stream that is not ended could still be written to"


async def test_law_6_a_listener_may_leave_and_come_back(stack: Stack) -> None:
    async with stack.listen() as first:
        session = (await first.until("session"))["session_id"]
        await first.send(type="chat", text="SAY 30 " + FIVE.replace("is", "is slowly"))
        while len(first.chunks()) < 7:
            await first.receive()
        events = [m["event"] for m in first.messages() if "event" in m]
    had = first.chunks()[-1]
    async with stack.listen(session) as second:
        opened = await second.until("session")
        assert opened["resumed"] is True
        await second.send(type="resume", turn=0, sentence=had.sentence, part=had.part, event=events[-1])
        await second.until("turn", state="ended")
    assert first.pcm() + second.pcm() == expected_pcm_of(first, second)
    numbers = [int(m["event"].split("-")[0]) for m in first.messages() + second.messages() if "event" in m]
    assert numbers == list(range(1, len(numbers) + 1))


def expected_pcm_of(*clients: Client) -> bytes:
    texts = {m["sentence"]: m["text"] for client in clients for m in client.messages("sentence", state="queued")}
    return b"".join(counter_pcm(spoken(texts[number])) for number in sorted(texts))


async def test_law_7_every_key_has_a_lifetime_and_every_stream_a_bound(stack: Stack) -> None:
    async with stack.listen() as client:
        await client.ask("SAY " + FIVE)
    streams = redis.Redis.from_url(stack.redis_url)
    ours = list(streams.scan_iter("cueline:*", count=1000))
    # -2: what is gone by now was not eternal.
    eternal = {key for key in ours if streams.ttl(key) == -1}
    streams.close()
    assert len(ours) > 5
    assert not eternal


async def test_law_7_a_listener_who_never_reads_costs_no_memory_and_nobody_elses_time(stack: Stack) -> None:
    assert stack.api
    api = psutil.Process(stack.api.popen.pid)
    async with stack.listen() as reader:
        session = (await reader.until("session"))["session_id"]
        async with stack.listen(session, max_queue=1, close_timeout=0.2) as sleeper:
            await asyncio.wait_for(sleeper.socket.recv(), 5)
            before = api.memory_info().rss
            for _ in range(4):
                await reader.ask("SAY " + "This is a sentence of a certain length that is said at once. " * 20)
            grown = api.memory_info().rss - before
    assert reader.pcm(3) == expected_pcm(reader, 3)
    assert grown < 48 * 1024 * 1024


def test_law_8_talk_goes_before_batch(tmp_path: Path) -> None:
    """One worker, a full batch queue, then a talk job: it is the very next to be taken."""
    stack = Stack(tmp_path)
    stack.start_redis()
    streams = redis.Redis.from_url(stack.redis_url)
    streams.xadd("inbox", {"o": b""})
    sender = Celery("test", broker=stack.redis_url)
    sender.config_from_object({"broker_url": stack.redis_url, "task_default_queue": TALK_QUEUE})

    def send(queue: str, sentence: int) -> None:
        text = "This line is said slowly and with care."
        job = SpeechJob("law8", 0, sentence, 1, text, Voice(), "Ava", "inbox")
        streams.xadd(keys.sentence("law8", 0, sentence), {"o": b""}, id="1-0")
        sender.send_task(SPEAK_TASK, kwargs={"job": job.to_dict()}, queue=queue)

    def taken() -> list[int]:
        """Sentences in the order of their claims: each claim rings the bell first."""
        bells = [fields[b"k"].decode() for _, fields in streams.xrange("inbox") if b"k" in fields]
        return [int(key.rpartition(":")[2]) for key in dict.fromkeys(bells)]

    try:
        for line in range(5):
            send(BATCH_QUEUE, line)
        stack.start_worker()
        wait_until(taken, "the first line to be taken")
        send(TALK_QUEUE, 100)
        wait_until(lambda: len(taken()) == 6, "everything to be taken")
        assert taken().index(100) <= 2, "talk waits for the line in hand, and at most for one just being taken"
    finally:
        sender.close()
        streams.close()
        stack.stop()
