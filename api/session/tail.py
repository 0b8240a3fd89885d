"""Tail: says here what another api process says in a session, as it finds it in Redis. Not: who holds the session."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from api.streams import Streams
from api.turn.replay import Newest, Position, TurnReader
from contract.chunk import Chunk, tombstone

_ENDS = {"tts_end", "tts_stop"}
ENDED_KEPT = 64


class Ears(Protocol):
    """Where it is heard: the session."""

    id: str

    def retell(self, number: int, message: dict[str, Any], text: str) -> None:
        """A message that another process has said."""

    def play(self, chunk: Chunk) -> None:
        """A chunk, to everybody who listens."""

    def silence(self, turn: int) -> None:
        """Let no more sound of a turn out."""

    def tell_gap(self, turn: int) -> None:
        """The rest of a turn's sound is gone."""


class Tail:
    """A place in the events of a session, and one in the sound of each turn that is being spoken."""

    def __init__(self, streams: Streams, ears: Ears, event: int) -> None:
        self.readers: dict[int, TurnReader] = {}
        """By turn; of those that may have sound and have not ended."""
        self._begun: set[int] = set()
        """Turns of which it was said that their sound begins."""
        self._streams = streams
        self._ears = ears
        self._event = event
        self._live: set[int] = set()
        """Turns that wait or are being spoken."""
        self._sentences: dict[int, int] = {}
        """How many sentences of a turn have been announced."""
        self._ended: deque[int] = deque(maxlen=ENDED_KEPT)
        """Turns that have ended lately."""
        self._stepping = asyncio.Lock()
        self._is_over = False

    async def catch_up(self, turns: range) -> Newest | None:
        """Find the end of what has been said without saying it; the newest chunk."""
        newest: Newest | None = None
        for turn in turns:
            record = await self._streams.load_turn(self._ears.id, turn)
            state = record.get("state")
            if sentences := int(record.get("sentences", 0)):
                newest = (turn, sentences, -1, False)
            if state in {"running", "waiting"}:
                self._live.add(turn)
            if state != "running":
                continue
            messages = await self._streams.events_of_turn(self._ears.id, turn)
            # What was said since is said by `step`.
            messages = [message for message in messages if int(message["event"].partition("-")[0]) <= self._event]
            self._sentences[turn] = 1 + max((m["sentence"] for m in messages if m["type"] == "sentence"), default=-1)
            said = {message["type"] for message in messages}
            if said & _ENDS:
                continue
            if "tts_start" in said:
                self._begun.add(turn)
            # Whoever spoke it may have died before it could write down that sound had begun.
            reader = self.readers[turn] = TurnReader(self._streams, self._ears.id, turn)
            while chunks := await reader.read():
                newest = (turn, chunks[-1].sentence, chunks[-1].part, chunks[-1].last)
        return newest

    @property
    def is_live(self) -> bool:
        """Whether any turn waits or is being spoken."""
        return bool(self._live)

    def given(self, turn: int) -> Position | None:
        """How far a turn has come that is being spoken or waits; None if there will be no more of it."""
        if turn in self.readers:
            return self.readers[turn].position
        return (0, 0) if turn in self._live else None

    def end(self) -> None:
        """Say nothing more."""
        self._is_over = True

    @asynccontextmanager
    async def standing_still(self) -> AsyncIterator[None]:
        """Say all that there is, and nothing more until this is closed: here somebody else may go on."""
        async with self._stepping:
            while await self._step():
                pass
            yield

    async def look_at(self, turn: int) -> None:
        """Learn whether a turn waits or runs that nothing was said of yet."""
        async with self._stepping:
            state = (await self._streams.load_turn(self._ears.id, turn)).get("state")
            if state in {"running", "waiting"} and turn not in self._ended:
                self._live.add(turn)

    async def step(self) -> bool:
        """Say what is new; False if nothing was."""
        async with self._stepping:
            return await self._step()

    async def _step(self) -> bool:
        found = await self._streams.read_events(self._ears.id, f"{self._event}-0")
        for entry_id, text in found:
            if self._is_over:
                return False
            message = json.loads(text)
            match message["type"]:
                case "turn" if message["state"] == "started":
                    self._live.add(message["turn"])
                case "turn":
                    self._forget(message["turn"])
                case "tts_start":
                    turn = message["turn"]
                    self._begun.add(turn)
                    self.readers.setdefault(turn, TurnReader(self._streams, self._ears.id, turn))
                case "tts_end":
                    await self._play_to_the_end(message["turn"])
                case "tts_stop":
                    self._cut(message["turn"])
                case "sentence":
                    turn, count = message["turn"], message["sentence"] + 1
                    self._sentences[turn] = max(count, self._sentences.get(turn, 0))
            self._event = int(entry_id.partition("-")[0])
            self._ears.retell(self._event, message, text)
        sounds = [await self._play(turn) for turn in list(self.readers) if turn in self._begun]
        return bool(found) or any(sounds)

    def _forget(self, turn: int) -> None:
        self._live.discard(turn)
        self._begun.discard(turn)
        self._sentences.pop(turn, None)
        self.readers.pop(turn, None)
        self._ended.append(turn)

    async def _play_to_the_end(self, turn: int) -> None:
        """Play all that is left of a turn; say so if something of it is gone."""
        reader = self.readers.get(turn)
        await self._play(turn)
        if reader and reader.position < (self._sentences.get(turn, 0), 0) and not self._is_over:
            self._ears.tell_gap(turn)
        self.readers.pop(turn, None)
        self._begun.discard(turn)
        self._sentences.pop(turn, None)

    async def _play(self, turn: int) -> bool:
        """Play what there is of a turn; False if there is nothing new."""
        reader = self.readers.get(turn)
        has_played = False
        while reader and not self._is_over and (chunks := await reader.read()):
            if self._is_over:
                return False
            for chunk in chunks:
                self._ears.play(chunk)
            has_played = True
        return has_played

    def _cut(self, turn: int) -> None:
        """Its sentences end, for whoever counts on it, and nothing more of it is heard."""
        self._ears.silence(turn)
        reader = self.readers.pop(turn, None)
        sentence, part = reader.position if reader else (0, 0)
        for number in range(sentence, self._sentences.pop(turn, 0)):
            self._ears.play(tombstone(turn, number, part if number == sentence else 0, 0))
