"""Turns: which one runs, which wait, and what cuts them short; one at a time. Not: who listens, how a turn runs."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from api.admission import turn_pace
from api.characters import Character
from api.ending import end_tasks
from api.ensemble.dialogue import Dialogue
from api.errors import TooManyWaiting
from api.events import (
    FinalTranscript,
    Heard,
    InterruptAcknowledged,
    Saving,
    ServerMessage,
    Status,
    StopAcknowledged,
    TtsStop,
    TurnState,
)
from api.session.memory import Memory
from api.streams import StreamsError
from api.turn.lasting import lasting
from api.turn.record import Left, said_record
from api.turn.replay import Position
from api.turn.stage import Parts, Stage
from api.turn.turn import Reason, Turn
from api.turn.utterance import Utterance

log = logging.getLogger(__name__)

MAX_WAITING = 8


@dataclass(frozen=True, slots=True)
class Waiting:
    """An utterance whose turn has not come yet."""

    turn: int
    utterance: Utterance
    character: Character | None
    """Who answers; None as long as that is for the cast to decide, when the turn begins."""
    is_patient: bool
    """Waits until those before it are over; another one interrupts them."""

    def to_json(self) -> str:
        """For the turn's record, so that another process can answer it."""
        return said_record(self.utterance, self.character, is_patient=self.is_patient)

    @classmethod
    def from_json(cls, turn: int, record: str) -> Waiting:
        """Read what `to_json` wrote."""
        data = json.loads(record)
        said = Utterance(data["text"], data["source"], data["id"])
        character = data["character"]
        return cls(turn, said, Character.from_dict(character) if character else None, data["patient"])


