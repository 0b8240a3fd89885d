"""Turn: one utterance and the whole reply, the unit of cancel. Not: the session around it, sockets, Redis commands."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal

from api.characters import Character
from api.errors import ModelError, ReplyTooLong
from api.events import (
    FinalTranscript,
    LlmResponse,
    LlmStatus,
    SentenceState,
    Status,
    TtsEnd,
    TtsStart,
    TtsStop,
    TurnState,
    error_message,
)
from api.streams import StreamsError
from api.turn.relay import Relay, SentenceFeed
from api.turn.sentences import SentenceBuffer, open_fence
from api.turn.spoken import spoken
from api.turn.stage import Parts, Stage
from api.turn.timing import SENTENCES, Timing
from api.turn.tokens import with_pauses
from api.turn.utterance import Utterance
from contract.chunk import Chunk, tombstone
from contract.errors import SpeechError
from contract.job import SpeechJob

log = logging.getLogger(__name__)

MAX_REPLY_CHARS = 20_000
"""Twenty minutes of speech. A model that goes on longer has lost the thread."""
AHEAD_S = 60.0
"""Speech that is made ahead of the ear. An engine can be a thousand times faster than speech, and Redis is finite."""
AT_ONCE = 3
"""Sentences of one turn in synthesis at the same time."""
IDLE_FLUSH_S = 0.2
"""A sentence that is complete but for its look-ahead waits no longer than this for the next token."""

Reason = Literal["complete", "interrupted", "stopped", "failed"]


@dataclass(slots=True)
class Sentence:
    """One sentence of the reply on its way."""

    number: int
    text: str
    fence: str = ""
    """The code fence that the sentences before it left open."""
    feed: SentenceFeed | None = None
    is_over: bool = False
    timing: Timing = field(default_factory=Timing)

    @property
    def duration_ms(self) -> int:
        """Length of its speech, as far as it is there."""
        return self.feed.duration_ms if self.feed else 0


class Turn:
    """Runs from the utterance to `turn{ended}`; `cancel` ends it at once, from wherever it is."""

    def __init__(
        self,
        parts: Parts,
        stage: Stage,
        number: int,
        utterance: Utterance,
        character: Character,
        ahead_s: float = AHEAD_S,
    ) -> None:
        self.number = number
        self.utterance = utterance
        self.character = character
        self.text = ""
        """The reply so far, as the model wrote it; whole once the model has ended."""
        self.sentences: list[Sentence] = []
        self.is_over = False
        self.task: asyncio.Task[None] | None = None
        """Runs this turn; set by the session, who cancels it."""
        self._ahead_s = ahead_s
        self._parts = parts
        self._stage = stage
        self._relay = Relay(parts.inbox, stage.id, number, self._play)
        self._room = asyncio.Semaphore(AT_ONCE)
        self._jobs: list[asyncio.Task[None]] = []
        self._openings: dict[int, asyncio.Task[None]] = {}
        self._has_started_speaking = False
        self._first_sound_at = 0.0
        self._fence = ""

    async def run(self, prompt: list[dict[str, str]]) -> Reason:
        """Answer; returns why the turn ended. `turn{ended}` is left to the session."""
        await self.save("running")
        failure = await self._read_reply(prompt)
        if self.is_over:
            return "interrupted"  # a cancel that got lost on its way here; everything has been said
        if failure:
            self._stage.emit(error_message(failure, self.number))
        self._say(is_complete=True)
        await asyncio.gather(*self._jobs)
        self.is_over = True
        self._relay.close()
        self._start_speaking()
        self._stage.emit(TtsEnd(turn=self.number))
        await self.save("ended")
        asked = [sentence for sentence in self.sentences if sentence.feed and sentence.feed.attempt]
        is_mute = bool(asked) and not any(sentence.duration_ms for sentence in asked)
        return "failed" if failure or is_mute else "complete"

    def cancel(self, reason: str) -> tuple[dict[str, bytes], list[str]]:
        """Nothing more of this turn is heard.

        Returns the streams that have to be ended with their last frames, and which of them nobody was given.

        Everything a listener notices happens here, before this returns; only Redis is told later.
        """
        if self.is_over:
            return {}, []
        self.is_over = True
        self._relay.close()
        for job in self._jobs:
            job.cancel()
        self._stage.silence(self.number)
        stones = {
            sentence.number: tombstone(self.number, sentence.number, self._relay.given_parts(sentence.number), 0)
            for sentence in self.sentences[self._relay.position[0] :]
        }
        for stone in stones.values():
            self._stage.play(stone)
        unfinished = [sentence for sentence in self.sentences if not sentence.is_over]
        for sentence in unfinished:
            self._emit_state(sentence, "cancelled")
        self._stage.emit(TtsStop(turn=self.number, reason=reason))
        opened = [sentence.number for sentence in self.sentences if sentence.number in stones and sentence.feed]
        ends = {self._relay.key(number): stones[number].pack() for number in opened}
        return ends, [self._relay.key(number) for number in opened if (number, 0) >= self._relay.position]

    def spoken_sentences(self) -> list[tuple[str, int]]:
        """(text, duration in ms) of each sentence, for what was heard of it."""
        return [(sentence.text, sentence.duration_ms) for sentence in self.sentences]

    def relayed_sentences(self) -> int:
        """How many sentences have been given out whole."""
        return self._relay.position[0]

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
        self._open(0)
        failure: ModelError | None = None
        room = MAX_REPLY_CHARS
        try:
            async with aclosing(self._parts.model.reply(prompt)) as tokens:
                async for token in with_pauses(tokens, IDLE_FLUSH_S):
                    if self.is_over:
                        return None
                    if token is None:
                        self._add(buffer.idle())
                        continue
                    self._say(token[:room])
                    self._add(buffer.push(token[:room]))
                    room -= len(token)
                    if room <= 0:
                        raise ReplyTooLong
        except ModelError as error:
            log.warning("turn %d: %s", self.number, error.text)
            failure = error
        self._add(buffer.flush())
        return failure

    def _say(self, token: str = "", *, is_complete: bool = False) -> None:
        self.text += token
        content = self.text if is_complete else token
        self._stage.emit(
            LlmResponse(turn=self.number, content=content, is_complete=is_complete, character=self.character.name)
        )

    def _add(self, texts: list[str]) -> None:
        for text in texts:
            sentence = Sentence(len(self.sentences), text, self._fence)
            self._fence = open_fence(text, self._fence)
            self.sentences.append(sentence)
            self._emit_state(sentence, "queued")
            self._jobs.append(asyncio.create_task(self._speak(sentence)))

    def _open(self, number: int) -> asyncio.Task[None]:
        """Have a sentence's stream made, once."""
        if number not in self._openings:
            self._openings[number] = self._parts.dispatcher.open(self._relay.key(number))
        return self._openings[number]

    def _on_claim(self, sentence: Sentence) -> None:
        self._emit_state(sentence, "speaking")
        # Now there is time for it; before, it would have stood in the way of the sentence itself.
        self._open(sentence.number + 1)

    async def _speak(self, sentence: Sentence) -> None:
        async with self._room:
            await self._wait_for_the_ear()
            feed = sentence.feed = self._relay.follow(
                sentence.number, sentence.timing, lambda: self._on_claim(sentence)
            )
            try:
                await self._speak_or_bury(sentence, feed)
            finally:
                self._relay.leave(sentence.number)

    async def _wait_for_the_ear(self) -> None:
        """Hold back while more is made than an ear can have heard in `ahead_s` from now."""
        while self._first_sound_at:
            heard_s = time.monotonic() - self._first_sound_at
            made_s = sum(sentence.duration_ms for sentence in self.sentences) / 1000
            if (too_much_s := made_s - heard_s - self._ahead_s) < 0:
                return
            await asyncio.sleep(min(1.0, too_much_s + 0.05))

    async def _speak_or_bury(self, sentence: Sentence, feed: SentenceFeed) -> None:
        number = sentence.number
        try:
            if text := spoken(sentence.text, sentence.fence):
                opening = self._open(number)
                await self._parts.dispatcher.speak(
                    self._job(sentence, text), feed, opening, lambda: self._relay.next_part(number)
                )
            else:
                await self._end_unspoken(sentence)
        except SpeechError as error:
            self._end(sentence, "failed")
            self._stage.emit(error_message(error, self.number, number))
            part = self._relay.next_part(number)
            self._relay.push(tombstone(self.number, number, part, feed.attempt + 1))
        else:
            self._end(sentence, "done")

    def _job(self, sentence: Sentence, text: str) -> SpeechJob:
        return SpeechJob(
            session=self._stage.id,
            turn=self.number,
            sentence=sentence.number,
            attempt=1,
            text=text,
            voice=self.character.voice,
            character=self.character.name,
            inbox=self._parts.dispatcher.inbox_key,
        )

    async def _end_unspoken(self, sentence: Sentence) -> None:
        """A sentence of which nothing can be spoken, a row of stars say, is over at once and not a failure."""
        end = Chunk(self.number, sentence.number, 0, 1, b"", last=True)
        self._relay.push(end)
        try:
            await self._parts.streams.end_sentences({self._relay.key(sentence.number): end.pack()})
        except StreamsError as error:
            log.warning("the end of a silent sentence is not in its stream: %s", error)

    def _end(self, sentence: Sentence, state: Literal["done", "failed"]) -> None:
        sentence.is_over = True
        SENTENCES.labels(state=state).inc()
        self._emit_state(sentence, state)

    def _emit_state(
        self, sentence: Sentence, state: Literal["queued", "speaking", "done", "failed", "cancelled"]
    ) -> None:
        feed = sentence.feed
        self._stage.emit(
            SentenceState(
                turn=self.number,
                sentence=sentence.number,
                text=sentence.text,
                character=self.character.name,
                state=state,
                attempt=max(1, feed.attempt) if feed else 1,
                duration_ms=sentence.duration_ms if state == "done" else None,
                queue_ms=sentence.timing.queue_ms,
                first_audio_ms=sentence.timing.first_audio_ms,
                worker=feed.worker or None if feed else None,
            )
        )

    def _play(self, chunk: Chunk) -> None:
        self._start_speaking()
        self._first_sound_at = self._first_sound_at or time.monotonic()
        self._stage.play(chunk)

    def _start_speaking(self) -> None:
        if not self._has_started_speaking:
            self._has_started_speaking = True
            self._stage.emit(TtsStart(turn=self.number))
            self._stage.emit(Status(status="speaking"))

    async def save(self, state: str) -> None:
        """Tell Redis how far the turn is, for whoever replays it."""
        fields = {"state": state, "character": self.character.name}
        if state == "ended":
            fields["sentences"] = str(len(self.sentences))
        try:
            await self._parts.streams.save_turn(self._stage.id, self.number, fields)
        except StreamsError as error:
            log.warning("turn %d is not saved as %s: %s", self.number, state, error)
