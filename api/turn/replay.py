"""Replay: a turn's sound read again from its streams, in order. Not: live listeners, who are rung."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

from api.errors import AudioGone
from api.streams import Streams
from api.turn.reorder import ReorderBuffer
from contract import keys
from contract.chunk import Chunk, unpack

POLL_S = 0.05
"""How often a replay that has caught up looks for more."""
Position = tuple[int, int]
"""(sentence, part) that is due next."""
Newest = tuple[int, int, int, bool]
"""(turn, sentence, part) of the newest chunk that somebody was given, and whether its sentence ends with it."""


class TurnReader:
    """A place in the sound of one turn."""

    def __init__(self, streams: Streams, session: str, turn: int, after: Position | None = None) -> None:
        """`after` is the (sentence, part) that the listener already has."""
        self.turn = turn
        self.sizes: Counter[int] = Counter()
        """Bytes of PCM read so far, by sentence."""
        self._streams = streams
        self._session = session
        self._reorder = ReorderBuffer(after)
        self._entry = "0-0"

    @property
    def position(self) -> Position:
        """(sentence, part) that is due next."""
        return self._reorder.position

    async def read(self) -> list[Chunk]:
        """The next chunks that are there, of one sentence at a time; empty when there are none now."""
        while True:
            sentence, _ = self.position
            key = keys.sentence(self._session, self.turn, sentence)
            entries = (await self._streams.read({key: self._entry})).get(key, [])
            due: list[Chunk] = []
            for entry_id, fields in entries:
                self._entry = entry_id
                if frame := fields.get(b"f"):
                    due += self._reorder.push(unpack(frame))
            if self.position[0] > sentence:
                self._entry = "0-0"
            for chunk in due:
                self.sizes[chunk.sentence] += len(chunk.pcm)
            if due or not entries:
                return due


async def replay(
    streams: Streams,
    session: str,
    turn: int,
    given: Callable[[], Position | None] = lambda: None,
) -> AsyncIterator[Chunk]:
    """The chunks of a turn from Redis, in order, from its start: of an old turn, or of one being spoken.

    `given` says how far a turn that is being spoken has come, and None as soon as it has ended.
    Raises: AudioGone where the streams have lost what was once there.
    """
    reader = TurnReader(streams, session, turn)
    while True:
        reached = given()
        chunks = await reader.read()
        for chunk in chunks:
            yield chunk
        if chunks:
            continue
        if reached is None:
            if reader.position[0] < await count_sentences(streams, session, turn):
                raise AudioGone
            return
        if reader.position < reached:
            raise AudioGone
        await asyncio.sleep(POLL_S)


async def count_sentences(streams: Streams, session: str, turn: int) -> int:
    """How many sentences a turn has, as far as it has come.

    Raises: AudioGone if nobody knows.
    """
    fields = await streams.load_turn(session, turn)
    if "state" not in fields:
        raise AudioGone
    return int(fields["sentences"]) if "sentences" in fields else len(recorded_sentences(fields))


def sentence_field(number: int) -> str:
    """Under which name a turn's record keeps a sentence."""
    return f"s{number}"


def recorded_sentences(fields: dict[str, str]) -> list[str]:
    """The sentences that a turn's record has, up to the first that is missing."""
    found: list[str] = []
    while (record := fields.get(sentence_field(len(found)))) is not None:
        found.append(record)
    return found
