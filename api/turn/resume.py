"""Resume: what a session said between the place a listener names and the place it joined again. Not: sockets.

Everything comes from Redis, so it is the same on any api process and after any restart.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from api.events import Resume
from api.streams import Streams
from api.turn.listeners import Item
from api.turn.relay import replay

_ENDS = {"tts_end", "tts_stop"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a listener joined: from here on it hears everything live."""

    event: int
    """Number of the newest event."""
    position: tuple[int, int, int] | None
    """(turn, sentence, part) of the newest chunk; None before the first."""


async def missed(streams: Streams, session: str, resume: Resume, joined: Place) -> AsyncIterator[Item]:
    """Messages after `resume.event`, and the sound after the frame it names, each before the message that ends it.

    Sound is sent again only of the turn the listener was in and of those that began since; of none if it names
    no turn, for a page that was loaded anew wants the words and not an old reply read aloud.
    """
    heard = None if resume.sentence is None or resume.part is None else (resume.sentence, resume.part)
    ended: set[int] = set()
    if resume.event is not None:
        async for text in _messages(streams, session, resume.event, joined.event):
            message = json.loads(text)
            if message["type"] in _ENDS and message["turn"] not in ended:
                turn = message["turn"]
                ended.add(turn)
                if message["type"] == "tts_end" and resume.turn is not None and turn >= resume.turn:
                    async for item in _sound(streams, session, turn, heard if turn == resume.turn else None, joined):
                        yield item
            yield Item(text)
    if resume.turn is not None and joined.position is not None:
        for turn in range(resume.turn, joined.position[0] + 1):
            if turn not in ended:
                async for item in _sound(streams, session, turn, heard if turn == resume.turn else None, joined):
                    yield item


async def _messages(streams: Streams, session: str, after: str, until: int) -> AsyncIterator[str]:
    while found := await streams.read_events(session, after):
        for after, text in found:
            if int(after.partition("-")[0]) > until:
                return
            yield text


async def _sound(
    streams: Streams, session: str, turn: int, after: tuple[int, int] | None, joined: Place
) -> AsyncIterator[Item]:
    async for chunk in replay(streams, session, turn, after):
        if joined.position is not None and (chunk.turn, chunk.sentence, chunk.part) > joined.position:
            return
        yield Item(chunk=chunk)
