"""Reading: pieces of text → PCM in order, made once however many callers wait for it. Not: formats, HTTP.

A caller that leaves costs the others nothing; when the last one has left, what is still to be made is not. Much of
what all callers have is forgotten, and from then on it cannot be joined any more.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from functools import partial
from itertools import islice

from api.ending import end_tasks
from api.speaking.passages import Piece
from api.streams import StreamsError
from api.turn.relay import Relay
from api.turn.stage import Parts
from api.turn.timing import SENTENCES, Timing
from contract.audio import ms_to_bytes
from contract.chunk import PART_BYTES, Chunk, tombstone
from contract.errors import SpeechError
from contract.job import SpeechJob

log = logging.getLogger(__name__)

Sound = AsyncGenerator[tuple[int, bytes]]
"""(piece, PCM), in order."""
AT_ONCE = 3
"""Pieces in synthesis at the same time."""
AHEAD_BYTES = ms_to_bytes(60_000)
"""Speech that is made ahead of the slowest caller."""
KEPT_BYTES = ms_to_bytes(90_000)
"""Speech that is there for who asks for the same a little later, say because the first answer was lost."""


class Reading:
    """One text on its way to whoever asked for it."""

    def __init__(self, parts: Parts, owner: str, title: str, on_left: Callable[[Reading], None]) -> None:
        """`title` is who speaks, for people who watch the queue; `on_left` is called once, when nobody listens any
        more, and has to see to it that `close` is awaited."""
        self.id = f"speech-{secrets.token_urlsafe(12)}"
        self.duration_bytes = 0
        """Of PCM so far."""
        self.characters = 0
        """Of the pieces that were spoken."""
        self._parts = parts
        self._owner = owner
        self._title = title
        self._on_left = on_left
        self._relay = Relay(parts.inbox, self.id, 0, self._play)
        self._room = asyncio.Semaphore(AT_ONCE)
        self._chunks: deque[tuple[int, bytes]] = deque()
        """(piece, PCM) that callers have still to get, and what is kept for others to come."""
        self._held_bytes = 0
        self._dropped = 0
        self._callers: dict[int, int] = {}
        """Caller → how many chunks it has had."""
        self._next_caller = 0
        self._jobs: list[asyncio.Task[None]] = []
        self._opened: set[int] = set()
        self._count = 0
        self._ended: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._moved = asyncio.Event()
        self._is_over = False
        self._is_closed = False
        self._error: SpeechError | None = None

    @property
    def can_be_joined(self) -> bool:
        """Whether somebody who comes now would hear it from its start."""
        return not (self._dropped or self._error or self._is_closed)

    def add(self, pieces: Iterable[Piece]) -> None:
        """More to be spoken."""
        for piece in pieces:
            self._jobs.append(asyncio.create_task(self._make(self._count, piece)))
            self._count += 1

    def finish(self) -> None:
        """Nothing more will be added."""
        self._ended = self._ended or asyncio.create_task(self._end())

    async def listen(self) -> Sound:
        """Yield (piece, PCM) from the start, in order. Closing it means to leave.

        Raises: SpeechError, where a piece could not be spoken; what comes after it is not made.
        """
        caller, self._next_caller = self._next_caller, self._next_caller + 1
        self._callers[caller] = 0
        try:
            while True:
                place = self._callers[caller]
                if place < self._dropped + len(self._chunks):
                    found = self._chunks[place - self._dropped]
                    self._callers[caller] += 1
                    self._forget()
                    yield found
                    continue
                if self._error:
                    raise self._error
                if self._is_over:
                    return
                news = self._news
                await news.wait()
        finally:
            # Nothing is awaited here: whoever leaves may be in the midst of being cancelled.
            del self._callers[caller]
            self._forget()
            if not self._callers and not self._is_closed:
                self._is_closed = True
                self._on_left(self)

    async def close(self) -> None:
        """Nobody wants the rest."""
        self._is_closed = self._is_over = True
        self._tell()
        self._relay.close()
        await end_tasks(*self._jobs, *([self._ended] if self._ended else []))
        await self._clean()

    async def _make(self, number: int, piece: Piece) -> None:
        async with self._room:
            await self._wait_for_callers()
            if not piece.text:
                self._pause(number, piece.pause_ms)
                return
            key = self._relay.key(number)
            self._opened.add(number)
            feed = self._relay.follow(number, Timing(), lambda: None)
            try:
                await self._parts.dispatcher.speak(
                    self._job(number, piece),
                    feed,
                    self._parts.dispatcher.open(key),
                    lambda: self._relay.next_part(number),
                    partial(self._parts.provide, self._owner, piece.voice),
                )
                SENTENCES.labels(state="done").inc()
                self.characters += len(piece.text)
            except SpeechError as error:
                SENTENCES.labels(state="failed").inc()
                self._fail(error)
            finally:
                self._relay.leave(number)

    def _job(self, number: int, piece: Piece) -> SpeechJob:
        return SpeechJob(
            session=self.id,
            turn=0,
            sentence=number,
            attempt=1,
            text=piece.text,
            voice=piece.voice,
            character=self._title,
            inbox=self._parts.dispatcher.inbox_key,
        )

    def _pause(self, number: int, ms: int) -> None:
        silence, part = bytes(ms_to_bytes(ms)), 0
        while silence:
            self._relay.push(Chunk(0, number, part, 1, silence[:PART_BYTES], len(silence) <= PART_BYTES))
            silence, part = silence[PART_BYTES:], part + 1

    async def _wait_for_callers(self) -> None:
        """Hold back while the slowest caller has much to read."""
        while self._ahead_bytes() > AHEAD_BYTES:
            self._moved.clear()
            await self._moved.wait()

    def _play(self, chunk: Chunk) -> None:
        if chunk.pcm:
            self.duration_bytes += len(chunk.pcm)
            self._chunks.append((chunk.sentence, chunk.pcm))
            self._held_bytes += len(chunk.pcm)
            self._tell()

    def _fail(self, error: SpeechError) -> None:
        self._error = self._error or error
        self._tell()

    def _forget(self) -> None:
        """What every caller has had, unless there is room for it."""
        self._moved.set()
        slowest = min(self._callers.values(), default=0)
        while self._held_bytes > KEPT_BYTES and self._dropped < slowest:
            self._held_bytes -= len(self._chunks.popleft()[1])
            self._dropped += 1

    def _ahead_bytes(self) -> int:
        taken = min(self._callers.values(), default=0) - self._dropped
        return sum(len(pcm) for _, pcm in islice(self._chunks, max(0, taken), None))

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _end(self) -> None:
        for result in await asyncio.gather(*self._jobs, return_exceptions=True):
            if isinstance(result, Exception):
                log.error("a reading broke", exc_info=result)
                self._fail(SpeechError())
        self._is_over = True
        self._tell()

    async def _clean(self) -> None:
        """End what runs, and forget the sound: nobody will ask for it again under this name."""
        keys = {number: self._relay.key(number) for number in self._opened}
        ends = {key: tombstone(0, number, 0, 0).pack() for number, key in keys.items()}
        try:
            if ends:
                await self._parts.streams.end_sentences(ends, ends)
        except StreamsError as error:
            log.warning("a reading is not ended in redis: %s", error)
