"""Relay: follows the sentence streams of a turn, reorders, hands chunks to a sink. Not: who listens, who retries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import NamedTuple

from api.inbox import Inbox, Subscription
from api.streams import Entry
from api.turn.reorder import ReorderBuffer
from api.turn.timing import CACHE, Timing
from contract import keys
from contract.audio import SAMPLE_BYTES, bytes_to_ms
from contract.chunk import Chunk, unpack
from contract.errors import SpeechError, error_from_dict

Sink = Callable[[Chunk], None]


class _Part(NamedTuple):
    """What is remembered of a chunk that came."""

    entry: str
    size: int
    last_sample: int


class SentenceFeed:
    """What one sentence's stream has said so far; `changed` is set whenever it said something new."""

    def __init__(
        self,
        sentence: int,
        key: str,
        reorder: ReorderBuffer,
        on_chunk: Callable[[Chunk], None],
        on_claim: Callable[[], None],
        timing: Timing,
        clock: Callable[[], float],
    ) -> None:
        """`clock` goes only while workers can be heard; `reorder` is where the turn's chunks wait."""
        self.timing = timing
        self.changed = asyncio.Event()
        self.attempt = 0
        """The one in hand; 0 before the first."""
        self.worker = ""
        self.claimed_attempt = 0
        self.is_cached = False
        """Nobody had to make it: it was said before."""
        self.error: SpeechError | None = None
        """Why the current attempt ended without success."""
        self.has_ended = False
        """Whether the last chunk of an attempt in hand has come, with or without those before it."""
        self.size = 0
        """Bytes of PCM."""
        self.is_repeatable = True
        """Whether another attempt makes the same samples as those before it."""
        self.restart_ms = 0
        """How much of the speech belongs to attempts that were given up, and is said again behind it."""
        self.subscription = Subscription(key, self.on_entries, self.on_beat)
        self._on_chunk = on_chunk
        self._on_claim = on_claim
        self._clock = clock
        self._sentence = sentence
        self._reorder = reorder
        self._parts: dict[int, _Part] = {}
        self._heard_at = self._moved_at = clock()

    @property
    def is_claimed(self) -> bool:
        """Whether a worker has taken the attempt in hand."""
        return self.claimed_attempt >= self.attempt

    @property
    def is_complete(self) -> bool:
        """Whether all of it is there."""
        return self._reorder.is_whole(self._sentence)

    @property
    def last_sample(self) -> int:
        """Of the newest part; 0 before the first."""
        spoken = [number for number, part in self._parts.items() if part.size]
        return self._parts[max(spoken)].last_sample if spoken else 0

    @property
    def patience(self) -> int:
        """How much longer this attempt is waited for than the first: what is too busy to answer is not always dead."""
        return min(4, 1 << max(0, self.attempt - 1))

    @property
    def silent_s(self) -> float:
        """How long it has said nothing, chunk or beat, to an api that listened."""
        return self._clock() - self._heard_at

    @property
    def stalled_s(self) -> float:
        """How long it has neither been claimed nor given a chunk."""
        return self._clock() - self._moved_at

    def begin(self, attempt: int) -> None:
        """Another attempt is on its way: what ended the one before no longer counts."""
        self.attempt, self.error, self.has_ended = attempt, None, False
        self._heard_at = self._moved_at = self._clock()

    def forget(self) -> bool:
        """Drop all that came, if nobody was given any of it; False if somebody was."""
        if not self._reorder.forget(self._sentence):
            return False
        self._parts.clear()
        self.size = self.restart_ms = 0
        return True

    def restart(self, part: int) -> list[str]:
        """The sentence begins again behind what there is of it, of which `part` is the first that is missing.

        Returns the entries behind that part, which are no good to anybody any more.
        """
        self._reorder.cut(self._sentence)
        beyond = [self._parts.pop(number) for number in sorted(self._parts) if number >= part]
        self.size -= sum(lost.size for lost in beyond)
        self.restart_ms = self.duration_ms
        return [lost.entry for lost in beyond]

    @property
    def duration_ms(self) -> int:
        """Length of the speech so far."""
        return bytes_to_ms(self.size)

    def on_entries(self, entries: list[Entry]) -> None:
        """Take what the stream says, in its own order."""
        self._heard_at = self._clock()
        for entry_id, fields in entries:
            attempt = int(entry_id.partition("-")[0])
            self.is_cached = b"h" in fields or (self.is_cached and b"c" not in fields)
            if worker := fields.get(b"c"):
                self.worker, self.claimed_attempt = worker.decode(), attempt
                self.is_repeatable = self.is_repeatable and fields.get(b"r") != b"0"
                self._moved_at = self._heard_at
                self.timing.mark_claimed()
                self._on_claim()
            elif error := fields.get(b"e"):
                self.error = error_from_dict(json.loads(error))
            elif frame := fields.get(b"f"):
                self._take(unpack(frame), entry_id)
        self.changed.set()

    def on_beat(self, attempt: int) -> None:
        """The worker lives though it has nothing to show yet."""
        if attempt == self.attempt:
            self._heard_at = self._clock()

    def _take(self, chunk: Chunk, entry_id: str) -> None:
        self._moved_at = self._heard_at
        self.claimed_attempt = max(self.claimed_attempt, min(chunk.attempt, self.attempt))
        if not chunk.failed:
            known = self._parts.get(chunk.part)
            self.size += len(chunk.pcm) - (known.size if known else 0)
            last_sample = int.from_bytes(chunk.pcm[-SAMPLE_BYTES:], "little", signed=True)
            self._parts[chunk.part] = _Part(entry_id, len(chunk.pcm), last_sample)
        if chunk.pcm:
            self.timing.mark_audio()
        if chunk.last and not self.has_ended:
            self.has_ended = True
            CACHE.labels(result="hit" if self.is_cached else "miss").inc()
        self._on_chunk(chunk)


class Relay:
    """The live path of one turn: every sentence in synthesis is followed, the sink hears them in order."""

    def __init__(self, inbox: Inbox, session: str, turn: int, sink: Sink, after: tuple[int, int] | None = None) -> None:
        """`after` is the (sentence, part) that the sink already has."""
        self._inbox = inbox
        self._session = session
        self._turn = turn
        self._sink = sink
        self._feeds: dict[int, SentenceFeed] = {}
        self._is_closed = False
        self._reorder = ReorderBuffer(after)

    @property
    def position(self) -> tuple[int, int]:
        """(sentence, part) that the sink gets next."""
        return self._reorder.position

    def key(self, sentence: int) -> str:
        """The stream of a sentence."""
        return keys.sentence(self._session, self._turn, sentence)

    def follow(self, sentence: int, timing: Timing, on_claim: Callable[[], None]) -> SentenceFeed:
        """Begin to follow a sentence; `on_claim` is called whenever a worker takes it."""
        feed = self._feeds[sentence] = self._feed(sentence, timing, on_claim)
        self._inbox.subscribe(feed.subscription)
        return feed

    def recall(self, sentence: int, size: int) -> SentenceFeed:
        """A sentence that was spoken whole before this relay began."""
        feed = self._feed(sentence, Timing(), lambda: None)
        feed.attempt, feed.size = 1, size
        return feed

    def _feed(self, sentence: int, timing: Timing, on_claim: Callable[[], None]) -> SentenceFeed:
        return SentenceFeed(
            sentence,
            self.key(sentence),
            self._reorder,
            self.push,
            on_claim,
            timing,
            clock=lambda: self._inbox.listened_s,
        )

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
