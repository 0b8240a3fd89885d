"""The only door to Redis in the workers: claims, chunks, bells, signs of life. Not: what is in the audio.

The id of every entry is explicit, `<attempt>-<part + 2>`, and never makes a stream (NOMKSTREAM). So Redis itself
refuses what is stale (a newer attempt has fenced), doubled, or cancelled (the owner wrote the highest id there is).
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from contract import keys
from contract.chunk import Chunk
from contract.errors import LogLost, QueueUnreachable, SpeechCancelled, SpeechError
from contract.job import QUEUES, SpeechJob

CLAIM_SEQ, FIRST_PART_SEQ = 1, 2
BEAT_S = 0.05
"""A running job that has nothing to say tells its owner that it lives, so that silence means death."""
BACKLOG_PARTS = 64
"""Parts that wait for Redis before the engine has to."""
_REFUSED = "equal or smaller"


def connect(url: str) -> Redis:
    """A client whose calls end within seconds. One retry is safe because every id is explicit."""
    return Redis.from_url(
        url,
        socket_timeout=5,
        socket_connect_timeout=2,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 1),
    )


_WRITERS = ThreadPoolExecutor(max_workers=256, thread_name_prefix="sentence-log")
"""Threads that outlive their sentence: making one takes as long as espeak's first sound."""


@dataclass(frozen=True, slots=True)
class _Write:
    seq: int
    fields: dict[str, bytes]


class Beats:
    """Says for all jobs of this process which have nothing to write that they live, in one round trip: a worker that
    speaks 64 sentences would otherwise do little else."""

    def __init__(self) -> None:
        self._logs: set[SentenceLog] = set()
        self._lock = threading.Lock()
        self._process = 0
        self._wake = threading.Event()

    def begin(self, log: SentenceLog) -> None:
        """From now on, until `end`."""
        with self._lock:
            self._logs.add(log)
            if self._process != os.getpid():  # no thread crosses a fork
                self._process = os.getpid()
                self._logs = {log}
                self._wake = threading.Event()
                threading.Thread(target=self._loop, args=(self._wake,), name="beats", daemon=True).start()
            self._wake.set()

    def end(self, log: SentenceLog) -> None:
        """It has said its last, or is about to."""
        with self._lock:
            self._logs.discard(log)

    def _loop(self, wake: threading.Event) -> None:
        pause = threading.Event()
        while wake.wait():
            pause.wait(BEAT_S)
            with self._lock:
                silent = [log for log in self._logs if log.is_silent()]
                if not self._logs:
                    wake.clear()
            for redis in {log.redis for log in silent}:
                with suppress(RedisError):  # the next chunk will meet the same Redis and end the job with a reason
                    pipe = redis.pipeline(transaction=False)
                    for log in silent:
                        if log.redis is redis:
                            log.beat(pipe)
                    pipe.execute(raise_on_error=False)


_BEATS = Beats()


