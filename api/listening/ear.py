"""Ear: one microphone, from its frames to sayings. Not: what they mean (understanding.py), sockets, Redis."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Literal

import numpy as np

from api.admission import Pace
from api.errors import TooManyMessages
from api.listening.saying import as_pcm
from api.listening.sound.echo import SPEECH as SPEECH_OVER_REPLY
from api.listening.sound.echo import EchoGate, Playback
from api.listening.sound.endpoint import SPEECH, Endpointer
from api.listening.sound.frames import MicFrame, level_dbfs, read_frame
from api.listening.sound.resample import Floats, Resampler
from api.listening.sound.vad import FRAME_SAMPLES, Vad, VadModel
from api.listening.understanding import Understanding

TurnTaking = Literal["automatic", "barge_in", "push_to_talk"]

PRE_ROLL_FRAMES = 12
"""384 ms before speech was noticed: the VAD needs three frames to be sure, and the first sound may be soft."""
WATCHDOG_S = 1.5
"""No sound for so long in the middle of a word: the microphone is gone, and what was said is all."""
AHEAD_S, AT_ONCE_S = 2.0, 20.0
"""Seconds of sound per second, and at once: more than any microphone makes."""


class Ear:
    """Hears one microphone."""

    def __init__(
        self, model: VadModel, understanding: Understanding, rate_hz: int, turn_taking: TurnTaking = "barge_in"
    ) -> None:
        self._understanding = understanding
        self._rate_hz = rate_hz
        self._turn_taking = turn_taking
        self._resampler = Resampler(rate_hz)
        self._vad = Vad(model)
        self._endpointer = Endpointer()
        self._gate = EchoGate()
        self._playback = Playback()
        self._reports_playback = False
        """Whether the client tells what its speaker plays; else it is reckoned."""
        self._pace = Pace(AHEAD_S, AT_ONCE_S)
        self._rest = np.zeros(0, np.float32)
        self._pre_roll: deque[tuple[bytes, float]] = deque(maxlen=PRE_ROLL_FRAMES)
        self._frame_at = 0.0

    def hear(self, data: bytes) -> None:
        """Take one frame of the microphone.

        Raises: MessageInvalid, TooManyMessages.
        """
        frame = read_frame(data)
        if not self._pace.take(len(frame.samples) / self._rate_hz):
            raise TooManyMessages
        self._frame_at = time.monotonic()
        self._reports_playback = self._reports_playback or frame.is_playing
        is_playing = frame.is_playing if self._reports_playback else self._playback.is_playing
        if is_playing and self._turn_taking == "automatic":
            self._complete()
            self._forget_sound()
            return
        if frame.is_first and self._understanding.current is None:
            self._forget_sound()
        sound = np.concatenate((self._rest, self._resampler.push(frame.samples)))
        whole = len(sound) // FRAME_SAMPLES * FRAME_SAMPLES
        self._rest = sound[whole:]
        for start in range(0, whole, FRAME_SAMPLES):
            self._listen(sound[start : start + FRAME_SAMPLES], frame, is_playing=is_playing)
        if frame.is_last:
            self._complete()

    def take_turns(self, turn_taking: TurnTaking) -> None:
        """Who says from now on when an utterance has ended, and what happens while a reply sounds."""
        self._turn_taking = turn_taking
        self._understanding.waits_for_button = turn_taking == "push_to_talk"

    def sounds(self, pcm: bytes, rate_hz: int) -> None:
        """This is sent to the speaker beside the microphone."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32_768)
        self._playback.add(len(samples) / rate_hz, level_dbfs(samples))

    def hushed(self) -> None:
        """The speaker was told to be silent."""
        self._playback.stop()

    async def drop(self) -> None:
        """Hear nothing more, and forget what is being said."""
        await self._understanding.drop()

    async def leave(self) -> None:
        """The microphone is gone; what was said is still understood."""
        await self._understanding.leave()

    def _listen(self, samples: Floats, frame: MicFrame, *, is_playing: bool) -> None:
        """32 ms."""
        if self._understanding.current is None and self._endpointer.is_speaking:
            # Its words came after its silence, between two frames: it is over.
            self._endpointer.reset()
        pcm, level = as_pcm(samples), level_dbfs(samples)
        probability = self._vad.probability(samples)
        reference = frame.playback_dbfs if self._reports_playback else self._playback.level_dbfs()
        if not self._gate.is_open(level, reference, is_speaking=self._endpointer.is_speaking):
            probability = 0.0
        event = self._endpointer.push(probability, level, SPEECH_OVER_REPLY if is_playing else SPEECH)
        if self._understanding.current:
            self._understanding.follow(pcm, level, event, self._endpointer.silence_ms)
            if self._understanding.current is None:
                self._endpointer.reset()
            return
        self._pre_roll.append((pcm, level))
        if event == "started":
            self._understanding.begin(list(self._pre_roll), self._endpointer.voiced_ms, is_barge_in=is_playing)
            self._pre_roll.clear()
            self._understanding.run(self._watch())

    def _complete(self) -> None:
        self._understanding.complete()
        self._endpointer.reset()

    async def _watch(self) -> None:
        """A microphone that falls silent altogether has nothing more to say."""
        watched = self._understanding.current
        while watched is self._understanding.current:
            await asyncio.sleep(WATCHDOG_S / 8)
            if watched is self._understanding.current and time.monotonic() - self._frame_at > WATCHDOG_S:
                self._complete()

    def _forget_sound(self) -> None:
        """What comes next does not follow what came before."""
        self._resampler = Resampler(self._rate_hz)
        self._rest = np.zeros(0, np.float32)
        self._pre_roll.clear()
        self._vad.reset()
        self._endpointer.reset()
