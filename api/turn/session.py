"""Session: one conversation, one turn at a time, many listeners. Not: HTTP, the way of a sentence, other sessions."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from api.characters import Character, find_character
from api.ending import end_tasks
from api.errors import SessionUnknown, TooManyWaiting
from api.events import (
    FinalTranscript,
    Heard,
    InterruptAcknowledged,
    ServerMessage,
    Status,
    StopAcknowledged,
    TtsStop,
    TurnState,
)
from api.history import History
from api.mirror import Mirror
from api.streams import StreamsError
from api.turn.listeners import Item, Listener, Log
from api.turn.memory import Memory
from api.turn.stage import Parts
from api.turn.turn import Reason, Turn
from api.turn.utterance import Utterance
from contract.chunk import Chunk

log = logging.getLogger(__name__)

MAX_WAITING = 8


@dataclass(frozen=True, slots=True)
class Waiting:
    """An utterance whose turn has not come yet."""

    turn: int
    utterance: Utterance
    character: Character
    is_patient: bool
    """Waits until those before it are over; another one interrupts them."""


class Session:
    """One conversation, held by the process that runs its turns."""

    def __init__(
        self,
        parts: Parts,
        session_id: str,
        owner: str,
        *,
        next_turn: int = 0,
        last_event: int = 0,
        history: History | None = None,
        character: Character | None = None,
        messages: dict[str, int] | None = None,
    ) -> None:
        self.id = session_id
        self.owner = owner
        self.character = character or find_character(None)
        self.memory = Memory(parts.streams, session_id, history, messages)
        self.log = Log()
        self.mirror = Mirror(parts.streams, session_id, last_event)
        self.is_listening = False
        self.is_closed = False
        self.next_turn = next_turn
        self.used_at = time.monotonic()
        self._parts = parts
        self._event = last_event
        self._current: Turn | None = None
        self._waiting: deque[Waiting] = deque()
        self._position: tuple[int, int, int] | None = None
        self._runner: asyncio.Task[None] | None = None
        self._cleaners: set[asyncio.Task[None]] = set()

    # what turns and routes say

    def emit(self, message: ServerMessage) -> None:
        """Say something to every listener, and mirror it."""
        if self.is_closed:
            return
        self._event += 1
        text = message.to_json(self.id, f"{self._event}-0")
        self.log.append(Item(text))
        self.mirror.put(self._event, text)

    def play(self, chunk: Chunk) -> None:
        """Give a chunk to every listener."""
        self._position = (chunk.turn, chunk.sentence, chunk.part)
        self.log.append(Item(chunk=chunk))

    def silence(self, turn: int) -> None:
        """Let no more sound of a turn out, not even what is on its way to a slow listener."""
        self.log.silence(turn)

    @property
    def position(self) -> tuple[int, int, int] | None:
        """(turn, sentence, part) of the newest chunk that listeners were given."""
        return self._position

    @property
    def last_event(self) -> int:
        """Number of the newest event."""
        return self._event

    def is_live(self, turn: int) -> bool:
        """Whether there may be more of a turn than there is now."""
        is_current = self._current is not None and self._current.number == turn
        return is_current or any(waiting.turn == turn for waiting in self._waiting)

    @property
    def is_mirrored(self) -> bool:
        """Whether Redis has every event."""
        return self.mirror.written >= self._event

    @property
    def is_busy(self) -> bool:
        """Whether a turn runs or waits."""
        return self._current is not None or bool(self._waiting)

    def join(self) -> Listener:
        """A new listener, who hears what is said from now on."""
        self.used_at = time.monotonic()
        return self.log.join()

    def leave(self, listener: Listener) -> None:
        """A listener has gone."""
        self.used_at = time.monotonic()
        self.log.leave(listener)

    # what the person says

    def say(self, utterance: Utterance, character: Character | None = None, *, queue: bool = False) -> int:
        """Take a message; returns the number of its turn. The same message id twice is one message.

        Raises: TooManyWaiting, SessionUnknown if the session was deleted.
        """
        self.used_at = time.monotonic()
        if self.is_closed:
            raise SessionUnknown
        if (known := self.memory.turn_of(utterance.id)) is not None:
            return known
        if len(self._waiting) >= MAX_WAITING and queue:
            raise TooManyWaiting
        turn = self.next_turn
        self.next_turn += 1
        impatient = [waiting for waiting in self._waiting if not waiting.is_patient]
        self._waiting.append(Waiting(turn, utterance, character or self.character, is_patient=queue))
        self._clean(self.save())
        self.memory.expect(turn, utterance.id)
        if not queue:
            self._cancel_current("interrupted")
            self._drop_waiting(impatient, "interrupted")
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run_turns())
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
        self.emit(word)
        if heard is not None and number is not None and self.memory.knows(number):
            self.memory.cut(number)

    def stop(self, *, forget: bool = False) -> None:
        """Stop listening and speaking and drop what waits; with `forget`, the conversation too."""
        self.is_listening = False
        dropped = list(self._waiting)
        self._waiting.clear()
        if self._current is None and self.memory.newest is not None:
            self._hush(self.memory.newest, "stopped")
        self._cancel_current("stopped")
        self._drop_waiting(dropped, "stopped")
        if forget:
            self.memory.forget()
        self.emit(StopAcknowledged(message="Stopped." if not forget else "Stopped and forgotten."))
        self.emit(Status(status="stopped"))

    def listen(self, character: Character | None) -> None:
        """Begin to listen."""
        if character:
            self.character = character
            self._clean(self.save())
        self.is_listening = True
        self.emit(Status(status="listening"))

    def played(self, turn: int, sentence: int, ms: float) -> None:
        """The listener says how far it has heard."""
        if turn < self.next_turn:
            self.memory.set_heard(turn, sentence, ms)

    async def close(self) -> None:
        """End what runs and write what is to be kept. Nothing is said here any more."""
        self._waiting.clear()
        self._cancel_current("stopped")
        self.is_closed = True
        await end_tasks(self._runner)
        await asyncio.gather(*self._cleaners, return_exceptions=True)
        await self.memory.close()
        await self.mirror.close()

    # turns

    async def _run_turns(self) -> None:
        while self._waiting:
            waiting = self._waiting.popleft()
            turn = Turn(self._parts, self, waiting.turn, waiting.utterance, waiting.character)
            self._current = turn
            turn.announce()
            turn.task = asyncio.create_task(self._run_turn(turn, self.memory.begin(turn)))
            await asyncio.wait({turn.task})

    async def _run_turn(self, turn: Turn, prompt: list[dict[str, str]]) -> None:
        try:
            reason = await turn.run(prompt)
        except Exception:
            log.exception("turn %d broke", turn.number)
            self._cancel_current("failed")
            return
        if self._current is turn:
            self.memory.keep(turn)
            self._end(turn, reason)

    def _cancel_current(self, reason: Reason, word: ServerMessage | None = None) -> None:
        """End the current turn for all who listen, now; Redis and the model are told in the background."""
        turn = self._current
        if turn is None:
            if word:
                self.emit(word)
            return
        if turn.is_over:
            self._hush(turn.number, reason)
        ends, unheard = turn.cancel(reason)
        if word:
            self.emit(word)
        self.memory.cut(turn.number)
        self._end(turn, reason)
        if turn.task:
            turn.task.cancel()
        self._clean(self._end_streams(turn, ends, unheard))

    def _end(self, turn: Turn, reason: Reason) -> None:
        self._current = None
        self.used_at = time.monotonic()
        self.emit(TurnState(turn=turn.number, state="ended", reason=reason, character=turn.character.name))
        if not self._waiting:
            self.emit(Status(status="listening" if self.is_listening else "idle"))

    def _drop_waiting(self, dropped: list[Waiting], reason: Reason) -> None:
        for waiting in dropped:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            # Never answered, but said all the same.
            said = waiting.utterance
            self.memory.mention(waiting.turn, said.text)
            self.emit(FinalTranscript(turn=waiting.turn, content=said.text, source=said.source, id=said.id))
            self.emit(TtsStop(turn=waiting.turn, reason=reason))
            self.emit(TurnState(turn=waiting.turn, state="ended", reason=reason))
            self.memory.drop(waiting.turn)

    def _interruptible(self, turn: int | None) -> int | None:
        if turn is None:
            said_last = self._waiting[-1].turn if self._waiting else self.memory.newest
            return self._current.number if self._current else said_last
        is_known = self.memory.knows(turn) or any(waiting.turn == turn for waiting in self._waiting)
        return turn if is_known else None

    async def _end_streams(self, turn: Turn, ends: dict[str, bytes], unheard: list[str]) -> None:
        try:
            if ends:
                await self._parts.streams.end_sentences(ends, unheard)
        except StreamsError as error:
            log.warning("a cancelled turn is not ended in redis: %s", error)
        await turn.save("ended")

    def _hush(self, turn: int, reason: str) -> None:
        """A turn that has ended here is still being heard wherever it was sent faster than speech."""
        self.silence(turn)
        self.emit(TtsStop(turn=turn, reason=reason))

    def _clean(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._cleaners.add(task)
        task.add_done_callback(self._cleaners.discard)

    async def save(self) -> None:
        """Keep what another process would need to go on."""
        if self.is_closed:
            return
        try:
            await self._parts.streams.save_session(self.id, self.fields())
        except StreamsError as error:
            log.warning("a session is not saved: %s", error)

    def fields(self) -> dict[str, str]:
        """What another process needs to go on with this session."""
        return {"owner": self.owner, "next_turn": str(self.next_turn), "character": self.character.id}
