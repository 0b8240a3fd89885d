"""Recognition: a recording on its way to a recognition worker and its words on the way back. Not: when to look.

As with sentences, Celery delivers and this decides: who claims a job and falls silent is given up within a second,
what is stale is refused by Redis, and nothing waits for ever.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from api.inbox import Inbox, Subscription
from api.listening.timing import ENGINE, RECOGNITION, RECOGNITIONS
from api.streams import Entry, Streams, StreamsError
from api.turn.dispatch import Envelopes
from contract import keys
from contract.errors import (
    NoRecognizer,
    RecognitionError,
    RecognizerFailed,
    RecognizerLost,
    recognition_error_from_dict,
)
from contract.transcribe import QUEUE_OF, TRANSCRIBE_TASK, Kind, Times, TranscribeJob, Transcript

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""For what was said to the end; what is still being said is looked at again anyway."""
SILENCE_S = 1.0
"""A worker beats every 0.1 s while it works; counted on the inbox's clock."""
STALL_S = 60.0
"""A worker that lives but has heard nothing for this long hangs."""
UNCLAIMED_S = 0.5
"""A job that nobody has claimed by then is looked after."""
NO_RECOGNIZER_S = 6.0
"""How long a recording waits for a worker to appear: longer than a worker's restart."""
WAITING_S: dict[Kind, float] = {"partial": 3.0, "final": 20.0, "file": 300.0}
"""How long a job waits in a queue that others fill."""
LOOK_S = 0.05


@dataclass(slots=True)
class _Look:
    """One job that is out."""

    job: TranscribeJob
    sent_at: float
    result: asyncio.Future[Transcript]
    claimed_at: float = 0.0
    heard_at: float = 0.0
    """On the inbox's clock."""


class Recognition:
    """Sends recordings to be recognized; one per api process."""

    def __init__(self, streams: Streams, inbox: Inbox, envelopes: Envelopes) -> None:
        self.streams = streams
        self.inbox = inbox
        self.envelopes = envelopes

    def record(self, session: str) -> Recording:
        """A new recording of that session."""
        return Recording(self, f"{session}-{secrets.token_hex(6)}")


@dataclass(slots=True)
class Wishes:
    """How a recording is to be heard."""

    language: str = ""
    prompt: str = ""
    temperature: float = 0.0
    times: Times = "none"


