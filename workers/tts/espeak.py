"""espeak-ng, through the library that the espeakng-loader wheel ships. It must never learn of jobs.

Oddities, all on purpose:

1. The library is one per process, is not thread-safe (four unlocked threads end in a double free) and hands
   out audio from a callback. So one thread owns it, for good, and puts each block into its caller's queue.
   The first block takes 0.05 ms this way; 0.14 ms, and 3 ms one time in twenty, with a thread per sentence;
   2.8 ms for 4.6 s of speech where the caller collects everything first.
2. espeak keeps counters from one sentence to the next. We set them back, or the same text would not sound the
   same twice: docs/decisions/espeak-repeatability.md.
3. Speed ends at 449 words per minute: from 450 on espeak speeds up the finished sound and keeps some of it.
4. Our thread runs ahead of who listens, so nobody slow ever holds the library.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from queue import SimpleQueue

import espeakng_loader

from contract.errors import EngineFailed, EngineUnavailable, SpeechError, TextUnspeakable
from contract.voice import Voice
from workers.pcm import Resampler
from workers.tts.elf import find_ints
from workers.tts.engine import Pool, VoiceInfo
from workers.tts.espeak_voices import Catalogue, Listed, read_variants

MEND = "Install it with: pip install --force-reinstall espeakng-loader (into a path of under 140 characters)."

MAX_CHARS = 10_000
"""About ten minutes; it bounds what one sentence may hold in memory."""
NORMAL_RATE_WPM, MIN_RATE_WPM, MAX_RATE_WPM = 175, 80, 449
NORMAL_PITCH, MAX_PITCH = 50, 99
BLOCK_MS = 60
"""espeak makes no smaller ones."""
GATHERED_MS = 960
"""The first block is handed on at once, and then twice as much each time up to this: each hand-over to the other
thread costs a third of what espeak needs for a block, and twice as much is there before the last was heard."""

# From speak_lib.h.
SYNCHRONOUS, DONT_EXIT, UTF8, RATE, PITCH, OK = 2, 0x8000, 1, 1, 3, 0

COUNTERS = {"Flutter_ix": 0, "cycle_count": 0, "agc": 256}
"""espeak's own variables that outlive a sentence (place in the pitch flutter, cycle, gain), as they start."""

UNSPOKEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff]")
"""\\x01 starts a command to espeak inside the text, private use holds its markers, surrogates are no text."""


class EspeakEngine:
    """The engine that is always there: small, instant, robotic.

    `Voice.rate` reaches from 80 to 449 words per minute (factors 0.46 to 2.57), what lies beyond is clipped;
    `Voice.pitch` reaches its whole range. `seed` feeds the noise of breathy voices and nothing else.
    """

    name = "espeak"
    pool: Pool = "solo"
    repeatable = False
    """Becomes true in `load` where the library's counters can be reached and a probe proves it."""
    version = metadata.version("espeakng-loader")

    def __init__(self) -> None:
        self._library: _Library | None = None

    def load(self) -> None:
        """Open the library once per process, about 10 ms.

        Raises: EngineUnavailable.
        """
        self._library = _open_library()
        self.repeatable = self._library.repeatable

    def voices(self) -> list[VoiceInfo]:
        """A few good English voices, then one per language."""
        return self._loaded().catalogue.infos()

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        """Yield s16le mono 24 kHz PCM in blocks of about 60 ms, none before there is something to hear."""
        library = self._loaded()
        utterance = _Utterance(
            text=_clean(text),
            voice=library.catalogue.espeak_name(voice),
            rate_wpm=min(max(round(NORMAL_RATE_WPM * voice.rate), MIN_RATE_WPM), MAX_RATE_WPM),
            pitch=min(round(NORMAL_PITCH * voice.pitch), MAX_PITCH),
            seed=seed,
        )
        resampler = Resampler(library.rate_hz)
        try:
            for block in _audible(library.speak(utterance)):
                if pcm := resampler.push(block):
                    yield pcm
            yield resampler.flush()
        finally:
            utterance.wanted = False

    def _loaded(self) -> _Library:
        if self._library is None:
            raise EngineUnavailable("espeak has not been loaded yet.")
        return self._library


@dataclass(slots=True)
class _Utterance:
    text: bytes
    voice: str
    rate_wpm: int
    pitch: int
    seed: int
    blocks: SimpleQueue[bytes | SpeechError | None] = field(default_factory=SimpleQueue)
    """s16le at espeak's rate; None at the end."""
    wanted: bool = True
    held: bytearray = field(default_factory=bytearray)
    """What is not yet handed on, which happens when there is so much:"""
    enough: int = 0

    def add(self, samples: bytes, most: int) -> None:
        """Hand it on, or gather it, up to `most` bytes."""
        self.held += samples
        if len(self.held) >= self.enough:
            self.enough = min(2 * len(self.held), most)
            self.flush()

    def flush(self) -> None:
        """Hand on what is held."""
        if self.held:
            self.blocks.put(bytes(self.held))
            self.held.clear()


class _VoiceStruct(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
    )


_BlockCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class _Library:
    """The one open library of this process and the thread that owns it."""

    def __init__(self) -> None:
        path, data = Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path())
        self._lib = ctypes.CDLL(str(path))
        self.rate_hz = self._lib.espeak_Initialize(SYNCHRONOUS, BLOCK_MS, os.fsencode(data.parent), DONT_EXIT)
        if self.rate_hz <= 0:
            raise OSError(f"espeak cannot read its data in {data}")
        self._lib.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
        self._lib.espeak_Synth.argtypes = [
            *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint),
            *(ctypes.c_void_p, ctypes.c_void_p),
        ]
        self._current: _Utterance | None = None
        self._callback = _BlockCallback(self._on_block)  # Must live as long as the library may call it.
        self._lib.espeak_SetSynthCallback(self._callback)
        self.catalogue = Catalogue(self._list_voices(), read_variants(data / "voices" / "!v"))
        self._waiting: SimpleQueue[_Utterance] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._counters = find_ints(self._lib, path, "espeak_Synth", COUNTERS)
        self.repeatable = len(self._counters) == len(COUNTERS) and self._repeats()

    def speak(self, utterance: _Utterance) -> Iterator[bytes]:
        """Yield s16le mono at `rate_hz` as it is made.

        Raises: EngineFailed.
        """
        self._start_thread()
        self._waiting.put(utterance)
        while (block := utterance.blocks.get()) is not None:
            if isinstance(block, SpeechError):
                raise block
            yield block

    def _start_thread(self) -> None:
        with self._lock:
            # A thread does not survive a fork.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._own, name="espeak", daemon=True)
                self._thread.start()

    def _own(self) -> None:
        while True:
            utterance = self._waiting.get()
            try:
                with _LOCK:
                    self._synthesize(utterance)
            except Exception as error:  # noqa: BLE001  Somebody waits at the other end, and the thread has to live on.
                failure = EngineFailed(f"espeak failed: {error}.")
                failure.__cause__ = error
                utterance.blocks.put(failure)
            finally:
                utterance.flush()
                utterance.blocks.put(None)

    def _synthesize(self, utterance: _Utterance) -> None:
        lib, text = self._lib, utterance.text
        if lib.espeak_SetVoiceByName(utterance.voice.encode()) != OK:
            raise OSError(f"it cannot load its voice {utterance.voice}")
        lib.espeak_SetParameter(RATE, utterance.rate_wpm, 0)
        lib.espeak_SetParameter(PITCH, utterance.pitch, 0)
        lib.espeak_ng_SetRandSeed(utterance.seed & 0x7FFF_FFFF)
        for name, counter in self._counters.items():
            counter.value = COUNTERS[name]
        self._current = utterance
        # Without the flags for SSML and phonemes, markup is read out like any other text.
        if lib.espeak_Synth(text, len(text) + 1, 0, 0, 0, UTF8, None, None) != OK:
            raise OSError("it did not take the text")

    def _on_block(self, wave: int | None, samples: int, _events: int | None) -> int:
        """Hand on one block; espeak stops when told 1."""
        utterance = self._current
        if utterance is None or not utterance.wanted:
            return 1
        if wave and samples > 0:
            utterance.add(ctypes.string_at(wave, 2 * samples), most=2 * self.rate_hz * GATHERED_MS // 1000)
        return 0

    def _list_voices(self) -> Iterator[Listed]:
        self._lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceStruct))
        voices = self._lib.espeak_ListVoices(None)
        for number in range(10_000):
            if not voices[number]:
                return
            voice = voices[number].contents
            tags = tuple(_read_tags(voice.languages))
            yield Listed(voice.name.decode().strip(), voice.identifier.decode(), voice.gender, tags)

    def _repeats(self) -> bool:
        """Whether a breathy, rough voice with an echo is the same after something else was cut short."""
        first, other, again = (_Utterance(b"Aha, one two.", "gmw/en-US+f3", wpm, 50, 1) for wpm in (175, 300, 175))
        before = b"".join(self.speak(first))
        next(self.speak(other), b"")
        other.wanted = False
        return before == b"".join(self.speak(again))


_LOCK = threading.Lock()
"""Around every use of the library, which is not thread-safe."""
_OPEN_LOCK = threading.Lock()
_library: _Library | None = None


def _open_library() -> _Library:
    global _library
    with _OPEN_LOCK:
        if _library is None:
            try:
                _library = _Library()
            except (OSError, RuntimeError, AttributeError, SpeechError) as error:
                raise EngineUnavailable(f"espeak cannot be used here: {error}. {MEND}") from error
        return _library


def _clean(text: str) -> bytes:
    if len(text) > MAX_CHARS:
        raise TextUnspeakable(f"A sentence may have at most {MAX_CHARS} characters.")
    spoken = UNSPOKEN.sub(" ", text).strip()
    if not spoken:
        raise TextUnspeakable
    return spoken.encode()


def _audible(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Hold back silence until something follows; espeak makes 7 ms of nothing else from mere punctuation.

    Raises: TextUnspeakable if nothing does.
    """
    silence = b""
    for block in blocks:
        if any(block):
            yield silence + block
            yield from blocks
            return
        silence += block
    raise TextUnspeakable


def _read_tags(address: int) -> Iterator[tuple[int, str]]:
    """Read espeak's list of languages: a priority byte and a C string each, until a priority of 0."""
    while priority := ctypes.string_at(address, 1)[0]:
        tag = ctypes.string_at(address + 1)
        yield priority, tag.decode()
        address += len(tag) + 2
