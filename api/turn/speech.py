"""Speech: the spoken half of a turn, from sentences to chunks in order. Not: the reply they come from."""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from api.characters import Character
from api.events import SentenceState, Status, TtsEnd, TtsStart, TtsStop, error_message
from api.streams import Record, StreamsError
from api.turn.record import Left, sentence_record
from api.turn.relay import Relay, SentenceFeed
from api.turn.replay import Position
from api.turn.sentences import open_fence
from api.turn.spoken import spoken
from api.turn.stage import Parts, Stage
from api.turn.timing import SENTENCES, Timing
from contract import keys
from contract.chunk import Chunk, tombstone
from contract.errors import SpeechError
from contract.job import SpeechJob
from contract.voice import Voice

log = logging.getLogger(__name__)

AHEAD_S = 60.0
"""Speech that is made ahead of the ear. An engine can be a thousand times faster than speech, and Redis is finite."""
AT_ONCE = 3
"""Sentences of one turn in synthesis at the same time."""
KEEP_S = 0.2
"""How long what is to be told waits to be written down: a process that goes on must know what listeners know."""


@dataclass(slots=True)
class Sentence:
    """One sentence of the reply on its way."""

    number: int
    text: str
    character: Character
    stretch: int = 0
    """Which speaker's of the turn, counted from 0."""
    fence: str = ""
    """The code fence that the sentences before it left open."""
    feed: SentenceFeed | None = None
    is_over: bool = False
    is_inherited: bool = False
    """Another process may have had it spoken, or have begun to."""
    timing: Timing = field(default_factory=Timing)

    @property
    def duration_ms(self) -> int:
        """Length of its speech, as far as it is there."""
        return self.feed.duration_ms if self.feed else 0


