"""Turn: one utterance and the whole reply, the unit of cancel. Not: the session around it, how sentences are spoken."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import Literal

from api.characters import Character
from api.errors import ConversationError, ModelError, ReplyTooLong, ServerRestarted, error_of_code
from api.events import FinalTranscript, LlmResponse, LlmStatus, Status, TurnState, error_message
from api.history import Spoken
from api.turn.record import REASON, Left, reply_record
from api.turn.replay import Position
from api.turn.sentences import SentenceBuffer
from api.turn.speech import AHEAD_S, Speech
from api.turn.stage import Parts, Stage
from api.turn.tokens import with_pauses
from api.turn.utterance import Utterance

log = logging.getLogger(__name__)

MAX_REPLY_CHARS = 20_000
"""Twenty minutes of speech. A model that goes on longer has lost the thread."""
IDLE_FLUSH_S = 0.2
"""A sentence that is complete but for its look-ahead waits no longer than this for the next token."""

KEEP_S = 0.2
"""How long the end of a reply waits to be written down before it is told."""

Reason = Literal["complete", "interrupted", "stopped", "failed"]


class Turn:
    """Runs from the utterance to `turn{ended}`; `cancel` ends it at once, from wherever it is."""

    def __init__(
        self,
        parts: Parts,
        stage: Stage,
        number: int,
        utterance: Utterance,
        character: Character,
        left: Left | None = None,
        ahead_s: float = AHEAD_S,
    ) -> None:
        """`left` is what a process that is gone has left of this turn."""
        self.number = number
        self.utterance = utterance
        self.character = character
        self.text = ""
        """The reply so far, as the model wrote it; whole once the model has ended."""
        self.is_over = False
        self.replied = asyncio.Event()
        """Set when the language model has ended: every sentence is known."""
        self.task: asyncio.Task[None] | None = None
        """Runs this turn; set by the session, who cancels it."""
        self._parts = parts
        self._stage = stage
        self._left = left
        self._failure = ""
        self._speech = Speech(parts, stage, number, character, left or Left(), ahead_s)

    async def run(self, prompt: list[dict[str, str]]) -> Reason:
        """Answer; returns why the turn ended. `turn{ended}` is left to the session."""
        await self._speech.save({"state": "running"})
        if self.is_over:
            return "interrupted"
        failure = self._go_on(self._left) if self._left else await self._read_reply(prompt)
        if self.is_over:
            return "interrupted"  # a cancel that got lost on its way here; everything has been said
        self.replied.set()
        self._failure = failure.code if failure else ""
        # Before it is told: what listeners have as the whole reply must not be half a one to another process.
        await asyncio.wait({self._speech.keep(self.record())}, timeout=KEEP_S)
        if self.is_over:
            return "interrupted"
        self._tell_reply(failure, self._left or Left())
        await self._speech.end()
        self.is_over = True
        reason: Reason = "failed" if failure or self._speech.is_mute else "complete"
        await self.save_end(reason)
        return reason

    def record(self) -> dict[str, str]:
        """What another process needs to go on: each sentence, and the reply once it is whole."""
        reply = reply_record(self.text, self._failure) if self.replied.is_set() else {}
        return self._speech.record() | reply

    async def leave(self) -> None:
        """Say and write nothing more, and leave all that is there to another process."""
        self.is_over = True
        await self._speech.leave()

    def cancel(self, reason: str) -> tuple[dict[str, bytes], list[str]]:
        """Nothing more of this turn is heard.

        Returns the streams that have to be ended with their last frames, and which of them nobody was given.

        Everything a listener notices happens here, before this returns; only Redis is told later.
        """
        if self.is_over:
            return {}, []
        self.is_over = True
        if self._left and not self._speech.sentences:
            # Before it could begin: what the process before has announced has to end all the same.
            self._speech.go_on()
        self.replied.set()
        return self._speech.cancel(reason)

    async def save_end(self, reason: Reason) -> None:
        """Tell Redis that there will be no more of this turn."""
        await self._speech.save({"state": "ended", "sentences": str(len(self._speech.sentences)), REASON: reason})

    def spoken_sentences(self) -> list[Spoken]:
        """Each sentence and its length, for what was heard of it."""
        return [
            Spoken(sentence.text, sentence.duration_ms, sentence.feed.restart_ms if sentence.feed else 0)
            for sentence in self._speech.sentences
        ]

    def opened_streams(self) -> list[str]:
        """Keys of the streams that were made so far."""
        return self._speech.opened_streams()

    @property
    def position(self) -> Position:
        """(sentence, part) that listeners get next."""
        return self._speech.position

    def announce(self) -> None:
        """Tell everybody what was said and that it will be answered; before `run`."""
        said = self.utterance
        self._stage.emit(FinalTranscript(turn=self.number, content=said.text, source=said.source, id=said.id))
        self._stage.emit(TurnState(turn=self.number, state="started", character=self.character.name))
        self._stage.emit(LlmStatus(turn=self.number))
        self._stage.emit(Status(status="thinking"))

    async def _read_reply(self, prompt: list[dict[str, str]]) -> ModelError | None:
        """Token by token; returns what went wrong with the model. What was said until then is spoken."""
        buffer = SentenceBuffer()
        self._speech.prepare()
        failure: ModelError | None = None
        room = MAX_REPLY_CHARS
        try:
            async with aclosing(self._parts.model.reply(prompt)) as tokens:
                async for token in with_pauses(tokens, IDLE_FLUSH_S):
                    if self.is_over:
                        return None
                    if token is None:
                        self._speech.add(buffer.idle())
                        continue
                    self._say(token[:room])
                    self._speech.add(buffer.push(token[:room]))
                    room -= len(token)
                    if room <= 0:
                        raise ReplyTooLong
        except ModelError as error:
            log.warning("turn %d: %s", self.number, error.text)
            failure = error
        if not self.is_over:  # closing the model's line may fail too, after a cancel
            self._speech.add(buffer.flush())
        return failure

    def _go_on(self, left: Left) -> ConversationError | None:
        """Where another process stopped; returns what went wrong with the reply there."""
        self.text = left.reply if left.reply is not None else " ".join(text for text, _ in left.texts)
        self._speech.go_on()
        if left.reply is None:
            return ServerRestarted()
        return error_of_code(left.failure, "") if left.failure else None

    def _tell_reply(self, failure: ConversationError | None, left: Left) -> None:
        if failure and not left.has_said("error", code=failure.code):
            self._stage.emit(error_message(failure, self.number))
        if not left.has_said("llm_response", is_complete=True):
            self._say(is_complete=True)

    def _say(self, token: str = "", *, is_complete: bool = False) -> None:
        self.text += token
        content = self.text if is_complete else token
        self._stage.emit(
            LlmResponse(turn=self.number, content=content, is_complete=is_complete, character=self.character.name)
        )
