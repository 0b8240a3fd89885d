"""Watched: one engine with a record of how it does, for `/readyz`. Not: what stands in for it, which is a chain's.

It is asked whatever its record says: with nobody to stand in for it there is nothing to lose.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from contract.errors import EngineBusy, SpeechError, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from workers.tts.engine import Engine, Recalling, Spoken, VoiceInfo
from workers.tts.relief.breaker import Breaker
from workers.tts.relief.roles import Cast


class Watched:
    """An engine that is that engine in all but what it can tell of itself."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self.engines = [engine]
        """As a chain has them."""
        self._clock = clock
        self._breaker = Breaker()
        self._cast = Cast(engine)
        self.name, self.pool, self.repeatable = engine.name, engine.pool, engine.repeatable
        self.version = ""

    def load(self) -> None:
        """Raises: EngineUnavailable."""
        self._engine.load()
        # Some know only then.
        self.repeatable, self.version = self._engine.repeatable, getattr(self._engine, "version", "")

    def voices(self) -> list[VoiceInfo]:
        """The engine's."""
        return self._engine.voices()

    def health(self) -> list[dict[str, Any]]:
        """The engine with its state (ok, resting) and, if it is not ok, why; JSON-ready."""
        return [health_of(self._engine, self._breaker, self._clock())]

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        """Yield what the engine makes, and note how that ended."""
        return self._noted(self._engine.speak(text, self._cast.play(voice), seed))

    def speak_after(
        self, text: str, voice: Voice, seed: int, before: Sequence[Spoken], done: Callable[[Spoken], None]
    ) -> Iterator[bytes]:
        """The same of an engine that goes on from what was said."""
        able = cast(Recalling, self._engine)
        return self._noted(able.speak_after(text, self._cast.play(voice), seed, before, done))

    def _noted(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from blocks
        except (VoiceUnknown, TextUnspeakable, GeneratorExit):
            self._breaker.give_up_trial()
            raise
        except Exception as error:
            why = error.text if isinstance(error, SpeechError) else f"The voice engine failed: {type(error).__name__}."
            rest_s = error.retry_after_s if isinstance(error, EngineBusy) else 0.0
            self._breaker.fail(self._clock(), why, rest_s)
            raise
        self._breaker.succeed()


def health_of(engine: Engine, breaker: Breaker, now: float) -> dict[str, Any]:
    """An engine that is loaded: ok, or resting and why; JSON-ready."""
    if breaker.rests_s(now):
        return {"engine": engine.name, "state": "resting", "why": breaker.why}
    return {"engine": engine.name, "state": "ok"}
