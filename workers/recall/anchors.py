"""Anchors: the seconds of speech that every prompt of a voice begins with, made once for all workers. Not: prompts.

A voice that is to sound like a recording has that as its anchor. One that is only described is **cast**: the model says
a few seconds as somebody of that description, with a seed that the description decides, and from then on every
worker goes on from these. Both are kept in Redis (workers/recall/anchorage.py); here are those that were used last.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from contract.errors import SpeechError, VoiceUnknown
from contract.voice import Voice
from workers.recall.anchorage import Anchorage, Samples
from workers.recall.said import read_spoken, write_spoken
from workers.tts.engine import Codes, Spoken

log = logging.getLogger(__name__)

KEPT = 256
"""Anchors in this process: 12 kB each."""
WAIT_S, LOOK_S = 12.0, 0.05
"""For another worker that is making the same; less than the owner of a sentence waits for its first sound."""
MISSED_S = 30.0
"""A voice that could not be cast speaks without an anchor for so long, before it is tried again."""
MIN_FRAMES, MAX_FRAMES = 50, 375
"""Two seconds to fifteen: less is a mishap, more is babble."""
TRIES = 3
CAST_VERSION = 1
"""Raise it when the same description shall be cast anew."""
LINES = {
    "en": "Hello, it is good to meet you. Sit down for a moment, and let me tell you how the day by the sea went on.",
    "de": "Hallo, schön dich zu treffen. Setz dich einen Moment, dann erzähle ich dir, wie der Tag am Meer weiterging.",
    "fr": "Bonjour, je suis ravi de vous voir. Asseyez-vous un instant, que je vous raconte la suite de ma journée.",
    "es": "Hola, me alegro de verte. Siéntate un momento y te cuento cómo siguió aquel día tan largo junto al mar.",
    "it": "Ciao, che piacere vederti. Siediti un momento e ti racconto come è andata a finire la giornata al mare.",
    "pt": "Olá, que bom encontrar você. Sente-se um momento e eu conto como terminou aquele longo dia perto do mar.",
    "zh": "你好，很高兴见到你。先坐一会儿吧，让我慢慢告诉你，那天我们在海边后来发生了什么事情。",
    "ja": "こんにちは、会えてうれしいです。少し座ってください。あの日、海辺でどうなったのか、お話ししましょう。",
    "ko": "안녕하세요, 만나서 반갑습니다. 잠깐 앉아 보세요. 그날 바닷가에서 어떤 일이 있었는지 들려줄게요.",
}
"""What is said for an anchor, seven seconds or so, by language."""


def who(description: str) -> str:
    """Who speaks, without how it shall be said this time, which follows a semicolon."""
    return " ".join(description.partition(";")[0].split())


class Anchors:
    """Those of one engine."""

    def __init__(
        self,
        anchorage: Anchorage,
        engine: str,
        encode: Callable[[Samples], Codes],
        cast: Callable[[str, str, str, int], Spoken],
        described: Mapping[str, str],
    ) -> None:
        """`encode` makes codes of a recording; `cast` says a text as somebody of a description in a scene, with a seed;
        `described` has the descriptions of the engine's own voices by name."""
        self._anchorage = anchorage
        self._engine = engine
        self._encode = encode
        self._cast = cast
        self._described = described
        self._known: OrderedDict[str, Spoken] = OrderedDict()
        self._missed: dict[str, float] = {}
        self._making: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def of(self, voice: Voice) -> Spoken | None:
        """The anchor of a voice; None for one that nobody has described, or that could not be cast.

        Raises: VoiceUnknown for a recording that is not there any more.
        """
        if voice.anchor:
            return self._of_clip(voice.anchor)
        description = who(voice.description) or self._described.get(voice.name, "")
        if not description:
            return None
        language = voice.language.partition("-")[0].lower()
        line = LINES.get(language, LINES["en"])
        content = json.dumps([CAST_VERSION, line, description, " ".join(voice.scene.split())], ensure_ascii=True)
        name = hashlib.sha256(content.encode()).hexdigest()[:32]
        return self._of_description(name, line, description, voice.scene)

    def _of_clip(self, clip: str) -> Spoken:
        """The api has handed it over for this very job, if its owner still has it."""
        if not self._anchorage.has_clip(clip):
            with self._lock:
                self._known.pop(clip, None)
            raise VoiceUnknown("The recording of this voice is not there any more.")
        found = self._find(clip)
        if found is not None:
            return found
        with self._alone(clip):
            if (found := self._find(clip)) is not None:
                return found
            recording = self._anchorage.recording(clip)
            if recording is None:
                raise VoiceUnknown("The recording of this voice is not there any more.")
            samples, text = recording
            return self._keep(clip, Spoken(text, self._encode(samples)))

    def _of_description(self, name: str, line: str, description: str, scene: str) -> Spoken | None:
        found = self._find(name)
        if found is not None or time.monotonic() < self._missed.get(name, 0.0):
            return found
        with self._alone(name):
            if (found := self._find(name)) is not None or time.monotonic() < self._missed.get(name, 0.0):
                return found
            give_up_at = time.monotonic() + WAIT_S
            while time.monotonic() < give_up_at:
                with self._anchorage.making(name) as is_ours:
                    if (found := self._find(name)) is not None:
                        return found
                    if is_ours:
                        return self._make(name, line, description, scene)
                time.sleep(LOOK_S)
        self._miss(name, "another worker has been casting it for too long")
        return None

    def _make(self, name: str, line: str, description: str, scene: str) -> Spoken | None:
        seed = int(name[:8], 16) & 0x7FFF_FFFF
        why = "it says too little, or too much"
        for number in range(TRIES):
            try:
                made = self._cast(line, description, scene, seed + number)
            except SpeechError as error:
                why = error.text
                break
            if MIN_FRAMES <= made.codes.shape[1] <= MAX_FRAMES:
                return self._keep(name, made)
        self._miss(name, why)
        return None

    def _find(self, name: str) -> Spoken | None:
        """From this process, else from all workers."""
        with self._lock:
            if known := self._known.get(name):
                self._known.move_to_end(name)
                return known
        written = self._anchorage.find(name, self._engine)
        if written is None:
            return None
        try:
            found = read_spoken(written, self._engine)
        except ValueError as error:
            log.warning("an anchor is made anew: %s", error)
            return None
        self._remember(name, found)
        return found

    def _keep(self, name: str, made: Spoken) -> Spoken:
        self._anchorage.keep(name, self._engine, write_spoken(made, self._engine))
        self._remember(name, made)
        return made

    def _remember(self, name: str, anchor: Spoken) -> None:
        with self._lock:
            self._known[name] = anchor
            self._known.move_to_end(name)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)

    def _miss(self, name: str, why: str) -> None:
        log.warning("a voice speaks without an anchor: %s", why)
        self._missed = {missed: until for missed, until in self._missed.items() if until > time.monotonic()}
        self._missed[name] = time.monotonic() + MISSED_S

    def _alone(self, name: str) -> threading.Lock:
        """Of the threads of this process one makes it."""
        with self._lock:
            if len(self._making) > KEPT:
                self._making = {made: lock for made, lock in self._making.items() if lock.locked()}
            return self._making.setdefault(name, threading.Lock())
