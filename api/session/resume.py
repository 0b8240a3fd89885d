"""Resume: what a session said between the place a listener names and the place it joined again. Not: sockets.

Everything comes from Redis, so it is the same on any api process and after any restart. What is gone there is named
as a gap, never passed over in silence.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from api.errors import AudioGone
from api.events import Gap, Resume
from api.session.listeners import Item
from api.session.mirror import MAX_WAITING
from api.streams import Streams
from api.turn.replay import Newest, Position, TurnReader, count_sentences

_ENDS = {"tts_end", "tts_stop"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a listener joined: from here on it hears everything live."""

    event: int
    """Number of the newest event."""
    position: Newest | None
    """The newest chunk; None before the first."""


async def missed(streams: Streams, session: str, resume: Resume, joined: Place) -> AsyncIterator[Item]:
    """Messages after `resume.event`, and the sound after the frame it names, each before the message that ends it.

    Sound is sent again only of the turn the listener was in and of those that began since; of none if it names
    no turn, for a page that was loaded anew wants the words and not an old reply read aloud.
    """
    heard = None if resume.sentence is None or resume.part is None else (resume.sentence, resume.part)
    ended: set[int] = set()
    if resume.event is not None:
        gap = Item(Gap(what="messages", message="Some messages before this are gone.").to_json(session))
        if await are_events_gone(streams, session, resume.event, joined.event):
            yield gap
        before = await streams.event_until(session, resume.event)
        async for entry_id, text in _messages(streams, session, resume.event, joined.event):
            if is_hole(before, entry_id, resume.event):
                yield gap
            before, message = entry_id, json.loads(text)
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


def is_new(item: Item, resume: Resume, joined: Place) -> bool:
    """Whether a live item is news to who has all that `resume` names.

    It may name more than this process has said yet: as a follower it is a little behind the holder, and a holder
    that is gone may have told more than it could write down.
    """
    if (chunk := item.chunk) is not None:
        if resume.turn != chunk.turn or resume.sentence is None or resume.part is None:
            return True
        return (chunk.sentence, chunk.part) > (resume.sentence, resume.part)
    if resume.event is None:
        return True
    had = _number(resume.event)
    if not joined.event < had <= joined.event + MAX_WAITING:
        return True  # it has no more than was said here, or more than anybody can have told
    number = json.loads(item.text).get("event", "")
    return not number or _number(number) > had


async def are_events_gone(streams: Streams, session: str, after: str, newest: int) -> bool:
    """Whether there were messages after an id that Redis no longer has; numbers it never used are no loss."""
    number = _number(after)
    oldest = await streams.first_event(session)
    return number < newest and (oldest == 0 or oldest > number + 1)


def is_hole(before: str | None, entry_id: str, had: str) -> bool:
    """Whether messages between two that Redis has one after the other are lost, and not only numbers never used.

    `had`: the listener's last one; what was lost up to there it does not miss.
    """
    if before is None:
        return False
    number = _number(entry_id)
    # Who takes a session over leaves out `MAX_WAITING`.
    return 0 < number - _number(before) - 1 < MAX_WAITING and number > _number(had) + 1


def _number(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])


async def _messages(streams: Streams, session: str, after: str, until: int) -> AsyncIterator[tuple[str, str]]:
    while found := await streams.read_events(session, after):
        for after, text in found:
            if _number(after) > until:
                return
            yield after, text


async def _sound(
    streams: Streams, session: str, turn: int, after: Position | None, joined: Place
) -> AsyncIterator[Item]:
    """Sound up to the place where the listener joined, or to the turn's end; then the gap, if it was not all there."""
    end = (joined.position[1], joined.position[2] + 1) if joined.position and joined.position[0] == turn else None
    reader = TurnReader(streams, session, turn, after)
    while chunks := await reader.read():
        for chunk in chunks:
            if end is not None and (chunk.sentence, chunk.part) >= end:
                return
            yield Item(chunk=chunk)
    if end is None:
        try:
            is_whole = reader.position[0] >= await count_sentences(streams, session, turn)
        except AudioGone:
            is_whole = False
    else:
        is_whole = reader.position >= end
    if not is_whole:
        goes_on = (end[0] + 1, 0) if end and joined.position and joined.position[3] else end
        sentence, part = goes_on or (None, None)
        gone = Gap(what="audio", turn=turn, sentence=sentence, part=part, message="Some of this reply's sound is gone.")
        yield Item(gone.to_json(session))
