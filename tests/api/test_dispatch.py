"""The watch over one sentence, against real Redis; the tests themselves are the worker, and a bad one."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from api.inbox import Inbox, _order
from api.streams import Entry, Streams
from api.turn import dispatch
from api.turn.dispatch import Dispatcher
from api.turn.relay import Relay, SentenceFeed
from api.turn.replay import TurnReader
from api.turn.timing import Timing
from contract import keys
from contract.chunk import Chunk
from contract.errors import CuelineError, NoWorker, WorkerLost
from contract.job import TALK_QUEUE, SpeechJob
from contract.voice import Voice
from tests.harness import Stack
from workers.streams import SentenceLog, connect

Sound = list[Chunk]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Redis alone."""
    alone = Stack(tmp_path_factory.mktemp("redis"))
    alone.start_redis()
    yield alone
    alone.stop()


class Owner:
    """What an api process has of one turn, and what its listeners were given."""

    def __init__(self, url: str) -> None:
        self.streams = Streams(url)
        self.inbox = Inbox(self.streams, "test")
        self.dispatcher = Dispatcher(self.streams, self.inbox)
        self.given: Sound = []
        self.relay = Relay(self.inbox, "s", 0, self.given.append)
        self.feeds: list[SentenceFeed] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def replay(self) -> list[tuple[int, bytes]]:
        """(attempt, PCM) as somebody hears them who comes later."""
        reader = TurnReader(self.streams, "s", 0)
        found: list[Chunk] = []
        while chunks := await reader.read():
            found += chunks
        return [(chunk.attempt, chunk.pcm) for chunk in found]

    def speak(self, sentence: int = 0) -> asyncio.Task[None]:
        """Have a sentence spoken."""
        feed = self.relay.follow(sentence, Timing(), lambda: None)
        job = SpeechJob("s", 0, sentence, 1, "Some words.", Voice(), "Ava", self.inbox.key)
        opening = self.dispatcher.open(self.relay.key(sentence))
        work = self.dispatcher.speak(job, feed, opening, lambda: self.relay.next_part(sentence))
        self.feeds.append(feed)
        self.tasks.append(asyncio.create_task(work))
        return self.tasks[-1]


class Worker:
    """A worker's hands: what it does, and in which order, is up to the test."""

    def __init__(self, url: str) -> None:
        self.redis = connect(url)
        self.logs: list[SentenceLog] = []

    def announce(self) -> None:
        self.redis.set(keys.worker("w"), json.dumps({"engine": "hands"}), ex=60)
        self.redis.sadd(keys.WORKERS, "w")

    async def take(self, timeout_s: float = 5.0) -> SpeechJob:
        """The next job, out of the queue."""
        found = await asyncio.to_thread(self.redis.brpop, [TALK_QUEUE], timeout=timeout_s)
        assert found, "no job came"
        body = base64.b64decode(json.loads(found[1])["body"])
        return SpeechJob.from_dict(json.loads(body)[1]["job"])

    def queued(self) -> int:
        return int(self.redis.llen(TALK_QUEUE))

    async def claim(self, job: SpeechJob, *, is_repeatable: bool = True) -> SentenceLog:
        """Claim it like a healthy worker, whose log beats from now on."""
        log = SentenceLog(self.redis, job, "w")
        assert await asyncio.to_thread(log.claim, is_repeatable=is_repeatable)
        self.logs.append(log)
        return log

    async def finish(self, job: SpeechJob, log: SentenceLog) -> None:
        await self.say(job, log, b"\1\1")

    async def say(self, job: SpeechJob, log: SentenceLog, *samples: bytes) -> None:
        """The next parts, the last one with the flag."""
        for part, pcm in enumerate(samples, job.from_part):
            is_last = pcm is samples[-1]
            await asyncio.to_thread(log.append, Chunk(0, job.sentence, part, job.attempt, pcm, last=is_last))
        await asyncio.to_thread(log.close)

    async def say_with_a_hole(self, job: SpeechJob, *samples: bytes, lost: int, repeatable: bytes = b"1") -> None:
        """A whole sentence, of which Redis loses one part."""
        key = keys.sentence("s", 0, job.sentence)
        self.redis.xadd(key, {"c": "w", "r": repeatable}, id=f"{job.attempt}-1", nomkstream=True)
        for part, pcm in enumerate(samples, job.from_part):
            if part != lost:
                frame = Chunk(0, job.sentence, part, job.attempt, pcm, last=pcm is samples[-1]).pack()
                self.redis.xadd(key, {"f": frame}, id=f"{job.attempt}-{part + 2}", nomkstream=True)
        self.redis.xadd(job.inbox, {"k": key})

    async def speak_and_die(self, job: SpeechJob, *samples: bytes) -> None:
        """An engine that cannot repeat itself, killed in the midst of a sentence."""
        key = keys.sentence("s", 0, job.sentence)
        self.redis.xadd(key, {"c": "dead", "r": "0"}, id=f"{job.attempt}-1", nomkstream=True)
        for part, pcm in enumerate(samples, job.from_part):
            frame = Chunk(0, job.sentence, part, job.attempt, pcm).pack()
            self.redis.xadd(key, {"f": frame}, id=f"{job.attempt}-{part + 2}", nomkstream=True)
        self.redis.xadd(job.inbox, {"k": key})

    def claim_and_fall_silent(self, job: SpeechJob) -> None:
        """Claim it, and never a word again."""
        key = keys.sentence("s", 0, job.sentence)
        self.redis.xadd(key, {"c": "dead"}, id=f"{job.attempt}-1", nomkstream=True)
        self.redis.xadd(job.inbox, {"k": key, "i": f"{job.attempt}-1", "c": "dead"})

    def ring_with(self, chunk: Chunk, inbox: str) -> bytes:
        """The bell of a first chunk, whether Redis took the chunk or not."""
        key = keys.sentence("s", 0, chunk.sentence)
        fields = {"k": key, "i": f"{chunk.attempt}-{chunk.part + 2}", "f": chunk.pack()}
        return self.redis.xadd(inbox, fields)  # type: ignore[arg-type, return-value]


