"""Understanding: when a saying's sound is looked at, and whether it was all. Not: sound itself, what is answered.

While somebody speaks, the recognizer looks now and then at all of it. At a short pause it looks at the whole: if the
pause proves to be the end, the words are there already.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import numpy as np

from api.ending import end_tasks
from api.listening.line import Line
from api.listening.saying import KEPT_S, Saying
from api.listening.sound.endpoint import PAUSE_MS, Event
from api.listening.sound.vad import FRAME_MS
from api.listening.timing import HEARD
from api.listening.words.barge_in import SUSTAINED_MS, BargeIn, Step
from api.listening.words.doubt import Sound, believed
from api.listening.words.language import Language
from api.listening.words.recognition import Recognition, Recording, Wishes
from api.listening.words.turn_end import TurnEnd, TurnModel
from api.session.voiced import Voiced
from contract.errors import RecognitionError
from contract.transcribe import HEARING_BYTES_PER_S

log = logging.getLogger(__name__)

FIRST_PARTIAL_MS = 500
PARTIAL_MS = 400
"""Of new sound between two looks, or twice as long as a look takes."""
CUT_AT_PAUSE_S, CUT_S = 10.0, 25.0
"""A piece ends at the first pause after the one, and at the other in any case."""
LEAVE_S = 30.0
"""How long words that are still awaited may take when their socket has gone."""
PROMPT_CHARS = 200


class Understanding:
    """Of one speaker."""

    def __init__(self, recognition: Recognition, line: Line, language: Language, turn_end: TurnEnd) -> None:
        self.current: Saying | None = None
        """What is being said now."""
        self._recognition = recognition
        self._line = line
        self._language = language
        self._turn_end = turn_end
        self.waits_for_button = False
        """Whether silence does not end what is said."""
        self._previous: Saying | None = None
        self._silence_ms = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    # what comes

    def begin(self, pre_roll: list[tuple[bytes, float]], voiced_ms: int, *, is_barge_in: bool) -> None:
        """Somebody has begun to speak."""
        saying = Saying(self._recognition.record(self._line.session_id), voiced_ms)
        for pcm, level in pre_roll:
            saying.add(pcm, level)
        if is_barge_in:
            saying.barge_in = BargeIn(self._say_step)
        self.current = saying

    def follow(self, pcm: bytes, level_dbfs: float, event: Event | None, silence_ms: int) -> None:
        """The next frame of the saying."""
        saying = self.current
        if saying is None:
            return
        saying.add(pcm, level_dbfs)
        self._silence_ms = silence_ms
        if silence_ms == 0:
            saying.voiced_ms += FRAME_MS
            saying.spoke_at = time.monotonic()
            if saying.barge_in:
                saying.barge_in.go_on(saying.voiced_ms)
        if event == "resumed":
            saying.pause += 1
        if saying.seconds >= CUT_S or (event == "paused" and saying.seconds >= CUT_AT_PAUSE_S):
            self._cut(saying)
        elif event == "paused":
            self._ask_final(saying)
        elif silence_ms < PAUSE_MS:
            self._ask_partial(saying)
        if event == "paused" and self._turn_end.model and not self.waits_for_button:
            self.run(self._ask_tone(saying, self._turn_end.model, saying.last(KEPT_S)))
        self._judge(saying)
        if saying is self.current and not self.waits_for_button and silence_ms >= self._turn_end.longest_ms:
            # Whatever its words will be, once a slow recognizer has them: who speaks now says something else.
            self.complete()

    def complete(self) -> None:
        """Whatever is being said ends here."""
        saying, self.current = self.current, None
        if saying is None:
            return
        if self._silence_ms < PAUSE_MS:
            saying.pause += 1
        saying.is_complete = True
        self._judge(saying)

    async def drop(self) -> None:
        """Forget what is being said."""
        sayings = {saying for saying in (self.current, self._previous) if saying}
        for saying in sayings:
            saying.is_over = True
        self.current = None
        await end_tasks(*self._tasks)
        for saying in sayings:
            await saying.recording.close()
        await self._line.close()

    async def leave(self) -> None:
        """The microphone is gone; what was said is still understood."""
        self.complete()
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                while self._tasks:
                    await asyncio.wait(self._tasks)
                await self._line.flush()
        await self.drop()

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """In the background, until the ear is dropped."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)
        return task

    # what is asked of the recognizer

    def _ask_partial(self, saying: Saying) -> None:
        size = len(saying.recording.pcm)
        first_ms = SUSTAINED_MS if saying.barge_in else FIRST_PARTIAL_MS
        every = saying.partial_every or _bytes(PARTIAL_MS)
        is_due = size - saying.partial_at >= every if saying.partial_at else saying.voiced_ms >= first_ms
        if is_due and (saying.partial is None or saying.partial.done()):
            saying.partial_at = size
            saying.partial = self.run(self._look_partial(saying, size))

    async def _look_partial(self, saying: Saying, size: int) -> None:
        recording, sound, started = saying.recording, saying.sound(), time.monotonic()
        try:
            transcript = await recording.look("partial", size, self._wishes(saying))
        except RecognitionError as error:
            log.debug("a partial is left out: %s", error.text)
            return
        saying.partial_every = _bytes(max(PARTIAL_MS, 2000 * (time.monotonic() - started)))
        if saying.is_over or saying.recording is not recording or saying.asked == saying.pause:
            return
        saying.agreement.update(believed(transcript, sound))
        self._say_partial(saying, saying.agreement.content, saying.agreement.stable)

    def _ask_final(self, saying: Saying) -> asyncio.Task[str]:
        saying.asked = saying.pause
        return self.run(self._look_final(saying, saying.recording, saying.sound(), saying.pause))

    async def _look_final(self, saying: Saying, recording: Recording, sound: Sound, pause: int) -> str:
        """The words until that pause; empty if there are none."""
        text = ""
        try:
            if sound.is_worth_a_look:
                transcript = await recording.look(
                    "final", round(sound.seconds * HEARING_BYTES_PER_S), self._wishes(saying)
                )
                text = believed(transcript, sound)
                if text:
                    # What is made up is made up in any language.
                    self._language.learn(transcript, sound.voiced_ms)
                    self._turn_end.learn(text)
        except RecognitionError as error:
            if pause == saying.pause or recording is not saying.recording:
                saying.failure = error
        if recording is saying.recording and pause == saying.pause and not saying.is_over:
            saying.known = (pause, text)
            if text:
                self._say_partial(saying, text, text)
            self._judge(saying)
        return text

    async def _ask_tone(self, saying: Saying, model: TurnModel, pcm: bytes) -> None:
        """Whether it sounds as if it were all, judged beside the words."""
        pause, complete = saying.pause, None
        try:
            complete = await asyncio.to_thread(model.is_complete, np.frombuffer(pcm, "<i2"))
        except Exception:
            log.exception("the model of turns broke; words decide")
        if pause == saying.pause:
            saying.tone = (pause, complete)
            self._judge(saying)

    def _cut(self, saying: Saying) -> None:
        """Too long for one recording: what was said until here is understood apart."""
        finished = saying.recording
        words = self._ask_final(saying)
        words.add_done_callback(lambda _: self.run(finished.close()))
        recording = self._recognition.record(self._line.session_id)
        saying.next_piece(recording, words, is_silent=self._silence_ms >= PAUSE_MS)

    def _wishes(self, saying: Saying) -> Wishes:
        return Wishes(language=self._language.code, prompt=saying.said[-PROMPT_CHARS:])

    # whether it was all

    def _judge(self, saying: Saying) -> None:
        """End the saying if its silence is long enough for its words."""
        if saying.is_over:
            return
        if saying.known is None or saying.known[0] != saying.pause:
            if saying.is_complete and saying.asked != saying.pause:
                self._ask_final(saying)
            return
        text = saying.known[1]
        if saying.is_complete or (not self.waits_for_button and self._silence_ms >= self._hold_ms(saying, text)):
            self._end(saying, text)

    def _hold_ms(self, saying: Saying, text: str) -> int:
        text = saying.whole(text)
        if not text or self._turn_end.model is None:
            # Where there were no words nobody goes on, and a reply that was interrupted should.
            return self._turn_end.hold_ms(text)
        if saying.tone is None or saying.tone[0] != saying.pause:
            return self._turn_end.longest_ms
        return self._turn_end.hold_ms(text, saying.tone[1])

    def _end(self, saying: Saying, text: str) -> None:
        saying.is_over = True
        if saying is self.current:
            self.current = None
        HEARD.observe(time.monotonic() - saying.spoke_at)
        previous, self._previous = self._previous, saying
        self.run(self._deliver(saying, text, previous.done if previous else None))

    async def _deliver(self, saying: Saying, text: str, before: asyncio.Event | None) -> None:
        """Hand on what was said, after what was said before it."""
        try:
            if before:
                await before.wait()
            if saying.pieces:
                await asyncio.wait(saying.pieces)
            self._tell(saying, saying.whole(text))
        finally:
            saying.done.set()
            await saying.recording.close()

    def _tell(self, saying: Saying, text: str) -> None:
        is_wanted = saying.barge_in.end(text) if saying.barge_in else bool(text)
        if is_wanted:
            self._line.say(Voiced(what="final", content=text, id=saying.recording.name))
            return
        # Whoever shows what is being said takes it back.
        self._line.say(Voiced(what="partial"))
        if error := saying.failure:
            self._line.say(Voiced(what="error", code=error.code, content=error.text, retryable=error.retryable))

    def _say_partial(self, saying: Saying, content: str, stable: str) -> None:
        content, stable = saying.whole(content), saying.whole(stable)
        self._line.say(Voiced(what="partial", content=content, stable=stable))
        if saying.barge_in:
            saying.barge_in.take_words(content, stable)

    def _say_step(self, step: Step) -> None:
        self._line.say(Voiced(what="barge_in", step=step))

    def _note_end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("listening broke", exc_info=error)


def _bytes(ms: float) -> int:
    return int(ms * HEARING_BYTES_PER_S / 1000)
