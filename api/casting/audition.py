"""Audition: one sentence in a voice that somebody considers, outside any session. Not: characters, who may ask."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial

from api.casting.clips import Provide, no_clips
from api.ending import end_tasks
from api.inbox import Inbox
from api.streams import Streams, StreamsError
from api.turn.dispatch import Dispatcher
from api.turn.relay import Relay
from api.turn.spoken import spoken
from api.turn.timing import Timing
from contract.chunk import Chunk
from contract.errors import TextUnspeakable
from contract.job import SpeechJob
from contract.voice import Voice

log = logging.getLogger(__name__)

AUDITION_CHARS = 200
_endings: set[asyncio.Task[None]] = set()
SHOWN_AS = "Preview"
"""Who speaks, for people who watch the queue."""


class Audition:
    """The sound of one sentence, while it is being made."""

    def __init__(
        self, owner: str, streams: Streams, inbox: Inbox, dispatcher: Dispatcher, provide: Provide = no_clips
    ) -> None:
        self._owner = owner
        self._provide = provide
        self._streams = streams
        self._dispatcher = dispatcher
        self._stage = f"audition-{secrets.token_urlsafe(12)}"
        self._chunks: asyncio.Queue[Chunk] = asyncio.Queue()
        self._relay = Relay(inbox, self._stage, 0, self._chunks.put_nowait)

    async def speak(self, text: str, voice: Voice) -> AsyncGenerator[bytes]:
        """PCM as it comes. Who closes the iterator stops the voice within one chunk.

        Raises: SpeechError.
        """
        if not (words := spoken(text)):
            raise TextUnspeakable
        job = SpeechJob(self._stage, 0, 0, 1, words, voice, SHOWN_AS, self._dispatcher.inbox_key)
        feed = self._relay.follow(0, Timing(), lambda: None)
        opening = self._dispatcher.open(self._relay.key(0))
        prepare = partial(self._provide, self._owner, voice)
        speaking = asyncio.create_task(
            self._dispatcher.speak(job, feed, opening, lambda: self._relay.next_part(0), prepare)
        )
        try:
            async for chunk in self._until_over(speaking):
                if chunk.pcm:
                    yield chunk.pcm
        finally:
            self._relay.close()
            # Whoever goes away cancels us at every await, and what they leave has to be cleared away all the same.
            ending = asyncio.create_task(self._end(speaking))
            _endings.add(ending)
            ending.add_done_callback(_endings.discard)

    async def _until_over(self, speaking: asyncio.Task[None]) -> AsyncIterator[Chunk]:
        while not speaking.done() or not self._chunks.empty():
            getting = asyncio.create_task(self._chunks.get())
            await asyncio.wait({getting, speaking}, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                getting.cancel()
                break
            yield getting.result()
        while not self._chunks.empty():
            yield self._chunks.get_nowait()
        await speaking

    async def _end(self, speaking: asyncio.Task[None]) -> None:
        """Nobody writes to its stream any more, and nothing is kept of it."""
        await end_tasks(speaking)
        key = self._relay.key(0)
        try:
            await self._streams.end_sentences({key: Chunk(0, 0, 0, 1, b"", last=True).pack()}, [key])
        except StreamsError as error:
            log.warning("the stream of a preview was left: %s", error)