class SentenceLog:
    """Writer of one job's stream. A thread of its own carries chunks, so that the engine never waits for Redis
    unless it is `BACKLOG_PARTS` ahead, and so that whatever piles up meanwhile goes in one round trip."""

    def __init__(self, redis: Redis, job: SpeechJob, worker: str) -> None:
        self.redis = redis
        self._written_at = 0.0
        self._job = job
        self._worker = worker
        self._key = keys.sentence(job.session, job.turn, job.sentence)
        self._writes: queue.Queue[_Write | None] = queue.Queue(BACKLOG_PARTS)
        self._stopped: SpeechError | None = None
        self._has_sent_chunk = False
        self._loop: Future[None] | None = None

    def claim(self, *, is_repeatable: bool, is_cached: bool = False) -> bool:
        """Take the job; False if it is stale, doubled, cancelled or its stream is gone. The owner has to know whether
        another attempt could make the same samples, and whether these are made already.

        Raises: QueueUnreachable.
        """
        fields = {"c": self._worker.encode(), "r": b"1" if is_repeatable else b"0"}
        claim = _Write(CLAIM_SEQ, fields | ({"h": b"1"} if is_cached else {}))
        try:
            accepted = self._send([claim])[0]
        except RedisError as error:
            raise QueueUnreachable(str(error)) from error
        if accepted is not None:
            return False
        self._loop = _WRITERS.submit(self._write_loop)
        _BEATS.begin(self)
        return True

    def append(self, chunk: Chunk, *, is_cached: bool = False) -> None:
        """Hand over a chunk; the first says whether it was made before, should that have been found only now.

        Raises: SpeechCancelled or LogLost as soon as Redis has refused an earlier one.
        """
        write = _Write(FIRST_PART_SEQ + chunk.part, {"f": chunk.pack()})
        if is_cached and not self._has_sent_chunk:
            write.fields["h"] = b"1"
        if self._has_sent_chunk and not self._job.is_line:
            self._put(write)
        else:
            # Handing it to the other thread would cost the very first sound a few milliseconds of waiting for
            # the interpreter's lock, which a busy engine holds. And a line is one part, or a few.
            self._write([write])
            self.raise_if_stopped()

    def fail(self, error: SpeechError, after_part: int) -> None:
        """Tell the owner why this attempt ends; the owner decides whether there is another."""
        self._put(_Write(FIRST_PART_SEQ + after_part, {"e": json.dumps(error.to_dict()).encode()}))

    def close(self) -> None:
        """Wait until everything handed over has been written or refused."""
        _BEATS.end(self)
        if self._loop and not self._loop.done():
            self._put_quietly(None)
            self._loop.result()

    def raise_if_stopped(self) -> None:
        """Raise what ended this log, if anything did."""
        if self._stopped:
            raise self._stopped

    def _put(self, write: _Write) -> None:
        self.raise_if_stopped()
        while True:
            try:
                self._writes.put(write, timeout=0.2)
                return
            except queue.Full:
                self.raise_if_stopped()

    def _put_quietly(self, write: _Write | None) -> None:
        while self._loop and not self._loop.done():
            try:
                self._writes.put(write, timeout=0.2)
                return
            except queue.Full:
                continue

    def _write_loop(self) -> None:
        while True:
            batch, is_end = self._next_batch()
            if batch and not self._stopped:
                self._write(batch)
            if is_end:
                return

    def _next_batch(self) -> tuple[list[_Write], bool]:
        batch: list[_Write] = []
        try:
            write = self._writes.get()
            while write is not None:
                batch.append(write)
                write = self._writes.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True

    def _write(self, batch: list[_Write]) -> None:
        try:
            refusals = [refusal for refusal in self._send(batch) if refusal]
        except RedisError as error:
            self._stopped = QueueUnreachable(str(error))
            return
        if refusals:
            self._stopped = refusals[0]

    def _send(self, batch: list[_Write]) -> list[SpeechError | None]:
        """Write a batch and ring, in one round trip.

        The claim and the first chunk travel in their bells too: what everybody waits for need not be fetched.
        """
        self._written_at = time.monotonic()
        pipe = self.redis.pipeline(transaction=False)
        # Of a line only the claim: all of its sound is more than a bell should carry.
        early = batch[:1] if not self._has_sent_chunk and (batch[0].seq == CLAIM_SEQ or not self._job.is_line) else []
        for write in batch:
            entry_id = f"{self._job.attempt}-{write.seq}"
            pipe.xadd(self._key, write.fields, id=entry_id, nomkstream=True)  # type: ignore[arg-type]
            if write in early:
                self._ring(pipe, {"k": self._key, "i": entry_id, **write.fields})
                self._has_sent_chunk = write.seq != CLAIM_SEQ
        if len(batch) > len(early):
            self._ring(pipe, {"k": self._key})
        results = pipe.execute(raise_on_error=False)
        written = results[:1] + results[2 : len(batch) + 1] if early else results[: len(batch)]
        return [self._judge(write, result) for write, result in zip(batch, written, strict=True)]

    def _judge(self, write: _Write, result: Any) -> SpeechError | None:
        if result is None:
            return LogLost()
        if isinstance(result, ResponseError) and _REFUSED in str(result):
            return None if self._is_own(write) else SpeechCancelled()
        if isinstance(result, RedisError):
            raise result
        return None

    def _is_own(self, write: _Write) -> bool:
        """Whether the refusal only says that a lost answer is being repeated."""
        if write.seq == CLAIM_SEQ:
            return False
        top: Any = self.redis.xrevrange(self._key, count=1)
        attempt, _, seq = (top[0][0].decode() if top else "0-0").partition("-")
        return int(attempt) == self._job.attempt and int(seq) >= write.seq

    def is_silent(self) -> bool:
        """Whether it is time for a beat."""
        return not self._stopped and time.monotonic() - self._written_at > BEAT_S / 2

    def beat(self, pipe: Any) -> None:
        """Add a sign of life."""
        self._ring(pipe, {"k": self._key, "b": str(self._job.attempt)})

    def _ring(self, pipe: Any, note: dict[str, str | bytes]) -> None:
        pipe.xadd(self._job.inbox, note, maxlen=keys.INBOX_MAXLEN, approximate=True, nomkstream=True)


def count_waiting(redis: Redis, queues: Iterable[str] = QUEUES) -> int:
    """Messages that a worker could take now; 0 as well when Redis is away or refuses what a worker has to write."""
    pipe = redis.pipeline(transaction=False)
    pipe.set(keys.PROBE, b"", ex=keys.WORKER_LIFETIME_S)
    for name in queues:
        pipe.llen(name)
    try:
        _, *lengths = pipe.execute()
    except RedisError:
        return 0
    return sum(lengths)


class SignOfLife:
    """Says every second that this process takes jobs, and what its engine can speak or hear."""

    def __init__(
        self,
        redis: Redis,
        name: str,
        announcement: Callable[[], dict[str, Any]],
        kind: Literal["worker", "recognizer"] = "worker",
    ) -> None:
        self._redis = redis
        self._name = name
        self._key = keys.worker(name) if kind == "worker" else keys.recognizer(name)
        self._known = keys.WORKERS if kind == "worker" else keys.RECOGNIZERS
        self._announcement = announcement
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="sign-of-life", daemon=True)

    def start(self) -> None:
        """Begin at once."""
        self._thread.start()

    def stop(self) -> None:
        """End, and take the sign down so that nobody counts on this process."""
        self._end.set()
        try:
            self._redis.delete(self._key)
        except RedisError:
            return  # it expires by itself

    def _loop(self) -> None:
        while True:
            with suppress(RedisError):  # said again in a second
                self._redis.set(self._key, json.dumps(self._announcement()), ex=keys.WORKER_LIFETIME_S)
                pipe = self._redis.pipeline(transaction=True)
                pipe.sadd(self._known, self._name)
                pipe.expire(self._known, keys.SESSION_LIFETIME_S)
                pipe.execute()
            if self._end.wait(1.0):
                return
