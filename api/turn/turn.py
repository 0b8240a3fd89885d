"""Turn: one utterance and the whole reply, the unit of cancel. Not: the session around it, how sentences are spoken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from typing import Literal

from api.characters import Character
from api.ensemble.dialogue import Dialogue
from api.ensemble.stretch import Stretch
from api.errors import ConversationError, ModelError, ReplyTooLong, ServerRestarted, error_of_code
from api.events import FinalTranscript, LlmResponse, LlmStatus, Status, TurnState, error_message
from api.history import Spoken
from api.turn.record import REASON, Left, end_record, said_record, speakers_record, stretches_record
from api.turn.replay import Position
from api.turn.sentences import SentenceBuffer
from api.turn.speech import AHEAD_S, KEEP_S, Speech
from api.turn.stage import Parts, Stage
from api.turn.tokens import with_pauses
from api.turn.utterance import Utterance

log = logging.getLogger(__name__)

MAX_REPLY_CHARS = 20_000
"""Twenty minutes of speech. A model that goes on longer has lost the thread."""
IDLE_FLUSH_S = 0.2
"""A sentence that is complete but for its look-ahead waits no longer than this for the next token."""

Reason = Literal["complete", "interrupted", "stopped", "failed"]


class Turn:
    """Runs from the utterance to `turn{ended}`; `cancel` ends it at once, from wherever it is."""

    def __init__(
        self,
        parts: Parts,
        stage: Stage,
        number: int,
        utterance: Utterance,
        dialogue: Dialogue,
        left: Left | None = None,
        ahead_s: float = AHEAD_S,
    ) -> None:
        """`left` is what a process that is gone has left of this turn."""
        self.number = number
        self.utterance = utterance
        self.character = dialogue.first
        """Who was asked first."""
        self.stretches: list[Stretch] = []
        """The reply so far, speaker by speaker, as the model wrote it; whole once the model has ended."""
        self.model_tokens = (0, 0)
        """Of the prompt and of the reply, if the model's server has said."""
        self.is_over = False
        self.replied = asyncio.Event()
        """Set when the language model has ended: every sentence is known."""
        self.task: asyncio.Task[None] | None = None
        """Runs this turn; set by the session, who cancels it."""
        self._parts = parts
        self._stage = stage
        self._dialogue = dialogue
        self._left = left
        self._failure = ""
        self._buffer = SentenceBuffer()
        self._ends: list[int] = []
        """How many sentences there were at the end of each stretch that has ended."""
        self._room = MAX_REPLY_CHARS
        self._speech = Speech(parts, stage, number, left or Left(), ahead_s)

    async def run(self) -> Reason:
        """Answer; returns why the turn ended. `turn{ended}` is left to the session."""
        await self._speech.save(self._head())
        if self.is_over:
            return "interrupted"
        failure = self._go_on(self._left) if self._left else await self._read_replies()
        if self.is_over:
            return "interrupted"  # a cancel that got lost on its way here; everything has been said
        self.replied.set()
        self._failure = failure.code if failure else ""
        self._ends[len(self.stretches) - 1 :] = [len(self._speech.sentences)]
        # Before it is told: what listeners have as the whole reply must not be half a one to another process.
        await asyncio.wait({self._speech.keep(self.record())}, timeout=KEEP_S)
        if self.is_over:
            return "interrupted"
        self._speech.tell_queued()
        self._tell_reply(failure, self._left or Left())
        await self._speech.end()
        self.is_over = True
        reason: Reason = "failed" if failure or self._speech.is_mute else "complete"
        await self.save_end(reason)
        return reason

    def record(self) -> dict[str, str]:
        """What another process needs to go on: each sentence, each stretch that has ended, and whether all have."""
        end = end_record(self._failure) if self.replied.is_set() else {}
        return self._head() | self._speech.record() | self._ended() | end

    def said(self) -> list[tuple[str, str]]:
        """Name of the speaker and text of each stretch."""
        return [(stretch.character.name, stretch.text) for stretch in self.stretches if not stretch.is_empty]

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
            self._go_on(self._left)
        self.replied.set()
        return self._speech.cancel(reason)

    async def save_end(self, reason: Reason) -> None:
        """Tell Redis that there will be no more of this turn."""
        await self._speech.save({"state": "ended", "sentences": str(len(self._speech.sentences)), REASON: reason})

    def spoken_sentences(self) -> list[Spoken]:
        """Each sentence and its length, for what was heard of it."""
        return [
            Spoken(one.text, one.duration_ms, one.feed.restart_ms if one.feed else 0, one.stretch, one.is_over)
            for one in self._speech.sentences
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

    async def _read_replies(self) -> ModelError | None:
        """One speaker after the other; returns what went wrong with the model. What was said until then is spoken."""
        self._speech.prepare()
        speaker: Character | None = self.character
        asked = 0
        while speaker:
            asked += 1
            failure = await self._read_reply(speaker)
            if failure or self.is_over or self.stretches[-1].is_empty:
                return failure
            if speaker := self._dialogue.next(self.stretches, asked):
                await self._end_stretch()
        return None

    async def _read_reply(self, speaker: Character) -> ModelError | None:
        """Token by token."""
        prompt, splitter = self._dialogue.prompt(speaker, self.stretches), self._dialogue.splitter(speaker)
        failure: ModelError | None = None
        self._begin_stretch(speaker)
        try:
            async with aclosing(self._parts.model.reply(prompt, self._dialogue.model, self._count)) as tokens:
                async for token in with_pauses(tokens, IDLE_FLUSH_S):
                    if self.is_over:
                        return None
                    if token is None:
                        self._cut(self._buffer.idle())
                        continue
                    text = token[: self._room]
                    await self._take(splitter.push(text) if splitter else [(None, text)])
                    self._room -= len(token)
                    if self._room <= 0:
                        raise ReplyTooLong
        except ModelError as error:
            log.warning("turn %d: %s", self.number, error.text)
            failure = error
        if not self.is_over:  # closing the model's line may fail too, after a cancel
            await self._take(splitter.flush() if splitter else [])
        if not self.is_over:
            self._cut(self._buffer.flush())
        return failure

    async def _take(self, pieces: Sequence[tuple[int | None, str]]) -> None:
        """Text of the reply, and whose it is by place in the cast; None: of who speaks."""
        for place, text in pieces:
            speaker = self.stretches[-1].character if place is None else self._dialogue.cast[place]
            if speaker.id != self.stretches[-1].character.id:
                self._cut(self._buffer.flush())
                await self._end_stretch()
                self._begin_stretch(speaker)
            if self.is_over:
                return
            self._say(text)
            self._cut(self._buffer.push(text))

    def _cut(self, sentences: list[str]) -> None:
        self._speech.add(sentences, self.stretches[-1].character, len(self.stretches) - 1)

    def _begin_stretch(self, speaker: Character) -> None:
        self.stretches.append(Stretch(speaker))
        # Who listens already is not in a hurry for half a sentence.
        self._buffer = SentenceBuffer(first_clause=not self._speech.sentences)

    async def _end_stretch(self) -> None:
        """Somebody else speaks; of who has said nothing nothing is left."""
        if self.stretches[-1].is_empty:
            self.stretches.pop()
            return
        self._ends.append(len(self._speech.sentences))
        await asyncio.wait({self._speech.keep(self._speech.record() | self._ended())}, timeout=KEEP_S)
        if not self.is_over:
            self._speech.tell_queued()
            self._tell_whole(self.stretches[-1])

    def _head(self) -> dict[str, str]:
        """That it runs, and who speaks in it."""
        said = said_record(self.utterance, self.character, is_patient=True)
        speakers = speakers_record(self._dialogue.cast) if len(self._dialogue.cast) > 1 else {}
        return {"state": "running", "said": said} | speakers

    def _ended(self) -> dict[str, str]:
        return stretches_record(list(zip(self.stretches, self._ends, strict=False)))

    def _count(self, prompt_tokens: int, reply_tokens: int) -> None:
        self.model_tokens = (prompt_tokens, reply_tokens)

    def _go_on(self, left: Left) -> ConversationError | None:
        """Where another process stopped; returns what went wrong with the reply there."""
        self.stretches = [stretch for stretch, _ in left.stretches(self.character)] or [Stretch(self.character)]
        self._ends = [end for _, end in left.stretches(self.character)]
        for stretch in self.stretches[: left.told()]:
            stretch.is_told = True
        self._speech.go_on(self.character)
        if not left.is_whole:
            return ServerRestarted()
        return error_of_code(left.failure, "") if left.failure else None

    def _tell_reply(self, failure: ConversationError | None, left: Left) -> None:
        if failure and not left.has_said("error", code=failure.code):
            self._stage.emit(error_message(failure, self.number))
        for stretch in self.stretches:
            if not stretch.is_told and (not stretch.is_empty or len(self.stretches) == 1):
                self._tell_whole(stretch)

    def _tell_whole(self, stretch: Stretch) -> None:
        stretch.is_told = True
        self._emit_text(stretch, stretch.text, is_complete=True)

    def _say(self, token: str) -> None:
        """Of a speaker who has said nothing yet nothing is told: perhaps somebody else speaks."""
        stretch = self.stretches[-1]
        said = "" if stretch.is_empty else stretch.text
        stretch.text += token
        if not stretch.is_empty:
            self._emit_text(stretch, stretch.text[len(said) :], is_complete=False)

    def _emit_text(self, stretch: Stretch, content: str, *, is_complete: bool) -> None:
        name = stretch.character.name
        self._stage.emit(LlmResponse(turn=self.number, content=content, is_complete=is_complete, character=name))
