"""Engines whose every sample has a number, and that misbehave as their text tells them."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil

from contract.audio import SAMPLE_RATE_HZ
from contract.errors import EngineFailed, EngineUnavailable, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from workers.recall.anchorage import anchorage
from workers.tts.engine import Pool, Spoken, VoiceInfo

SAMPLES_PER_CHAR = 960
BLOCK_SAMPLES = 2400


def counter_pcm(text: str) -> bytes:
    """What CounterEngine says for `text`: samples that count upwards, from a start that the text decides."""
    start = zlib.crc32(text.encode()) % 30_000
    numbers = (np.arange(len(text) * SAMPLES_PER_CHAR) + start) % 30_000 + 1
    return numbers.astype("<i2").tobytes()


class CounterEngine:
    """An engine whose every sample names its own place. Words in the text make it misbehave:

    slowly: five times faster than speech instead of at once · late: half a second before the first block ·
    explode: an error of its own kind · crash: an error of any kind · die: SIGKILL to its own process, once per
    file named by FAKE_DEATHS · freeze: no block for a minute · mute: no sound at all ·
    hunger: all the memory it may have, once per file named by FAKE_DEATHS ·
    gorge: more than it may have, until the kernel ends it, once per file named by FAKE_DEATHS

    Like a recording it says the recording itself.
    Each start leaves a file in FAKE_STARTS, whose name ends with that of the voice.
    """

    name = "counter"
    pool: Pool = "prefork"
    repeatable = True
    version = "1"
    clones = True

    def load(self) -> None:
        pass

    def voices(self) -> list[VoiceInfo]:
        return [VoiceInfo("default", "Counter", "en-us")]

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        if not text.strip():
            raise TextUnspeakable()
        if voice.name == "nobody":
            raise VoiceUnknown()
        rendering = note_start(text, voice.name)
        words = set(text.lower().replace(".", " ").replace(",", " ").split())
        if "explode" in words:
            raise EngineFailed()
        if "crash" in words:
            raise ZeroDivisionError
        if "late" in words:
            time.sleep(0.5)
        if "later" in words:
            time.sleep(2)
        if "mute" in words:
            return
        if voice.anchor:
            yield recorded_pcm(voice.anchor)
            return
        pcm = self._render(text, rendering)
        for start in range(0, len(pcm), 2 * BLOCK_SAMPLES):
            yield pcm[start : start + 2 * BLOCK_SAMPLES]
            if start >= 4 * BLOCK_SAMPLES:
                self._misbehave(words)
            if "slowly" in words:
                time.sleep(BLOCK_SAMPLES / SAMPLE_RATE_HZ / 5)

    def _render(self, text: str, rendering: int) -> bytes:
        return counter_pcm(text)

    def _misbehave(self, words: set[str]) -> None:
        if "freeze" in words:
            time.sleep(60)
        if "die" in words and may_die():
            os.kill(os.getpid(), signal.SIGKILL)
        if "hunger" in words and may_die():
            eat_all_memory()
        if "gorge" in words and may_die():
            gorge()


def recorded_pcm(clip: str) -> bytes:
    """What a worker finds of a clip. Raises: VoiceUnknown."""
    found = anchorage().recording(clip)
    if found is None:
        raise VoiceUnknown("Nobody has handed over this recording.")
    return np.rint(found[0] * 32_768).astype("<i2").tobytes()


class ThreadedCounterEngine(CounterEngine):
    """The same in one process with many threads."""

    pool: Pool = "threads"


class WanderingEngine(CounterEngine):
    """One that never says a sentence twice in the same samples: they tell how often it was started, 1 to 3."""

    name = "wanderer"
    repeatable = False

    def _render(self, text: str, rendering: int) -> bytes:
        return rendering_pcm(text, rendering)


class RecallingEngine(CounterEngine):
    """One that goes on from what was said before: it says how many sentences that were, and which were."""

    name = "recaller"
    takes_s = 0.0
    """How long a sentence takes once it has begun."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.before: list[list[str]] = []

    def speak_after(
        self, text: str, voice: Voice, seed: int, before: Sequence[Spoken], done: Callable[[Spoken], None]
    ) -> Iterator[bytes]:
        self.before.append([spoken.text for spoken in before])
        self.began.set()
        for spoken in before:
            assert (spoken.codes == codes_of(spoken.text)).all()
        for block in self.speak(text, voice, seed):
            yield bytes([len(before)]) * len(block)
            time.sleep(self.takes_s)
        done(Spoken(text, codes_of(text)))


def codes_of(text: str) -> npt.NDArray[np.uint16]:
    """What RecallingEngine has of its own speech: 8 × characters."""
    return np.array([[ord(sign) % 1024 for sign in text]] * 8, np.uint16)


def rendering_pcm(text: str, rendering: int) -> bytes:
    """What WanderingEngine says the n-th time."""
    numbers = np.arange(len(text) * SAMPLES_PER_CHAR) % 10_000 + 10_000 * (rendering - 1) + 1
    return numbers.astype("<i2").tobytes()


def note_start(text: str, voice: str) -> int:
    """Leave a file that says that a sentence was started; how often that has happened to this one."""
    if not (folder := os.environ.get("FAKE_STARTS")):
        return 1
    name = f"{zlib.crc32(text.encode()):08x}"
    (Path(folder) / f"{name}-{uuid.uuid4().hex}-{voice.replace('/', '')}").write_text(text)
    return len(list(Path(folder).glob(f"{name}-*")))


def eat_all_memory() -> None:
    """Raises: MemoryError, from an allocation that the kernel refused."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + 2**20, before[1]))
    try:
        bytearray(2**30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def gorge() -> None:
    """Take memory, page by page, up to two gigabytes: a process with a limit does not get that far."""
    taken = []
    for _ in range(256):
        taken.append(b"\xff" * (8 * 1024 * 1024))


def may_die() -> bool:
    """Whether this death is still to come; a file per death remembers it beyond the process."""
    for death in Path(os.environ["FAKE_DEATHS"]).iterdir():
        death.unlink(missing_ok=True)
        return True
    return False


class FickleEngine:
    """One that fails as it is told to, before its first block or after some."""

    pool: Pool = "solo"
    repeatable = True
    version = ""

    def __init__(self, name: str, voices: list[VoiceInfo]) -> None:
        self.name = name
        self._voices = voices
        self.blocks = [f"{name} {number} ".encode() for number in range(3)]
        self.error: Exception | None = None
        self.fails_after = 0
        self.missing = ""
        self.knows_others = True
        """Whether it speaks with names that it does not list."""
        self.spoken: list[Voice] = []
        self.closed = 0

    def load(self) -> None:
        if self.missing:
            raise EngineUnavailable(self.missing)

    def voices(self) -> list[VoiceInfo]:
        return self._voices

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        known = {"default", *(info.name for info in self._voices)}
        if voice.name not in known and not self.knows_others:
            raise VoiceUnknown()
        self.spoken.append(voice)
        try:
            for number, block in enumerate(self.blocks):
                if self.error and number >= self.fails_after:
                    raise self.error
                yield block
        except GeneratorExit:
            self.closed += 1
            raise