@dataclass(slots=True)
class Recording:
    """The sound of one utterance, or of one piece of a file, and the looks at it."""

    recognition: Recognition
    name: str
    pcm: bytearray = field(default_factory=bytearray)
    """s16le mono 16 kHz."""
    _revision: int = 0
    _sent: int = 0
    _looks: dict[int, _Look] = field(default_factory=dict)
    _subscription: Subscription | None = None
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self, kind: Kind, size: int, wishes: Wishes) -> Transcript:
        """What is heard in the first `size` bytes.

        Raises: RecognitionError.
        """
        attempts = 1 if kind == "partial" else ATTEMPTS
        started = time.monotonic()
        while True:
            attempts -= 1
            try:
                transcript = await self._attempt(kind, size, wishes)
                RECOGNITION.labels(kind=kind).observe(time.monotonic() - started)
                ENGINE.labels(kind=kind).observe(transcript.engine_ms / 1000)
                RECOGNITIONS.labels(kind=kind, result="heard").inc()
                return transcript
            except StreamsError as error:
                log.warning("a recording cannot be sent: %s", error)
                failure: RecognitionError = RecognizerLost("I did not catch that: the server's memory is away.")
                await asyncio.sleep(UNCLAIMED_S)
            except RecognitionError as error:
                failure = error
            RECOGNITIONS.labels(kind=kind, result=failure.code).inc()
            if not failure.retryable or isinstance(failure, NoRecognizer) or attempts <= 0:
                raise failure
            log.warning("a recording is looked at again: %s", failure.text)

    async def close(self) -> None:
        """Nobody wants to know any more."""
        if self._subscription:
            self.recognition.inbox.unsubscribe(self._subscription)
            self._subscription = None
            for look in self._looks.values():
                look.result.cancel()
            try:
                await self.recognition.streams.forget_recording(self.name)
            except StreamsError as error:
                log.debug("a recording is not forgotten: %s", error)

    async def _attempt(self, kind: Kind, size: int, wishes: Wishes) -> Transcript:
        look = await self._send(kind, size, wishes)
        try:
            return await self._wait(look)
        finally:
            self._looks.pop(look.job.revision, None)

    async def _send(self, kind: Kind, size: int, wishes: Wishes) -> _Look:
        # One at a time, so that a job never names samples that are not there yet.
        async with self._sending:
            streams = self.recognition.streams
            if self._subscription is None:
                await streams.open_transcript(self.name)
                key = keys.transcript(self.name)
                self._subscription = Subscription(key, self._take, self._hear_beat)
                self.recognition.inbox.subscribe(self._subscription)
            self._revision += 1
            job = TranscribeJob(
                self.name,
                self._revision,
                kind,
                size,
                self.recognition.inbox.key,
                wishes.language,
                wishes.prompt,
                wishes.temperature,
                wishes.times,
            )
            shown = {"recording": self.name[-12:], "look": self._revision, "kind": kind, "ms": size // 32}
            queue = QUEUE_OF[kind]
            message = self.recognition.envelopes.wrap(TRANSCRIBE_TASK, job.to_dict(), queue, shown)
            look = _Look(job, time.monotonic(), asyncio.get_running_loop().create_future())
            self._looks[job.revision] = look
            end = max(size, self._sent)
            await streams.send_recording(self.name, self._sent, bytes(self.pcm[self._sent : end]), queue, message)
            self._sent = end
            return look

    async def _wait(self, look: _Look) -> Transcript:
        inbox = self.recognition.inbox
        asked_at = look.sent_at
        alone_since = 0.0
        while True:
            done, _ = await asyncio.wait({look.result}, timeout=LOOK_S)
            if done:
                return look.result.result()
            now = time.monotonic()
            if look.claimed_at:
                if inbox.listened_s - look.heard_at > SILENCE_S:
                    raise RecognizerLost
                if now - look.claimed_at > STALL_S:
                    raise RecognizerFailed("I did not catch that: the recognizer takes too long.")
            elif now - asked_at > UNCLAIMED_S:
                asked_at = now
                alone_since = 0.0 if await self._is_somebody_there() else alone_since or now
                if alone_since and now - alone_since > NO_RECOGNIZER_S - UNCLAIMED_S:
                    raise NoRecognizer
                if now - look.sent_at > WAITING_S[look.job.kind]:
                    await self.recognition.streams.fence_transcript(self.name, look.job.revision + 1)
                    raise RecognizerLost("I did not catch that: too many others are speaking.")

    async def _is_somebody_there(self) -> bool:
        """Whether a recognition worker lives. Raises: RecognitionError if all that live cannot recognize."""
        said = await self.recognition.streams.recognizers()
        return bool(said)

    def _take(self, entries: list[Entry]) -> None:
        for entry_id, fields in entries:
            revision = int(entry_id.partition("-")[0])
            look = self._looks.get(revision)
            self._end_older(revision)
            if look is None:
                continue
            look.heard_at = self.recognition.inbox.listened_s
            if b"c" in fields:
                look.claimed_at = time.monotonic()
            elif (b"j" in fields or b"e" in fields) and not look.result.done():
                _finish(look.result, fields)

    def _end_older(self, revision: int) -> None:
        """Redis takes nothing of them any more."""
        for number, look in self._looks.items():
            if number < revision and not look.result.done():
                look.result.set_exception(RecognitionError("Something newer was looked at."))

    def _hear_beat(self, revision: int) -> None:
        if look := self._looks.get(revision):
            look.heard_at = self.recognition.inbox.listened_s


def _finish(result: asyncio.Future[Transcript], fields: dict[bytes, bytes]) -> None:
    data: Any = json.loads(fields.get(b"j") or fields.get(b"e") or b"{}")
    if b"j" in fields:
        result.set_result(Transcript.from_dict(data))
    else:
        result.set_exception(recognition_error_from_dict(data))