@pytest.fixture
async def owner(stack: Stack) -> AsyncIterator[Owner]:
    with redis.Redis.from_url(stack.redis_url) as admin:
        admin.flushdb()
    made = Owner(stack.redis_url)
    await made.inbox.start()
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)
    await made.inbox.stop()
    await made.streams.close()


@pytest.fixture
async def worker(stack: Stack, owner: Owner) -> AsyncIterator[Worker]:
    hands = Worker(stack.redis_url)
    hands.announce()
    yield hands
    for log in hands.logs:
        await asyncio.to_thread(log.close)
    hands.redis.close()


async def test_a_silent_worker_is_replaced_within_half_a_second(owner: Owner, worker: Worker) -> None:
    speaking = owner.speak()
    worker.claim_and_fall_silent(await worker.take())
    silent_at = time.monotonic()
    again = await worker.take()
    assert again.attempt == 2
    assert dispatch.SILENCE_S - 0.05 < time.monotonic() - silent_at < 1.0
    await worker.finish(again, await worker.claim(again))
    await asyncio.wait_for(speaking, 5)
    assert [(chunk.attempt, chunk.pcm) for chunk in owner.given] == [(2, b"\1\1")]


async def test_a_later_attempt_is_waited_for_longer(owner: Owner, worker: Worker) -> None:
    """On a machine that is too busy to answer in time no sentence is lost by asking it ever again."""
    owner.speak()
    worker.claim_and_fall_silent(await worker.take())
    for attempt in (2, 3):
        job = await worker.take()
        assert job.attempt == attempt
        silent_at = time.monotonic()
        worker.claim_and_fall_silent(job)
    with pytest.raises(WorkerLost):
        await asyncio.wait_for(owner.tasks[0], 5)
    assert time.monotonic() - silent_at > 3 * dispatch.SILENCE_S


async def test_a_worker_that_only_says_it_lives_is_left_in_peace(owner: Owner, worker: Worker) -> None:
    speaking = owner.speak()
    job = await worker.take()
    log = await worker.claim(job)
    await asyncio.sleep(4 * dispatch.SILENCE_S)
    assert worker.queued() == 0
    await worker.finish(job, log)
    await asyncio.wait_for(speaking, 5)
    assert owner.feeds[0].attempt == 1


async def test_a_worker_that_lives_and_makes_nothing_is_replaced_too(
    owner: Owner, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "STALL_S", 0.8)
    owner.speak()
    claimed_at = time.monotonic()
    await worker.claim(await worker.take())
    assert (await worker.take()).attempt == 2
    assert time.monotonic() - claimed_at > 0.75


