"""Dispatch: makes a sentence a job, and watches over it until its stream has ended. Not: order, listeners, text.

This is the only place that retries. Celery delivers; whether a sentence needs another attempt is decided here,
by the owner of the turn, within fractions of a second and without waiting for the broker to notice anything.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from celery import Celery
from kombu.utils.json import dumps

from api.inbox import Inbox
from api.streams import TOP_ID, Record, Streams, StreamsAway, StreamsError
from api.turn.relay import SentenceFeed
from api.turn.timing import ATTEMPTS
from contract.chunk import tombstone
from contract.errors import EngineFailed, LogLost, NoWorker, QueueUnreachable, SpeechError, WorkerLost
from contract.job import SPEAK_TASK, SpeechJob

log = logging.getLogger(__name__)

Opening = asyncio.Task[None] | None
NextPart = Callable[[], int]
Prepare = Callable[[], Awaitable[Record | None]]
"""Has what a job needs where workers find it; returns what is to be kept of its turn before any of it can be heard."""
MAX_ATTEMPTS = 3
SILENCE_S = 0.3
"""A worker that speaks or lives is heard every 0.05 s; this long without a sign and it is dead or frozen. A later
attempt is given more. Counted on the inbox's clock, which stands still while nobody could be heard."""
STALL_S = 20.0
"""A worker that lives but has made nothing for this long hangs."""
UNCLAIMED_S = 0.5
"""A job that nobody has claimed by then is looked after: is there a worker, is the job still in the queue?"""
NO_WORKER_S = 8.0
"""How long a sentence waits for a worker to appear: longer than a worker's restart."""
WAITING_S = 60.0
"""How long a sentence waits in a full queue."""
CLAIM_S = 0.5
"""From a job's leaving the queue to its claim, at the worst; the last attempt is given `NO_WORKER_S`, for a worker
that has just started may be loading its engine with the job in its hand."""
REDIS_AWAY_S = 30.0
"""How long Redis may be away before sentences are given up."""
MAX_OUTAGES = 20
"""Of Redis, for one sentence."""
REFUSED_PAUSE_S = 0.5


class Envelopes:
    """Writes jobs as Celery writes them, without sending them: see docs/decisions/dispatch.md.

    Celery's producer is synchronous. On the event loop a sick broker would stop every conversation; in a thread it
    costs a millisecond more than the message itself. So Celery publishes to a queue in memory, and what it put there
    goes to Redis by our own connection.
    """

    def __init__(self) -> None:
        self._celery = Celery("cueline-api")
        self._celery.config_from_object("celeryconfig")
        self._celery.conf.update(broker_url="memory://", broker_transport_options={})
        self._channel = self._celery.connection_for_write().default_channel
        self._producer = self._celery.amqp.Producer(self._channel)

    def write(self, job: SpeechJob) -> str:
        """The message that a worker reads from the queue's list in Redis."""
        # What Flower shows: who speaks, which sentence, its first words. The whole text stays out of events.
        shown: dict[str, Any] = {"character": job.character}
        if job.is_line:
            shown |= {"render": job.render, "line": job.turn + 1, "lines": job.lines}
        else:
            shown |= {"turn": job.turn, "sentence": job.sentence}
        return self.wrap(SPEAK_TASK, job.to_dict(), job.queue, {**shown, "words": job.label()})

    def wrap(self, task: str, job: dict[str, Any], queue: str, shown: dict[str, Any]) -> str:
        """The same for any task; `shown` is what Flower sees."""
        self._celery.send_task(
            task, kwargs={"job": job}, queue=queue, argsrepr="()", kwargsrepr=repr(shown), producer=self._producer
        )
        message: str = dumps(self._channel._get(queue))  # type: ignore[no-untyped-call]
        return message


async def ready() -> None:
    """Most jobs carry all that they need."""