class Turns:
    """The turns of one session, in the process that holds it."""

    def __init__(
        self, parts: Parts, stage: Stage, memory: Memory, next_turn: int, at_rest: Callable[[], Status]
    ) -> None:
        """`at_rest` is what to say when nothing runs any more."""
        self.memory = memory
        self.next_turn = next_turn
        self.ended_at = time.monotonic()
        self._parts = parts
        self._stage = stage
        self._at_rest = at_rest
        self._pace = turn_pace()
        self._current: Turn | None = None
        self._waiting: deque[Waiting] = deque()
        self._runner: asyncio.Task[None] | None = None
        self._cleaners: set[asyncio.Task[None]] = set()
        memory.keeper.on_behind = lambda is_behind: stage.emit(Saving(state="behind" if is_behind else "saved"))

    @property
    def is_busy(self) -> bool:
        """Whether a turn runs or waits."""
        return self._current is not None or bool(self._waiting)

    async def replied(self) -> None:
        """Wait until the language model has said all that it says in the turn that runs."""
        if self._current:
            await self._current.replied.wait()

    def given(self, turn: int) -> Position | None:
        """How far a turn has come that is being spoken or waits; None if there will be no more of it."""
        if self._current is not None and self._current.number == turn:
            return self._current.position
        return (0, 0) if any(waiting.turn == turn for waiting in self._waiting) else None

    # what the person says

    def say(self, utterance: Utterance, called: Character | None, *, queue: bool = False) -> int:
        """Take a message; returns the number of its turn. The same message id twice is one message.

        `called`: who shall answer, whoever's turn it would be.
        Raises: TooManyWaiting, TooManyMessages, ServerBusy.
        """
        if (known := self.memory.turn_of(utterance.id)) is not None:
            return known
        if len(self._waiting) >= MAX_WAITING and queue:
            raise TooManyWaiting
        self._parts.admission.admit_turn(self._pace if self.is_busy else None)
        turn = self.next_turn
        self.next_turn += 1
        impatient = [waiting for waiting in self._waiting if not waiting.is_patient]
        new = Waiting(turn, utterance, called, is_patient=queue)
        self._waiting.append(new)
        self.memory.expect(turn, utterance.id, new.to_json())
        if not queue:
            self._cancel_current("interrupted")
            self._drop_waiting(impatient, "interrupted")
        self._run()
        return turn

    def interrupt(self, turn: int | None, heard: Heard | None) -> None:
        """Cancel a turn, by default the current one; `heard` is where the listener was."""
        number = self._interruptible(turn)
        if number is not None and heard is not None:
            self.memory.set_heard(number, heard.sentence, heard.ms, is_final=True)
        word = InterruptAcknowledged(
            message="Interrupted." if number is not None else "There was nothing to interrupt.",
            turn=number if number is not None else turn,
            heard=None if heard is None else {"sentence": heard.sentence, "ms": heard.ms},
        )
        if self._current is not None and self._current.number == number:
            self._cancel_current("interrupted", word)
            return
        self._drop_waiting([waiting for waiting in self._waiting if waiting.turn == number], "interrupted")
        if number is not None and self.memory.knows(number):
            self._hush(number, "interrupted")
        self._stage.emit(word)
        if heard is not None and number is not None and self.memory.knows(number):
            self.memory.cut(number)

    def stop(self, *, forget: bool = False) -> None:
        """Stop speaking and drop what waits; with `forget`, the conversation too."""
        dropped = list(self._waiting)
        self._waiting.clear()
        if self._current is None and self.memory.newest is not None:
            self._hush(self.memory.newest, "stopped")
        self._cancel_current("stopped")
        self._drop_waiting(dropped, "stopped")
        if forget:
            self.memory.forget()
        self._stage.emit(StopAcknowledged(message="Stopped." if not forget else "Stopped and forgotten."))
        self._stage.emit(Status(status="stopped"))

    # their end

    async def close(self) -> None:
        """End what runs and write what is to be kept."""
        self._waiting.clear()
        self._cancel_current("stopped")
        await end_tasks(self._runner)
        await asyncio.gather(*self._cleaners, return_exceptions=True)
        await self.memory.close()

    async def let_go(self) -> None:
        """Leave everything as it is, in Redis and with the workers: another process goes on with it."""
        turn, self._current = self._current, None
        self._waiting.clear()
        if turn:
            await turn.leave()
            await end_tasks(turn.task)
        await end_tasks(self._runner)
        await asyncio.gather(*self._cleaners, return_exceptions=True)
        await self.memory.close()

    # what another process has left

    def go_on(self, turn: Turn | None, waiting: list[Waiting]) -> None:
        """Go on with a turn that was running and those that waited."""
        self._waiting.extend(waiting)
        self._current = turn
        if turn or waiting:
            self._run(turn)

    def bury(self, work: Coroutine[Any, Any, None]) -> None:
        """Have Redis told of the end of a turn that nobody goes on with."""
        self._clean(self._try(work))

    def write_again(self) -> None:
        """Redis has forgotten everything: what another process would need to go on."""
        self.memory.write_again()
        for waiting in self._waiting:
            self.memory.write_turn(waiting.turn, {"state": "waiting", "said": waiting.to_json()})
        if (turn := self._current) and not turn.is_over:
            self.memory.write_turn(turn.number, turn.record())

    def _run(self, first: Turn | None = None) -> None:
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run_turns(first))

    async def _run_turns(self, first: Turn | None) -> None:
        if first:
            await self._start(first)
        while self._waiting:
            turn = self.begin(self._waiting.popleft())
            turn.announce()
            await self._start(turn)

    def begin(self, said: Waiting, left: Left | None = None) -> Turn:
        """The turn of what was said; with `left`, the one that a process that is gone has begun."""
        self.memory.mention(said.turn, said.utterance.text)
        dialogue = Dialogue(self._stage.playbill, self.memory.history, said.turn, said.character)
        turn = Turn(self._parts, self._stage, said.turn, said.utterance, dialogue, left)
        self.memory.remember(turn)
        return turn

    async def _start(self, turn: Turn) -> None:
        if turn.is_over:
            return
        self._current = turn
        turn.task = asyncio.create_task(self._run_turn(turn))
        await asyncio.wait({turn.task})

    async def _run_turn(self, turn: Turn) -> None:
        try:
            async with lasting(self._parts.streams, turn.opened_streams):
                reason = await turn.run()
        except Exception:
            log.exception("turn %d broke", turn.number)
            self._cancel_current("failed")
            return
        if self._current is turn:
            self.memory.keep(turn.number, turn.said(), turn.spoken_sentences())
            self._end(turn, reason)

    def _cancel_current(self, reason: Reason, word: ServerMessage | None = None) -> None:
        """End the current turn for all who listen, now; Redis and the model are told in the background."""
        turn = self._current
        if turn is None:
            if word:
                self._stage.emit(word)
            return
        if turn.is_over:
            self._hush(turn.number, reason)
        ends, unheard = turn.cancel(reason)
        if word:
            self._stage.emit(word)
        self.memory.cut(turn.number)
        self._end(turn, reason)
        if turn.task:
            turn.task.cancel()
        self._clean(self._end_streams(turn, reason, ends, unheard))

    def _end(self, turn: Turn, reason: Reason) -> None:
        self._current = None
        self.ended_at = time.monotonic()
        self.memory.keeper.used(turn.spoken_sentences(), *turn.model_tokens)
        self._stage.emit(TurnState(turn=turn.number, state="ended", reason=reason, character=turn.character.name))
        if not self._waiting:
            self._stage.emit(self._at_rest())

    def _drop_waiting(self, dropped: list[Waiting], reason: Reason) -> None:
        for waiting in dropped:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            # Never answered, but said all the same.
            said = waiting.utterance
            self.memory.mention(waiting.turn, said.text)
            self._stage.emit(FinalTranscript(turn=waiting.turn, content=said.text, source=said.source, id=said.id))
            self._stage.emit(TtsStop(turn=waiting.turn, reason=reason))
            self._stage.emit(TurnState(turn=waiting.turn, state="ended", reason=reason))
            self.memory.drop(waiting.turn, reason)

    def _interruptible(self, turn: int | None) -> int | None:
        if turn is None:
            said_last = self._waiting[-1].turn if self._waiting else self.memory.newest
            return self._current.number if self._current else said_last
        is_known = self.memory.knows(turn) or any(waiting.turn == turn for waiting in self._waiting)
        return turn if is_known else None

    async def _end_streams(self, turn: Turn, reason: Reason, ends: dict[str, bytes], unheard: list[str]) -> None:
        try:
            if ends:
                await self._parts.streams.end_sentences(ends, unheard)
        except StreamsError as error:
            log.warning("a cancelled turn is not ended in redis: %s", error)
        await turn.save_end(reason)

    async def _try(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except StreamsError as error:
            log.warning("a turn that was left is not ended in redis: %s", error)

    def _hush(self, turn: int, reason: str) -> None:
        """A turn that has ended here is still being heard wherever it was sent faster than speech."""
        self._stage.silence(turn)
        self._stage.emit(TtsStop(turn=turn, reason=reason))

    def _clean(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._cleaners.add(task)
        task.add_done_callback(self._cleaners.discard)
