"""Higgs Audio v2 as an engine: text and voice to a take in the batch. Not: how the batch runs, what jobs are.

Oddities, all on purpose:

1. Without an example of its own the model speaks with another voice each time. So each voice has an anchor, a few
   seconds of sound with their text, which every prompt begins with.
2. It knows neither speed nor pitch; both are altered afterwards.
3. A text is said in pieces of at most 200 characters: what is longer than some 15 s drifts.
4. On one kind of device the same job makes the same samples whoever else is in the batch (`CUELINE_HIGGS_EXACT`);
   on another they may differ.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from contract.errors import EngineFailed, EngineUnavailable, VoiceUnknown
from contract.voice import Voice
from workers.recall.anchorage import Anchorage
from workers.recall.anchors import Anchors, who
from workers.settings import settings
from workers.tempo import altered
from workers.tts.engine import Codes, Pool, Spoken, VoiceInfo
from workers.tts.higgs.prompt import words
from workers.tts.plain import pieces, plain_text

if TYPE_CHECKING:
    from workers.tts.higgs.codec import Samples
    from workers.tts.higgs.loading import Opened
    from workers.tts.higgs.prompt import Prompt
    from workers.tts.higgs.take import Take

log = logging.getLogger(__name__)

AT_ONCE = 64
"""Sentences in the batch if `CUELINE_HIGGS_SLOTS` does not say."""
PIECE_CHARS = 200
FRAMES_PER_S = 25
START_S, SECONDS_PER_CHAR, SECONDS_PER_WIDE_CHAR = 2.0, 0.15, 0.5
"""Twice as long as people need: whoever is still speaking then babbles."""
KEPT_BEFORE = 2
"""Sentences said before that a prompt holds."""


class Part(NamedTuple):
    """A voice that is described here."""

    label: str
    gender: str
    description: str


VOICES = {
    "default": Part("Clear", "female", "feminine, warm and clear, a natural conversational pace"),
    "ada": Part("Ada", "female", "feminine, young and bright, lively, with a smile in the voice"),
    "clara": Part("Clara", "female", "feminine, mature and calm, low pitch, unhurried like a good storyteller"),
    "ines": Part("Ines", "female", "feminine, energetic and quick, a confident presenter"),
    "arthur": Part("Arthur", "male", "masculine, deep and warm, slow, an elderly narrator"),
    "ben": Part("Ben", "male", "masculine, young and friendly, relaxed and conversational"),
    "otto": Part("Otto", "male", "masculine, dry and precise, medium pitch, a patient teacher"),
    "samir": Part("Samir", "male", "masculine, soft and low, gentle, close to the microphone"),
}
"""`Voice.description` says it otherwise."""


class HiggsEngine:
    """One model in this process. `anchor_of` finds the anchor of a voice; set it before the first sentence."""

    name = "higgs"
    pool: Pool = "threads"
    repeatable = False
    version = ""
    clones = True

    def __init__(self) -> None:
        self._opened: Opened | None = None
        self.anchor_of: Callable[[Voice], Spoken | None] = lambda voice: None

    @property
    def at_once(self) -> int:
        """Sentences that are made together, and so tasks that a worker should run."""
        return settings().higgs_slots or AT_ONCE

    def load(self) -> None:
        """Load the checkpoint and record the graphs: half a minute on a GPU.

        Raises: EngineUnavailable.
        """
        try:
            import torch

            from workers.tts.higgs.loading import open_batch
        except ImportError as error:
            raise EngineUnavailable(
                "torch and transformers are missing. Install them with: CUELINE_TTS_ENGINE=higgs make run, "
                "or pip install 'cueline[higgs]'."
            ) from error
        try:
            opened = open_batch(settings())
        except torch.OutOfMemoryError as error:
            raise EngineUnavailable(
                "The device has too little memory for Higgs Audio. `cueline doctor` says what it can hold; "
                "CUELINE_HIGGS_INT8=1 halves the weights."
            ) from error
        self.repeatable, self.version = opened.is_exact, opened.version
        opened.batch.on_broken = _end_this_worker
        opened.batch.start()
        self._opened = opened

    def find_anchors_at(self, anchorage: Anchorage) -> None:
        """Begin voices with recordings, and with what has been cast for them."""
        descriptions = {name: part.description for name, part in VOICES.items()}
        self.anchor_of = Anchors(anchorage, self.name, self.encode, self.cast, descriptions).of

    def voices(self) -> list[VoiceInfo]:
        """Voices that are described here; characters bring descriptions and anchors of their own."""
        return [VoiceInfo(name, part.label, "en-us", part.gender) for name, part in VOICES.items()]

    def encode(self, samples: Samples) -> Codes:
        """A recording, float32 mono at 24 kHz, as codes. Raises: EngineUnavailable."""
        return self._loaded().codec.encode(samples)

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        """Yield s16le mono 24 kHz PCM: 0.4 s first, then more at a time."""
        return self.speak_after(text, voice, seed, (), lambda spoken: None)

    def speak_after(
        self, text: str, voice: Voice, seed: int, before: Sequence[Spoken], done: Callable[[Spoken], None]
    ) -> Iterator[bytes]:
        """The same in the manner of what the voice said `before`, newest last; what was generated goes to `done` as
        soon as it is whole."""
        if voice.name not in VOICES:
            raise VoiceUnknown(f"Higgs has no voice {voice.name[:40]!r}; it has {', '.join(VOICES)}.")
        self._loaded()
        said = plain_text(words(plain_text(text)))
        description = voice.description
        if not who(description):
            description = f"{VOICES[voice.name].description}{description}"
        blocks = self._blocks(said, description, voice.scene, self.anchor_of(voice), seed, before, done)
        with closing(blocks):
            yield from altered(blocks, min(max(voice.rate, 0.25), 4.0), voice.pitch)

    def cast(self, text: str, description: str, scene: str, seed: int) -> Spoken:
        """Say `text` as somebody who is only described, with no anchor: for making one.

        Raises: SpeechError.
        """
        made: list[Spoken] = []
        for _ in self._blocks(plain_text(text), description, scene, None, seed, (), made.append):
            pass
        return made[0]

    def _loaded(self) -> Opened:
        if self._opened is None:
            raise EngineUnavailable("higgs has not been loaded yet.")
        return self._opened

    def _blocks(
        self,
        text: str,
        description: str,
        scene: str,
        anchor: Spoken | None,
        seed: int,
        before: Sequence[Spoken],
        done: Callable[[Spoken], None],
    ) -> Generator[bytes]:
        """Piece by piece, each in the manner of those before it."""
        prefix = self._loaded().prompts.prefix(scene, description, anchor)
        said: list[Spoken] = []
        for number, piece in enumerate(pieces(text, PIECE_CHARS)):
            take = self._take(prefix, [*before, *said][-KEPT_BEFORE:], piece, seed + number)
            with closing(take.blocks()) as blocks:
                yield from blocks
            if take.end is None or not take.end.codes.shape[1]:
                raise EngineFailed("The voice model made no sound of this sentence.")
            said.append(Spoken(piece, take.end.codes))
        done(Spoken(text, np.concatenate([spoken.codes for spoken in said], axis=1)))

    def _take(self, prefix: Prompt, before: Sequence[Spoken], text: str, seed: int) -> Take:
        """A take with as much of what was said before as there is room for. Raises: SpeechError."""
        from workers.tts.higgs.take import Sampling, Take

        opened, most = self._loaded(), most_frames(text)
        for start in range(len(before) + 1):
            rest = opened.prompts.rest(before[start:], text, has_description=True)
            take = Take(prefix, rest, seed=seed, most_frames=most, sampling=Sampling())
            if len(take) <= opened.positions:
                break
        return opened.batch.submit(take)


def most_frames(text: str) -> int:
    """Frames after which `text` must have been said."""
    seconds = START_S + sum(SECONDS_PER_WIDE_CHAR if char > "\u2e80" else SECONDS_PER_CHAR for char in text)
    return int(seconds * FRAMES_PER_S)


def _end_this_worker() -> None:
    """After a fault of the device no call works until another process opens it: whoever supervises us starts one."""
    log.critical("the device of the voice model no longer answers; this worker ends")
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
