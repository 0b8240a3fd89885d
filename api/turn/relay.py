"""Relay: follows the sentence streams of a turn, reorders, hands chunks to a sink. Not: who listens, who retries."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

from api.inbox import Inbox, Subscription
from api.streams import Entry, Streams
from api.turn.reorder import ReorderBuffer
from api.turn.timing import Timing
from contract import keys
from contract.audio import bytes_to_ms
from contract.chunk import Chunk, unpack
from contract.errors import SpeechError, error_from_dict

Sink = Callable[[Chunk], None]
POLL_S = 0.05
"""How often a replay that has caught up looks for more. Live listeners are rung, not polled."""


class SentenceFeed:
    """What one sentence's stream has said so far; `changed` is set whenever it said something new."""

    def __init__(
        self, key: str, on_chunk: Callable[[Chunk], None], on_claim: Callable[[], None], timing: Timing
    ) -> None:
        self.timing = timing
        self.changed = asyncio.Event()
        self.attempt = 0
        """The one in hand; 0 before the first."""
        self.worker = ""
        self.claimed_attempt = 0
        self.heard_at = time.monotonic()
        """When it last said anything, chunk or beat."""
        self.moved_at = self.heard_at
        """When it was last claimed or gave a chunk."""
        self.error: SpeechError | None = None
        """Why the current attempt ended without success."""
        self.is_complete = False
        self.size = 0
        """Bytes of PCM."""
        self.subscription = Subscription(key, self.on_entries, self.on_beat)
        self._on_chunk = on_chunk
        self._on_claim = on_claim

    @property
    def duration_ms(self) -> int:
        """Length of the speech so far."""
        return bytes_to_ms(self.size)

    def on_entries(self, entries: list[Entry]) -> None:
        """Take what the stream says, in its own order."""
        self.heard_at = time.monotonic()
        for entry_id, fields in entries:
            attempt = int(entry_id.partition("-")[0])
            if worker := fields.get(b"c"):
                self.worker, self.claimed_attempt = worker.decode(), attempt
                self.moved_at = self.heard_at
                self.timing.mark_claimed()
                self._on_claim()
            elif error := fields.get(b"e"):
                self.error = error_from_dict(json.loads(error))
            elif frame := fields.get(b"f"):
                self._take(unpack(frame))
        self.changed.set()

    def on_beat(self, attempt: int) -> None:
        """The worker lives though it has nothing to show yet."""
        if attempt == self.attempt:
            self.heard_at = time.monotonic()

    def _take(self, chunk: Chunk) -> None:
        self.moved_at = self.heard_at
        self.claimed_attempt = max(self.claimed_attempt, min(chunk.attempt, self.attempt))
        self.size += len(chunk.pcm)
        if chunk.pcm:
            self.timing.mark_audio()
        self.is_complete = self.is_complete or chunk.last
        self._on_chunk(chunk)


class Relay:
    """The live path of one turn: every sentence in synthesis is followed, the sink hears them in order."""

    def __init__(self, inbox: Inbox, session: str, turn: int, sink: Sink) -> None:
        self._inbox = inbox
        self._session = session
        self._turn = turn
        self._sink = sink
        self._feeds: dict[int, SentenceFeed] = {}
        self._is_closed = False
        self._reorder = ReorderBuffer()

    @property
    def position(self) -> tuple[int, int]:
        """(sentence, part) that the sink gets next."""
        return self._reorder.position

    def key(self, sentence: int) -> str:
        """The stream of a sentence."""
        return keys.sentence(self._session, self._turn, sentence)

    def follow(self, sentence: int, timing: Timing, on_claim: Callable[[], None]) -> SentenceFeed:
        """Begin to follow a sentence; `on_claim` is called whenever a worker takes it."""
        feed = SentenceFeed(self.key(sentence), self.push, on_claim, timing)
        self._feeds[sentence] = feed
        self._inbox.subscribe(feed.subscription)
        return feed

    def leave(self, sentence: int) -> None:
        """Stop following a sentence."""
        if feed := self._feeds.pop(sentence, None):
            self._inbox.unsubscribe(feed.subscription)

    def next_part(self, sentence: int) -> int:
        """First part of a sentence that is still missing."""
        return self._reorder.next_part(sentence)

    def given_parts(self, sentence: int) -> int:
        """How many parts of a sentence the sink was given, 0 for those whose turn has not come."""
        current, part = self._reorder.position
        return part if sentence == current else 0

    def push(self, chunk: Chunk) -> None:
        """Take a chunk from a stream, or the end of a sentence from its owner."""
        if self._is_closed:
            return
        for due in self._reorder.push(chunk):
            self._sink(due)

    def close(self) -> None:
        """Hand out nothing more, and keep nothing."""
        self._is_closed = True
        self._reorder.clear()
        for sentence in list(self._feeds):
            self.leave(sentence)


async def replay(
    streams: Streams,
    session: str,
    turn: int,
    after: tuple[int, int] | None = None,
    is_live: Callable[[], bool] = lambda: False,
) -> AsyncIterator[Chunk]:
    """The chunks of a turn from Redis, after (sentence, part), in order: of an old turn, or of one being spoken.

    Goes on while `is_live` says that there will be more, and ends where the streams end.
    """
    reorder = ReorderBuffer(after)
    position = "0-0"
    while True:
        sentence, _ = reorder.position
        key = keys.sentence(session, turn, sentence)
        was_live = is_live()
        entries = (await streams.read({key: position})).get(key, [])
        for entry_id, fields in entries:
            position = entry_id
            if frame := fields.get(b"f"):
                for chunk in reorder.push(unpack(frame)):
                    yield chunk
        if reorder.position[0] > sentence:
            position = "0-0"
        elif not entries:
            if not was_live:
                return
            await asyncio.sleep(POLL_S)
