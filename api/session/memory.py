"""Memory: what was said in a session and how much of it was heard, kept in Redis too. Not: listeners, sound."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any

from api.history import MAX_MESSAGES, History, Said, Spoken, heard_sentences
from api.store.archive import Keeper
from api.streams import Streams, StreamsError
from api.turn.turn import Turn
from contract.keys import MESSAGES_MAXLEN, UNHEARD

log = logging.getLogger(__name__)

KEPT_TURNS = 8
"""Turns whose sentences are remembered, so that a late `interrupt` still cuts the history rightly."""


class Memory:
    """The history of one session, its newest turns, and how far the listener was in each."""

    def __init__(
        self,
        streams: Streams,
        session: str,
        keeper: Keeper,
        epoch: int,
        history: History | None = None,
        messages: dict[str, int] | None = None,
    ) -> None:
        self.history = history or History()
        self._streams = streams
        self._session = session
        self._epoch = epoch
        self.keeper = keeper
        self._turns: OrderedDict[int, Turn] = OrderedDict()
        self._heard: dict[int, tuple[int, float]] = {}
        self._messages = OrderedDict(messages or {})
        self._writing = asyncio.Lock()
        self._writes: set[asyncio.Task[None]] = set()

    @property
    def newest(self) -> int | None:
        """Number of the newest turn that is remembered."""
        return next(reversed(self._turns), None)

    def knows(self, turn: int) -> bool:
        """Whether a turn's sentences are remembered."""
        return turn in self._turns

    def turn_of(self, message_id: str | None) -> int | None:
        """The turn of a message that its client sends again; None for a new one."""
        return None if message_id is None else self._messages.get(message_id)

    def recognize(self, message_id: str | None, turn: int) -> None:
        """A turn was found whose message may not have been written down under its client's name."""
        if message_id is not None and message_id not in self._messages:
            self._messages[message_id] = turn
            self._write(self._streams.remember_message(self._session, message_id, turn))

    def expect(self, turn: int, message_id: str | None, record: str) -> None:
        """A message was taken, and will have its turn; `record` is what another process would answer."""
        fields = {"state": "waiting", "said": record}
        self._write(self._streams.save_turn(self._session, turn, fields, unless_there=True))
        if message_id is not None:
            self._messages[message_id] = turn
            if len(self._messages) > MESSAGES_MAXLEN:
                self._messages.popitem(last=False)
            self._write(self._streams.remember_message(self._session, message_id, turn))

    def drop(self, turn: int, reason: str) -> None:
        """It will not be answered after all."""
        self.write_turn(turn, {"state": "ended", "sentences": "0", "reason": reason})

    def write_turn(self, turn: int, fields: dict[str, str]) -> None:
        """What another process would need to know of a turn."""
        self._write(self._streams.save_turn(self._session, turn, fields))

    def remember(self, turn: Turn) -> None:
        """A turn begins, or goes on that another process has begun."""
        self._turns[turn.number] = turn
        while len(self._turns) > KEPT_TURNS:
            self._turns.popitem(last=False)

    def mention(self, turn: int, text: str) -> None:
        """The person has said something, whether it is answered or not."""
        if any((said.turn, said.role) == (turn, "user") for said in self.history.messages[-MAX_MESSAGES:]):
            return  # another process has written it down, and no more
        said = self.history.add_user(turn, text)
        self._append(said)
        self.keeper.said(said)

    def keep(self, turn: int, said: list[tuple[str, str]], spoken: list[Spoken]) -> None:
        """A reply was given whole; `said`: character and text of each stretch."""
        self._keep_at_rest(turn, said, said, spoken)
        is_known = any((one.turn, one.role) == (turn, "assistant") for one in self.history.messages)
        if reply := self.history.set_reply(turn, *said):
            if reply[-1] is self.history.messages[-1] and not is_known:
                for one in reply:
                    self._append(one)
            else:
                self._replace()

    def cut(self, number: int) -> None:
        """Keep of a reply what was heard; without a word from the listener, the sentences it was given whole."""
        turn = self._turns[number]
        sentence, ms = self._heard.get(number, (turn.position[0], 0.0))
        sentences = turn.spoken_sentences()
        # Of one that is still being made nobody knows how long it will be.
        last = sentences[sentence : sentence + 1]
        is_whole = any(one.is_whole and 0 < one.duration_ms <= ms for one in last)
        # What engines go on from is what was heard.
        self.write_turn(number, {UNHEARD: str(sentence + is_whole)})
        spoken = heard_sentences(sentences, sentence, ms)
        said = turn.said()
        heard = [(character, _text(spoken, stretch)) for stretch, (character, _) in enumerate(said)]
        self.history.set_reply(number, *heard)
        self._replace()
        self._keep_at_rest(number, said, heard, spoken)

    def set_heard(self, turn: int, sentence: int, ms: float, *, is_final: bool = False) -> None:
        """How far the listener is; only forwards, unless it says so itself when it interrupts."""
        if is_final or (sentence, ms) > self._heard.get(turn, (-1, 0.0)):
            self._heard[turn] = (sentence, ms)
        while len(self._heard) > 4 * KEPT_TURNS:
            self._heard.pop(min(self._heard))

    def forget(self) -> None:
        """Forget the conversation."""
        self.history.clear()
        self._turns.clear()
        self._replace()
        self.keeper.forget()

    def write_again(self) -> None:
        """Redis has forgotten it."""
        self._replace()
        for message_id, turn in self._messages.items():
            self._write(self._streams.remember_message(self._session, message_id, turn))

    async def close(self) -> None:
        """Wait until everything is written."""
        await asyncio.gather(*self._writes, return_exceptions=True)

    def _keep_at_rest(
        self, turn: int, said: list[tuple[str, str]], heard: list[tuple[str, str]], spoken: list[Spoken]
    ) -> None:
        for stretch, ((character, text), (_, heard_of_it)) in enumerate(zip(said, heard, strict=True)):
            own = [one for one in spoken if one.stretch == stretch]
            self.keeper.replied(turn, stretch, character, text, heard_of_it, own)

    def _replace(self) -> None:
        self._write(self._streams.replace_history(self._session, self._epoch, self.history.to_list()))

    def _append(self, said: Said) -> None:
        kept = len(self.history.messages)
        self._write(self._streams.append_history(self._session, self._epoch, said.to_dict(), kept))

    def _write(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._write_in_order(work))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _write_in_order(self, work: Coroutine[Any, Any, None]) -> None:
        async with self._writing:
            try:
                await work
            except StreamsError as error:
                log.warning("a memory is not saved: %s", error)


def _text(spoken: list[Spoken], stretch: int) -> str:
    return " ".join(one.text for one in spoken if one.stretch == stretch)
