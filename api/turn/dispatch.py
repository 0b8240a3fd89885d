"""Dispatch: makes a sentence a job, and watches over it until its stream has ended. Not: order, listeners, text.

This is the only place that retries. Celery delivers; whether a sentence needs another attempt is decided here,
by the owner of the turn, within fractions of a second and without waiting for the broker to notice anything.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from celery import Celery
from kombu.utils.json import dumps

from api.inbox import Inbox
from api.streams import Streams, StreamsError
from api.turn.relay import SentenceFeed
from api.turn.timing import ATTEMPTS
from contract.chunk import tombstone
from contract.errors import EngineFailed, NoWorker, QueueUnreachable, SpeechError, WorkerLost
from contract.job import SPEAK_TASK, TALK_QUEUE, SpeechJob

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
SILENCE_S = 0.5
"""A worker that speaks or lives is heard every 0.1 s; this long without a sign and it is dead or frozen."""
STALL_S = 20.0
"""A worker that lives but has made nothing for this long hangs."""
UNCLAIMED_S = 1.5
"""A job that nobody has claimed by then is looked after: is there a worker, is the job still in the queue?"""
NO_WORKER_S = 8.0
"""How long a sentence waits for a worker to appear: longer than a worker's restart."""
WAITING_S = 60.0
"""How long a sentence waits in a full queue."""
ENQUEUE_S = 3.0
JOB_EXPIRES_S = 120


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

    def write(self, job: SpeechJob, queue: str) -> str:
        """The message that a worker reads from the queue's list in Redis."""
        # What Flower shows: who speaks, which sentence, its first words. The whole text stays out of events.
        shown = {"character": job.character, "turn": job.turn, "sentence": job.sentence, "words": job.label()}
        self._celery.send_task(
            SPEAK_TASK,
            kwargs={"job": job.to_dict()},
            queue=queue,
            argsrepr="()",
            kwargsrepr=repr(shown),
            expires=JOB_EXPIRES_S,
            producer=self._producer,
        )
        message: str = dumps(self._channel._get(queue))  # type: ignore[no-untyped-call]
        return message


class Dispatcher:
    """Enqueues jobs and watches them; one per api process."""

    def __init__(self, streams: Streams, inbox: Inbox) -> None:
        self._streams = streams
        self._inbox = inbox
        self._envelopes = Envelopes()

    @property
    def inbox_key(self) -> str:
        """Where workers ring for this process."""
        return self._inbox.key

    def open(self, key: str) -> asyncio.Task[None]:
        """Begin to make a sentence's stream, ahead of the sentence: then nobody waits for it."""
        opening = asyncio.create_task(self._streams.open_sentence(key))
        opening.add_done_callback(lambda done: done.cancelled() or done.exception())
        return opening

    async def speak(
        self, job: SpeechJob, feed: SentenceFeed, opening: asyncio.Task[None], next_part: Callable[[], int]
    ) -> None:
        """Have one sentence spoken; returns when its last chunk is in the stream that `opening` makes.

        `next_part` says which part is still missing, so that another attempt goes on there.
        Raises: SpeechError after the stream was ended with a tombstone.
        """
        key = feed.subscription.key
        error: SpeechError = QueueUnreachable()
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                if attempt > 1:
                    await self._fence(feed, attempt)
                    job = replace(job, attempt=attempt, from_part=next_part())
                    log.warning("attempt %d of %s: %s", attempt, key, error.text)
                else:
                    await opening
                feed.attempt, feed.error = attempt, None
                if feed.is_complete:
                    return
                await self.enqueue(job)
                await self._watch(feed)
                return
            except StreamsError as failure:
                error = QueueUnreachable()
                log.warning("redis failed %s: %s", key, failure)
                await asyncio.sleep(0.2 * attempt)
            except SpeechError as failure:
                error = failure
            if not error.retryable:
                break
        await self._bury(job, feed, next_part())
        raise error

    async def enqueue(self, job: SpeechJob) -> None:
        """Put one job into the queue.

        Raises: QueueUnreachable within `ENQUEUE_S`.
        """
        ATTEMPTS.labels(attempt=job.attempt).inc()
        try:
            async with asyncio.timeout(ENQUEUE_S):
                await self._streams.enqueue(TALK_QUEUE, self._envelopes.write(job, TALK_QUEUE))
        except (StreamsError, TimeoutError) as error:
            raise QueueUnreachable() from error

    async def _watch(self, feed: SentenceFeed) -> None:
        """Wait for the end of the sentence; raise as soon as it will not come from this attempt."""
        enqueued_at = time.monotonic()
        feed.heard_at = enqueued_at
        feed.chunk_at = 0.0
        while not feed.is_complete:
            if feed.error:
                raise feed.error
            is_claimed = feed.claimed_attempt >= feed.attempt
            feed.changed.clear()
            try:
                silent_s = time.monotonic() - feed.heard_at
                async with asyncio.timeout(max(0.05, SILENCE_S - silent_s) if is_claimed else UNCLAIMED_S):
                    await feed.changed.wait()
                continue
            except TimeoutError:
                await self._inbox.pull({feed.subscription.key})
            if feed.changed.is_set():
                continue
            if feed.claimed_attempt >= feed.attempt:
                self._check_claimed(feed)
            else:
                await self._check_unclaimed(feed, time.monotonic() - enqueued_at)

    def _check_claimed(self, feed: SentenceFeed) -> None:
        now = time.monotonic()
        # While Redis was away nobody could be heard: only silence that we listened to counts.
        listened_s = self._inbox.heard_at - feed.heard_at
        if now - feed.heard_at > SILENCE_S and listened_s > SILENCE_S:
            raise WorkerLost(f"The speech worker {feed.worker} stopped answering.")
        if now - max(feed.chunk_at, feed.timing.claimed) > STALL_S:
            raise EngineFailed(f"The voice engine made nothing for {STALL_S:.0f} s.")

    async def _check_unclaimed(self, feed: SentenceFeed, waited_s: float) -> None:
        if waited_s > WAITING_S:
            raise NoWorker("Every speech worker was busy for too long.")
        if not await self._streams.workers():
            if waited_s > NO_WORKER_S:
                raise NoWorker()
        elif waited_s > UNCLAIMED_S and not await self._streams.queue_length(TALK_QUEUE):
            # Taken out of the queue and never claimed: the worker died between the two.
            raise WorkerLost("A speech worker took the sentence and stopped answering.")

    async def _fence(self, feed: SentenceFeed, attempt: int) -> None:
        """Shut out older attempts, then read what they managed to write: the exact place to go on from."""
        feed.subscription.fence = attempt
        await self._streams.fence(feed.subscription.key, attempt)
        await self._inbox.pull({feed.subscription.key})

    async def _bury(self, job: SpeechJob, feed: SentenceFeed, part: int) -> None:
        stone = tombstone(job.turn, job.sentence, part, min(job.attempt + 1, 65535))
        try:
            await self._streams.end_sentences({feed.subscription.key: stone.pack()})
        except StreamsError as failure:
            log.warning("no tombstone for %s: %s", feed.subscription.key, failure)
