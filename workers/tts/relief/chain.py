"""Chain: several engines as one, each standing in for those before it. Not: how any of them speaks.

A sentence is given to the first engine that can speak it. If that fails before its first sound the next one is asked,
with its own voice of that gender and language; once there was sound, a failure ends the attempt, for two voices in one
sentence are worse than a repeated word. What fails again and again rests (breaker.py).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from contract.errors import EngineBusy, EngineFailed, EngineUnavailable, SpeechError, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from workers.tts.engine import Engine, Pool, Spoken, VoiceInfo, cloning, recalling
from workers.tts.relief.breaker import FIRST_REST_S, Breaker
from workers.tts.relief.roles import Cast, is_role
from workers.tts.relief.watched import health_of

log = logging.getLogger(__name__)

Speak = Callable[[Engine, Voice], Iterator[bytes]]
"""Has an engine speak the sentence in a voice."""
STRICTEST: tuple[Pool, ...] = ("prefork", "threads", "solo")


@dataclass(slots=True, eq=False)
class _Link:
    engine: Engine
    cast: Cast
    breaker: Breaker = field(default_factory=Breaker)
    missing: str = ""
    """Why it could not be loaded; it is not asked before the process starts anew."""

    def lists(self, name: str) -> bool:
        """Whether it offers a voice of that name."""
        return any(info.name == name for info in self.engine.voices())


class Speech(Iterator[bytes]):
    """What a chain makes of one sentence; it begins when its first block is wanted."""

    def __init__(self, chain: Chain, voice: Voice, speak: Speak) -> None:
        self.maker: Engine | None = None
        """Whose sound it is, known with the first block; None: of one that stood in for what was asked for."""
        self._blocks = chain.blocks(voice, speak, self)

    def __next__(self) -> bytes:
        return next(self._blocks)

    def close(self) -> None:
        """Stop whoever speaks."""
        self._blocks.close()  # type: ignore[attr-defined]


class Chain:
    """Engines in the order of their preference.

    `Voice.engine` may name one of them, which then comes first, or several with commas between, which are then the
    whole chain of that voice.
    """

    repeatable = False
    """A second attempt may be another engine's."""
    version = ""
    """What is kept belongs to the engine that made it: see `maker`."""

    def __init__(self, engines: list[Engine], clock: Callable[[], float] = time.monotonic) -> None:
        self._links = [_Link(engine, Cast(engine)) for engine in engines]
        self._clock = clock
        self.engines = engines
        """In the order of their preference."""
        self.name = ",".join(engine.name for engine in engines)
        self.pool: Pool = min((engine.pool for engine in engines), key=STRICTEST.index)

    def load(self) -> None:
        """Load each; one that cannot be is left out until the next start.

        Raises: EngineUnavailable if none can be loaded, with what would mend the first.
        """
        for link in self._links:
            try:
                link.engine.load()
                link.missing = ""
            except EngineUnavailable as error:
                link.missing = error.text
                log.warning("the engine %s is left out: %s", link.engine.name, error.text)
        if all(link.missing for link in self._links):
            raise EngineUnavailable(self._links[0].missing)

    def voices(self) -> list[VoiceInfo]:
        """Every voice of every engine, each with its engine's name."""
        return [
            replace(info, engine=link.engine.name)
            for link in self._links
            if not link.missing
            for info in link.engine.voices()
        ]

    def health(self) -> list[dict[str, Any]]:
        """Each engine with its state (ok, resting, missing) and, if it is not ok, why; JSON-ready."""
        return [self._health(link) for link in self._links]

    def maker(self, voice: Voice) -> Engine | None:
        """The engine whose sound this would be if all were well, whether it rests or not."""
        try:
            return self._order(voice)[0].engine
        except SpeechError:
            return None

    def speak(self, text: str, voice: Voice, seed: int) -> Speech:
        """What the first engine makes that can speak this."""
        return Speech(self, voice, lambda engine, fitted: engine.speak(text, fitted, seed))

    def speak_after(
        self, text: str, voice: Voice, seed: int, before: Sequence[Spoken], done: Callable[[Spoken], None]
    ) -> Speech:
        """The same; an engine that goes on from what was said does so."""

        def speak(engine: Engine, fitted: Voice) -> Iterator[bytes]:
            if able := recalling(engine):
                return able.speak_after(text, fitted, seed, before, done)
            return engine.speak(text, fitted, seed)

        return Speech(self, voice, speak)

    def blocks(self, voice: Voice, speak: Speak, speech: Speech) -> Iterator[bytes]:
        """Yield them, and note in `speech` whose they are."""
        links = self._order(voice)
        error: SpeechError | None = None
        # Whoever knows this voice may be the one that cannot be asked, or has failed.
        may_be_known = any(link.missing for link in self._links)
        tried: list[_Link] = []
        for link in self._by_breaker(links):
            may_be_known = may_be_known or any(other not in tried for other in links[: links.index(link)])
            tried.append(link)
            try:
                first, blocks, spoken_as = self._begin(link, speak, self._fitted(voice, link, links), may_be_known)
            except SpeechError as failure:
                error = _weightier(error, failure)
                may_be_known = may_be_known or not isinstance(failure, VoiceUnknown)
                continue
            # In another voice than it was asked for it stood in too, for one that it has not.
            speech.maker = link.engine if spoken_as == link.cast.play(voice) else None
            yield from self._go_on(link, first, blocks)
            return
        raise error or EngineUnavailable

    def _order(self, voice: Voice) -> list[_Link]:
        """Who may speak it: those that have this very voice first, else as its `engine` or ours says.

        Raises: VoiceUnknown.
        """
        usable = {link.engine.name: link for link in self._links if not link.missing}
        named = [name.strip() for name in voice.engine.split(",") if name.strip()]
        if not usable:
            raise EngineUnavailable(f"{self.name} has not been loaded yet.")
        if len(named) == 1 and any(link.engine.name == named[0] for link in self._links):
            named += usable
        order = [usable[name] for name in dict.fromkeys(named or usable) if name in usable]
        if not order:
            raise VoiceUnknown(f"This worker speaks with {self.name}, not with {voice.engine[:80]}.")
        if voice.anchor:
            # Whoever only stands in speaks in a voice of its own.
            order.sort(key=lambda link: not cloning(link.engine))
        if voice.name == "default" or is_role(voice):
            return order
        return sorted(order, key=lambda link: not link.lists(voice.name))

    def _by_breaker(self, links: list[_Link]) -> Iterator[_Link]:
        """Those that do not rest, and then the others: when all else has failed there is nothing to lose."""
        resting = []
        for link in links:
            if link.breaker.allows(self._clock()):
                yield link
            else:
                resting.append(link)
        yield from resting

    def _begin(
        self, link: _Link, speak: Speak, voice: Voice, may_be_known: bool
    ) -> tuple[bytes, Iterator[bytes], Voice]:
        """The first block, what follows, and in which voice: one that is unknown here, but that another may know, gives
        way to the default one.

        Raises: SpeechError.
        """
        try:
            with self._noting(link):
                blocks = speak(link.engine, voice)
                first = next(blocks, b"")
                if not first:
                    raise EngineFailed("The voice engine made no sound.")
        except VoiceUnknown:
            if not may_be_known or voice.name == "default":
                raise
            return self._begin(link, speak, replace(voice, name="default"), may_be_known)
        return first, blocks, voice

    def _go_on(self, link: _Link, first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """What breaks off rests at once, so that the next attempt at this sentence is another engine's."""
        try:
            with closing(blocks), self._noting(link, FIRST_REST_S):  # type: ignore[type-var]
                yield first
                yield from blocks
            link.breaker.succeed()
        except GeneratorExit:
            link.breaker.give_up_trial()
            raise

    @contextmanager
    def _noting(self, link: _Link, rest_s: float = 0.0) -> Iterator[None]:
        """What fails inside counts against the engine, unless it is the sentence's fault; only SpeechError leaves."""
        try:
            yield
        except (VoiceUnknown, TextUnspeakable):
            link.breaker.give_up_trial()
            raise
        except SpeechError as error:
            self._note(link, error, rest_s)
            raise
        except Exception as error:
            failure = EngineFailed(f"The voice engine failed: {type(error).__name__}.")
            self._note(link, failure, rest_s)
            raise failure from error

    def _note(self, link: _Link, error: SpeechError, rest_s: float) -> None:
        rest_s = max(rest_s, error.retry_after_s if isinstance(error, EngineBusy) else 0.0)
        link.breaker.fail(self._clock(), error.text, rest_s)
        log.warning("the engine %s failed: %s", link.engine.name, error.text)

    def _fitted(self, voice: Voice, link: _Link, links: list[_Link]) -> Voice:
        """`voice` as this engine has it: by its name or role, else the one that is most like it."""
        if is_role(voice):
            return link.cast.play(voice)
        if voice.name == "default" or link.lists(voice.name):
            return voice
        own = link.engine.voices()
        meant = next((info for other in links for info in other.engine.voices() if info.name == voice.name), None)
        if meant is None:
            # A mixture, a variant: whoever knows such names will say so.
            return voice
        alike = [info for info in own if _speaks(info, meant.language)]
        for info in alike:
            if info.gender == meant.gender:
                return replace(voice, name=info.name, language=info.language)
        return replace(voice, name="default", language=meant.language)

    def _health(self, link: _Link) -> dict[str, Any]:
        if link.missing:
            return {"engine": link.engine.name, "state": "missing", "why": link.missing}
        return health_of(link.engine, link.breaker, self._clock())


def _speaks(info: VoiceInfo, language: str) -> bool:
    return info.language == language or info.language.partition("-")[0] == language.partition("-")[0]


def _weightier(first: SpeechError | None, error: SpeechError) -> SpeechError:
    """What is told in the end: that something failed, rather than that a name was not known to the next engine."""
    if first is None or (isinstance(first, VoiceUnknown) and not isinstance(error, VoiceUnknown)):
        return error
    return first