async def test_a_chunk_that_redis_refused_is_not_heard_because_its_bell_rang(
    owner: Owner, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    fence = owner.streams.fence

    async def fence_while_the_stale_worker_wakes(key: str, attempt: int) -> None:
        await fence(key, attempt)
        bell = worker.ring_with(Chunk(0, 0, 0, 1, b"\7\7"), owner.inbox.key)
        async with asyncio.timeout(5):
            while _order(owner.inbox._after[owner.inbox.key]) < _order(bell.decode()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    monkeypatch.setattr(owner.streams, "fence", fence_while_the_stale_worker_wakes)
    speaking = owner.speak()
    worker.claim_and_fall_silent(await worker.take())
    again = await worker.take()
    assert (again.attempt, again.from_part) == (2, 0)
    await worker.finish(again, await worker.claim(again))
    await asyncio.wait_for(speaking, 5)
    assert [chunk.pcm for chunk in owner.given] == [b"\1\1"]


async def test_while_redis_does_not_answer_nobody_is_silent(stack: Stack, owner: Owner, worker: Worker) -> None:
    speaking = owner.speak()
    job = await worker.take()
    log = await worker.claim(job)
    assert stack.redis
    for _ in range(3):
        stack.redis.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(3 * dispatch.SILENCE_S)
        finally:
            stack.redis.signal(signal.SIGCONT)
        await asyncio.sleep(dispatch.SILENCE_S)
    await worker.finish(job, log)
    await asyncio.wait_for(speaking, 5)
    assert owner.feeds[0].attempt == 1
    assert worker.queued() == 0


async def test_while_the_api_itself_is_late_nobody_is_silent(
    owner: Owner, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst moment: Redis has just said that no bell rang, and the answer waits for the event loop."""
    wait_for_bells, late = owner.streams.wait_for_bells, []

    async def be_late(key: str, after: str, block_ms: int) -> list[Entry]:
        bells = await wait_for_bells(key, after, block_ms)
        if late:
            time.sleep(late.pop())  # noqa: ASYNC251 -- this is the fault
            return []
        return bells

    monkeypatch.setattr(owner.streams, "wait_for_bells", be_late)
    speaking = owner.speak()
    job = await worker.take()
    log = await worker.claim(job)
    for _ in range(3):
        late.append(2 * dispatch.SILENCE_S)
        await asyncio.sleep(3 * dispatch.SILENCE_S)
    await worker.finish(job, log)
    await asyncio.wait_for(speaking, 5)
    assert owner.feeds[0].attempt == 1


async def test_a_job_that_left_the_queue_and_was_never_claimed_is_dispatched_again(
    owner: Owner, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "UNCLAIMED_S", 0.2)
    owner.speak()
    taken_at = time.monotonic()
    assert (await worker.take()).attempt == 1
    assert (await worker.take()).attempt == 2
    assert time.monotonic() - taken_at < 2


async def test_a_job_that_waits_in_the_queue_is_left_there(
    owner: Owner, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "UNCLAIMED_S", 0.1)
    speaking = owner.speak()
    await asyncio.sleep(10 * dispatch.UNCLAIMED_S + 2 * dispatch.CLAIM_S)
    assert worker.queued() == 1
    job = await worker.take()
    await worker.finish(job, await worker.claim(job))
    await asyncio.wait_for(speaking, 5)
    assert owner.feeds[0].attempt == 1


async def test_who_has_waited_for_a_worker_in_vain_does_not_wait_again_and_leaves_no_job_behind(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "UNCLAIMED_S", 0.2)
    monkeypatch.setattr(dispatch, "NO_WORKER_S", 2.0)
    took = []
    for sentence in range(2):
        asked_at = time.monotonic()
        with pytest.raises(NoWorker):
            await asyncio.wait_for(owner.speak(sentence), 10)
        took.append(time.monotonic() - asked_at)
    assert took[0] >= 2.0
    assert took[1] < 1.0
    assert await owner.streams.queue_length(TALK_QUEUE) == 0


async def test_three_attempts_and_no_more(owner: Owner, worker: Worker) -> None:
    speaking = owner.speak()
    for attempt in (1, 2, 3):
        job = await worker.take()
        assert job.attempt == attempt
        worker.claim_and_fall_silent(job)
    with pytest.raises(CuelineError, match="stopped answering"):
        await asyncio.wait_for(speaking, 5)
    assert worker.queued() == 0


async def test_a_sentence_nobody_was_given_any_of_is_made_anew_and_nobody_notices(owner: Owner, worker: Worker) -> None:
    first, second = owner.speak(0), owner.speak(1)
    jobs = {job.sentence: job for job in (await worker.take(), await worker.take())}
    log = await worker.claim(jobs[0], is_repeatable=False)
    await worker.speak_and_die(jobs[1], b"\5\5", b"\6\6")
    again = await worker.take()
    assert (again.sentence, again.attempt, again.from_part, again.seam) == (1, 2, 0, None)
    with pytest.raises(redis.ResponseError, match="equal or smaller"):
        worker.redis.xadd(keys.sentence("s", 0, 1), {"f": b"late"}, id="1-9", nomkstream=True)
    await worker.say(again, await worker.claim(again, is_repeatable=False), b"\1\1", b"\2\2")
    await worker.say(jobs[0], log, b"\0\0")
    await asyncio.wait_for(asyncio.gather(first, second), 5)
    whole = [(1, b"\0\0"), (2, b"\1\1"), (2, b"\2\2")]
    assert [(chunk.attempt, chunk.pcm) for chunk in owner.given] == whole
    assert owner.feeds[1].restart_ms == 0
    assert owner.feeds[1].size == 4


async def test_a_sentence_begun_by_an_engine_that_cannot_repeat_starts_again_behind_a_seam(
    owner: Owner, worker: Worker
) -> None:
    speaking = owner.speak()
    await worker.speak_and_die(await worker.take(), bytes(1920), bytes(4798) + b"\x01\x80")
    again = await worker.take()
    assert (again.attempt, again.from_part, again.seam) == (2, 2, -32_767)
    assert owner.feeds[0].restart_ms == 140
    await worker.speak_and_die(again, bytes(4800))
    third = await worker.take()
    assert (third.attempt, third.from_part, third.seam) == (3, 3, 0)
    assert owner.feeds[0].restart_ms == 240
    await worker.finish(third, await worker.claim(third, is_repeatable=False))
    await asyncio.wait_for(speaking, 5)
    assert [(chunk.part, chunk.attempt) for chunk in owner.given] == [(0, 1), (1, 1), (2, 2), (3, 3)]
    assert await owner.replay() == [(chunk.attempt, chunk.pcm) for chunk in owner.given]


async def test_a_part_that_redis_has_lost_is_made_again(owner: Owner, worker: Worker) -> None:
    first, second = owner.speak(0), owner.speak(1)
    jobs = {job.sentence: job for job in (await worker.take(), await worker.take())}
    samples = [bytes([part, 0]) * 960 for part in range(5)]
    await worker.say_with_a_hole(jobs[0], *samples, lost=2)
    again = await worker.take()
    assert (again.sentence, again.attempt, again.from_part, again.seam) == (0, 2, 2, None)
    assert [chunk.part for chunk in owner.given] == [0, 1], "what lies behind the hole was heard"
    await worker.say(again, await worker.claim(again), *samples[2:])
    await worker.finish(jobs[1], await worker.claim(jobs[1]))
    await asyncio.wait_for(asyncio.gather(first, second), 5)
    assert [(chunk.sentence, chunk.pcm) for chunk in owner.given] == [*((0, pcm) for pcm in samples), (1, b"\1\1")]
    assert owner.feeds[0].size == sum(map(len, samples)), "a part counts once"
    assert [pcm for _, pcm in await owner.replay()] == [chunk.pcm for chunk in owner.given]


async def test_behind_a_lost_part_an_engine_that_cannot_repeat_starts_again_and_nothing_is_spliced(
    owner: Owner, worker: Worker
) -> None:
    speaking = owner.speak()
    samples = [bytes([part, 0]) * 2400 for part in range(1, 5)]
    await worker.say_with_a_hole(await worker.take(), *samples, b"", lost=2, repeatable=b"0")
    again = await worker.take()
    assert (again.attempt, again.from_part, again.seam) == (2, 2, 2)
    assert owner.feeds[0].restart_ms == 200
    anew = [bytes([part, 1]) * 2400 for part in range(5)]
    await worker.say(again, await worker.claim(again, is_repeatable=False), *anew)
    await asyncio.wait_for(speaking, 5)
    whole = [*((1, pcm) for pcm in samples[:2]), *((2, pcm) for pcm in anew)]
    assert [(chunk.attempt, chunk.pcm) for chunk in owner.given] == whole
    assert await owner.replay() == whole
    assert owner.feeds[0].size == 7 * 4800


async def test_what_is_dropped_stays_dropped_when_its_turn_comes_meanwhile(
    owner: Owner, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence before ends just while the new start of this one is on its way to Redis."""
    restart_sentence = owner.streams.restart_sentence

    async def restart_late(key: str, attempt: int) -> None:
        await worker.finish(jobs[0], log)
        await asyncio.wait_for(first, 5)
        await owner.inbox.pull({key})
        await restart_sentence(key, attempt)

    monkeypatch.setattr(owner.streams, "restart_sentence", restart_late)
    first, second = owner.speak(0), owner.speak(1)
    jobs = {job.sentence: job for job in (await worker.take(), await worker.take())}
    log = await worker.claim(jobs[0])
    await worker.speak_and_die(jobs[1], b"\5\5", b"\6\6")
    again = await worker.take()
    await worker.finish(again, await worker.claim(again, is_repeatable=False))
    await asyncio.wait_for(second, 5)
    assert [(chunk.sentence, chunk.attempt) for chunk in owner.given] == [(0, 1), (1, 2)]
    assert await owner.replay() == [(chunk.attempt, chunk.pcm) for chunk in owner.given]