class Speech:
    """The sentences of one turn on their way to the ear."""

    def __init__(self, parts: Parts, stage: Stage, turn: int, left: Left, ahead_s: float = AHEAD_S) -> None:
        """`left` is what another process has left of this turn; empty where there was none."""
        self.sentences: list[Sentence] = []
        self._turn = turn
        self._left = left
        self._ahead_s = ahead_s
        self._parts = parts
        self._stage = stage
        sentence, part = left.position
        self._relay = Relay(parts.inbox, stage.id, turn, self._play, (sentence, part - 1))
        self._room = asyncio.Semaphore(AT_ONCE)
        self._jobs: list[asyncio.Task[None]] = []
        self._openings: dict[int, asyncio.Task[None]] = {}
        self._saves: set[asyncio.Task[bool]] = set()
        self._written = self._told = 0
        """How many sentences the turn's record surely has, and how many listeners know of."""
        self._has_started = left.has_said("tts_start")
        self._first_sound_at = time.monotonic() if left.position > (0, 0) else 0.0
        self._fence = ""

    @property
    def position(self) -> Position:
        """(sentence, part) that listeners get next."""
        return self._relay.position

    @property
    def is_mute(self) -> bool:
        """Whether something should have been heard and nothing was."""
        asked = [sentence for sentence in self.sentences if sentence.feed and sentence.feed.attempt]
        return bool(asked) and not any(sentence.duration_ms for sentence in asked)

    def opened_streams(self) -> list[str]:
        """Keys of the streams that were made so far."""
        inherited = [sentence.number for sentence in self.sentences if sentence.is_inherited]
        return [self._relay.key(number) for number in {*self._openings, *inherited}]

    def prepare(self) -> None:
        """There will be a first sentence: have its stream made, and a worker free, while the model thinks."""
        self._parts.dispatcher.expect()
        self._open(0)

    def add(self, texts: list[str], character: Character, stretch: int) -> None:
        """Sentences of the reply, in its order, and who speaks them."""
        for text in texts:
            if self.sentences and self.sentences[-1].stretch != stretch:
                self._fence = ""
            sentence = Sentence(len(self.sentences), text, character, stretch, self._fence)
            self._fence = open_fence(text, self._fence)
            self.sentences.append(sentence)
            self._jobs.append(asyncio.create_task(self._speak(sentence)))
        if texts:
            # After the sentences themselves, which are in more of a hurry.
            self._jobs.append(asyncio.create_task(self._write_and_tell(len(self.sentences))))

    def go_on(self, first: Character) -> None:
        """Speak what another process had cut the reply into, from where its listeners are.

        `first`: who speaks where nobody is named.
        """
        ends = [end for _, end in self._left.stretches(first)]
        for number, (text, fence, speaker) in enumerate(self._left.sentences):
            character, stretch = self._left.speakers.get(speaker, first), bisect_right(ends, number)
            sentence = Sentence(number, text, character, stretch, fence, is_inherited=True)
            self.sentences.append(sentence)
            self.tell_queued()
            if number < self.position[0]:
                sentence.feed = self._relay.recall(number, self._left.sizes[number])
                has_failed = self._left.has_said("sentence", sentence=number, state="failed")
                self._end(sentence, "failed" if has_failed else "done")
            else:
                self._jobs.append(asyncio.create_task(self._speak(sentence)))
        self._written = len(self.sentences)

    async def end(self) -> None:
        """Wait until all has been said."""
        await asyncio.gather(*self._jobs)
        self._relay.close()
        self._start()
        if not self._left.has_said("tts_end"):
            self._stage.emit(TtsEnd(turn=self._turn))

    async def leave(self) -> None:
        """Say and write nothing more, and leave all that is there to another process."""
        self._relay.close()
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._saves, return_exceptions=True)

    def cancel(self, reason: str) -> tuple[dict[str, bytes], list[str]]:
        """Nothing more is heard.

        Returns the streams that have to be ended with their last frames, and which of them nobody was given.
        """
        self._relay.close()
        for job in self._jobs:
            job.cancel()
        self.tell_queued()
        self._stage.silence(self._turn)
        stones = {
            sentence.number: tombstone(self._turn, sentence.number, self._relay.given_parts(sentence.number), 0)
            for sentence in self.sentences[self._relay.position[0] :]
        }
        for stone in stones.values():
            self._stage.play(stone)
        for sentence in self.sentences:
            if not sentence.is_over:
                self._emit_state(sentence, "cancelled")
        self._stage.emit(TtsStop(turn=self._turn, reason=reason))
        begun = [sentence for sentence in self.sentences if sentence.feed or sentence.is_inherited]
        opened = [sentence.number for sentence in begun if sentence.number in stones]
        ends = {self._relay.key(number): stones[number].pack() for number in opened}
        return ends, [self._relay.key(number) for number in opened if (number, 0) >= self._relay.position]

    def tell_queued(self, count: int | None = None) -> None:
        """Let listeners know of the first `count` sentences, or of all, in their order."""
        for sentence in self.sentences[self._told : count]:
            self._told += 1
            self._emit_state(sentence, "queued")

    async def _write_and_tell(self, count: int) -> None:
        writing = self.keep(self.record(self._written, count))
        await asyncio.wait({writing}, timeout=KEEP_S)
        if writing.done() and writing.result():
            self._written = max(self._written, count)
        self.tell_queued(count)

    def record(self, start: int = 0, end: int | None = None) -> dict[str, str]:
        """Sentences, by default all so far, for whoever may have to go on with this turn."""
        wanted = self.sentences[start:end]
        records = (sentence_record(one.number, one.text, one.fence, one.character.id) for one in wanted)
        return {name: text for record in records for name, text in record.items()}

    def keep(self, record: dict[str, str]) -> asyncio.Task[bool]:
        """Have something written down for whoever may have to go on with this turn."""
        saving = asyncio.create_task(self.save(record))
        self._saves.add(saving)
        saving.add_done_callback(self._saves.discard)
        return saving

    async def save(self, fields: dict[str, str]) -> bool:
        """Tell Redis about this turn, for whoever replays it or goes on with it; False if Redis does not hear."""
        try:
            await self._parts.streams.save_turn(self._stage.id, self._turn, fields)
        except StreamsError as error:
            log.warning("turn %d is not saved: %s", self._turn, error)
            return False
        return True

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
            on_claim = partial(self._on_claim, sentence)
            feed = sentence.feed = self._relay.follow(sentence.number, sentence.timing, on_claim)
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
                speak = self._parts.dispatcher.go_on if sentence.is_inherited else self._parts.dispatcher.speak
                job, next_part = self._job(sentence, text), partial(self._relay.next_part, number)
                await speak(job, feed, self._open(number), next_part, partial(self._prepare, sentence, job.voice))
            else:
                await self._end_unspoken(sentence)
        except SpeechError as error:
            self._end(sentence, "failed")
            self._stage.emit(error_message(error, self._turn, number))
            self._relay.push(tombstone(self._turn, number, self._relay.next_part(number), feed.attempt + 1))
        else:
            self._end(sentence, "done")

    async def _prepare(self, sentence: Sentence, voice: Voice) -> Record:
        await self._parts.provide(self._stage.owner, voice)
        return keys.turn(self._stage.id, self._turn), self.record(self._written, sentence.number + 1)

    def _job(self, sentence: Sentence, text: str) -> SpeechJob:
        bill, character = self._stage.playbill, sentence.character
        voice = bill.voice_of(character)
        return SpeechJob(
            session=self._stage.id,
            turn=self._turn,
            sentence=sentence.number,
            attempt=1,
            text=self._parts.lexicon.say(text, voice.name),
            voice=voice,
            character=character.name,
            inbox=self._parts.dispatcher.inbox_key,
            speaker=character.id,
            context=bill.context_of(character),
        )

    async def _end_unspoken(self, sentence: Sentence) -> None:
        """A sentence of which nothing can be spoken, a row of stars say, is over at once and not a failure."""
        end = Chunk(self._turn, sentence.number, 0, 1, b"", last=True)
        try:
            await self._parts.streams.end_sentences({self._relay.key(sentence.number): end.pack()})
        except StreamsError as error:
            log.warning("the end of a silent sentence is not in its stream: %s", error)
        # Only now: a replay that finds less than listeners were given takes it for lost.
        self._relay.push(end)

    def _end(self, sentence: Sentence, state: Literal["done", "failed"]) -> None:
        sentence.is_over = True
        SENTENCES.labels(state=state).inc()
        self._emit_state(sentence, state)

    def _emit_state(
        self, sentence: Sentence, state: Literal["queued", "speaking", "done", "failed", "cancelled"]
    ) -> None:
        feed = sentence.feed
        attempt = max(1, feed.attempt) if feed else 1
        self.tell_queued(sentence.number + 1)
        if sentence.is_inherited and self._left.has_said(
            "sentence", sentence=sentence.number, state=state, attempt=attempt
        ):
            return
        self._stage.emit(
            SentenceState(
                turn=self._turn,
                sentence=sentence.number,
                text=sentence.text,
                character=sentence.character.name,
                state=state,
                attempt=attempt,
                duration_ms=sentence.duration_ms if state == "done" else None,
                queue_ms=sentence.timing.queue_ms,
                first_audio_ms=sentence.timing.first_audio_ms,
                worker=feed.worker or None if feed else None,
                restart_ms=feed.restart_ms or None if feed else None,
                cached=feed.is_cached if feed and feed.worker else None,
            )
        )

    def _play(self, chunk: Chunk) -> None:
        self._start()
        self._first_sound_at = self._first_sound_at or time.monotonic()
        self._stage.play(chunk)

    def _start(self) -> None:
        if not self._has_started:
            self._has_started = True
            self._stage.emit(TtsStart(turn=self._turn))
            self._stage.emit(Status(status="speaking"))