class Dispatcher:
    """Enqueues jobs and watches them; one per api process."""

    def __init__(self, streams: Streams, inbox: Inbox) -> None:
        self._streams = streams
        self._inbox = inbox
        self.envelopes = Envelopes()
        self.talking = 0
        """Sentences somebody waits for that are on their way."""
        self.talked_at = 0.0
        """When the last of them ended, or one was expected, on the monotonic clock."""
        self._workers = 0
        self._workers_asked_at = self._nobody_at = -NO_WORKER_S

    @property
    def inbox_key(self) -> str:
        """Where workers ring for this process."""
        return self._inbox.key

    def expect(self) -> None:
        """Somebody has said something: a sentence of the answer will come."""
        self.talked_at = time.monotonic()

    def open(self, key: str) -> asyncio.Task[None]:
        """Begin to make a sentence's stream, ahead of the sentence: then nobody waits for it."""
        opening = asyncio.create_task(self._streams.open_sentence(key))
        opening.add_done_callback(lambda done: done.cancelled() or done.exception())
        return opening

    async def speak(
        self, job: SpeechJob, feed: SentenceFeed, opening: Opening, next_part: NextPart, prepare: Prepare = ready
    ) -> None:
        """Have one sentence spoken; returns when its last chunk is in the stream that `opening` makes, or, without
        one, that is made with its job.

        `next_part` says which part is still missing, so that another attempt goes on there. `prepare` is awaited before
        each attempt, and may raise SpeechError.
        Raises: SpeechError after the stream was ended with a tombstone.
        """
        self.talking += not job.is_line
        try:
            await self._speak(job, feed, opening, next_part, prepare)
        finally:
            self.talking -= not job.is_line
            if not job.is_line:
                self.talked_at = time.monotonic()

    async def _speak(
        self, job: SpeechJob, feed: SentenceFeed, opening: Opening, next_part: NextPart, prepare: Prepare
    ) -> None:
        attempts_left, outages_left = MAX_ATTEMPTS, MAX_OUTAGES
        while True:
            try:
                await self._attempt(job, feed, opening, next_part, prepare)
                return
            except StreamsAway as failure:
                # Redis being away is nobody's attempt.
                log.warning("redis is away: %s", failure)
                error: SpeechError = QueueUnreachable()
                outages_left -= 1
                if not outages_left or not await self._wait_for_redis():
                    break
            except StreamsError as failure:
                log.warning("redis refuses %s: %s", feed.subscription.key, failure)
                error = QueueUnreachable()
                attempts_left -= 1
                await asyncio.sleep(REFUSED_PAUSE_S)
            except SpeechError as failure:
                log.warning("attempt %d of %s: %s", feed.attempt, feed.subscription.key, failure.text)
                error = failure
                attempts_left -= 1
            if not error.retryable or not attempts_left:
                break
        await self._bury(job, feed, next_part())
        raise error

    async def go_on(
        self, job: SpeechJob, feed: SentenceFeed, opening: Opening, next_part: NextPart, prepare: Prepare = ready
    ) -> None:
        """The same for a sentence that another process, which is gone, may have had spoken or begun to."""
        try:
            if await self._is_being_spoken(feed):
                await self._watch(feed, job, "")
                return
        except (SpeechError, StreamsError) as failure:
            log.warning("a sentence that was left is spoken again: %s", failure)
        await self.speak(job, feed, opening, next_part, prepare)

    async def _is_being_spoken(self, feed: SentenceFeed) -> bool:
        """Find the newest attempt in the stream; False if no worker has claimed it, and another one may."""
        key = feed.subscription.key
        entries = (await self._streams.read({key: "0-0"})).get(key, [])
        attempts = [int(entry_id.partition("-")[0]) for entry_id, _ in entries if entry_id != TOP_ID]
        feed.attempt = feed.subscription.fence = max(attempts, default=0)
        await self._inbox.pull({key})
        return feed.is_complete or (feed.attempt > 0 and feed.claimed_attempt == feed.attempt)

    async def _attempt(
        self, job: SpeechJob, feed: SentenceFeed, opening: Opening, next_part: NextPart, prepare: Prepare
    ) -> None:
        """One job, from its dispatch to the end of its sentence."""
        attempt, opens = feed.attempt + 1, ""
        if attempt > 1:
            await self._fence(feed, attempt)
        elif opening is None:
            opens = feed.subscription.key
        elif opening.done() and opening.exception():
            await self._streams.open_sentence(feed.subscription.key)
        else:
            await opening
        feed.begin(attempt)
        if not feed.is_complete:
            record = await prepare()
            next_job = await self._next_job(replace(job, attempt=attempt), feed, next_part())
            message = await self.enqueue(next_job, record, opens)
            try:
                await self._watch(feed, job, message)
            except SpeechError:
                if not feed.is_claimed:
                    await self._streams.take_back(job.queue, message)
                raise

    async def _next_job(self, job: SpeechJob, feed: SentenceFeed, from_part: int) -> SpeechJob:
        """The job of this attempt: it goes on where the last one ended, if its samples fit there.

        If they do not, the sentence starts again: unnoticed where nobody was given any of it, else behind a seam. So
        does every line: its parts lie on no grid, and nobody is given any of them before the end.
        """
        if feed.is_repeatable and not (job.is_line and job.attempt > 1):
            return replace(job, from_part=from_part)
        if feed.forget():
            await self._streams.restart_sentence(feed.subscription.key, job.attempt)
            return job
        if lost := feed.restart(from_part):
            await self._streams.forget_entries(feed.subscription.key, lost)
        return replace(job, from_part=from_part, seam=feed.last_sample)

    async def _wait_for_redis(self) -> bool:
        """Wait until Redis answers the inbox again; False if that takes longer than `REDIS_AWAY_S` in all."""
        asked_at = time.monotonic()
        while self._inbox.heard_at < asked_at:
            if time.monotonic() - self._inbox.heard_at > REDIS_AWAY_S:
                return False
            await asyncio.sleep(0.05)
        return True

    async def enqueue(self, job: SpeechJob, record: Record | None = None, opens: str = "") -> str:
        """Put one job into the queue, behind that record and the stream that it `opens`; returns the message that
        stands there.

        Raises: StreamsError.
        """
        ATTEMPTS.labels(attempt=job.attempt).inc()
        message = self.envelopes.write(job)
        await self._streams.enqueue(job.queue, message, record, opens)
        return message

    async def _watch(self, feed: SentenceFeed, job: SpeechJob, message: str) -> None:
        """Wait for the end of the sentence; raise as soon as it will not come from this attempt."""
        enqueued_at = time.monotonic()
        while not feed.is_complete:
            if feed.error:
                raise feed.error
            if feed.has_ended:
                # Redis has lost what lies before: a replica that took over had not heard of it yet.
                raise LogLost("A part of this sentence's audio was lost.")
            feed.changed.clear()
            patience_s = max(0.01, SILENCE_S * feed.patience - feed.silent_s) if feed.is_claimed else UNCLAIMED_S
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await feed.changed.wait()
            if feed.changed.is_set():
                continue
            if feed.is_claimed:
                await self._check_claimed(feed)
            else:
                await self._check_unclaimed(feed, job, message, time.monotonic() - enqueued_at)

    async def _check_claimed(self, feed: SentenceFeed) -> None:
        if self._inbox.refusal:
            raise self._inbox.refusal
        if feed.silent_s > SILENCE_S * feed.patience and not await self._has_more(feed):
            raise WorkerLost(f"The speech worker {feed.worker} stopped answering.")
        if feed.stalled_s > STALL_S:
            raise EngineFailed(f"The voice engine made nothing for {STALL_S:.0f} s.")

    async def _has_more(self, feed: SentenceFeed) -> bool:
        """Look into the stream itself: a bell may be lost or late."""
        await self._inbox.pull({feed.subscription.key})
        return feed.changed.is_set()

    async def _check_unclaimed(self, feed: SentenceFeed, job: SpeechJob, message: str, waited_s: float) -> None:
        if await self._has_more(feed):
            return
        if waited_s > WAITING_S and not job.is_line:
            raise NoWorker("Every speech worker was busy for too long.")
        if not await self._has_workers():
            # Who has just waited in vain need not do so again for each further sentence.
            if waited_s > NO_WORKER_S or time.monotonic() - self._nobody_at < NO_WORKER_S:
                self._nobody_at = time.monotonic()
                raise NoWorker
        elif not await self._streams.is_queued(job.queue, message):
            # Taken out of the queue and not claimed: the worker died between the two, or is just about to claim.
            await asyncio.sleep(CLAIM_S)
            is_hopeless = feed.attempt < MAX_ATTEMPTS or waited_s > NO_WORKER_S
            if not await self._has_more(feed) and is_hopeless:
                raise WorkerLost("A speech worker took the sentence and stopped answering.")

    async def _has_workers(self) -> bool:
        """Whether any worker lives; asked once a second however many sentences wait."""
        now = time.monotonic()
        if now - self._workers_asked_at > 1.0:
            self._workers_asked_at = now
            self._workers = len(await self._streams.workers())
        return self._workers > 0

    async def _fence(self, feed: SentenceFeed, attempt: int) -> None:
        """Shut out older attempts, then read what they managed to write: the exact place to go on from."""
        feed.subscription.fence = attempt
        await self._streams.fence(feed.subscription.key, attempt)
        await self._inbox.pull({feed.subscription.key})

    async def _bury(self, job: SpeechJob, feed: SentenceFeed, part: int) -> None:
        stone = tombstone(job.turn, job.sentence, part, feed.attempt + 1)
        try:
            await self._streams.end_sentences({feed.subscription.key: stone.pack()})
        except StreamsError as failure:
            log.warning("no tombstone for %s: %s", feed.subscription.key, failure)
