"""Recall: what a voice has said last in a session, for engines that go on from it. Not: codecs, what is heard.

A door to Redis. It is a bonus, never a duty: what is away is as good as never said, and nobody waits for it longer than
for a breath. Of a turn that was cut off counts only what was heard to its end, which its api writes down; a reset, or
another voice, is another context, and so another key.
"""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from redis import Redis
from redis.exceptions import RedisError

from contract import keys
from contract.job import SpeechJob
from workers.tts.engine import Engine, Recalling, Spoken, recalling

log = logging.getLogger(__name__)

BEFORE = 2
"""Sentences that are gone on from."""
WAIT_S, LOOK_S = 0.3, 0.015
"""For the sentence before this one, if it is being made just now: it is made much faster than it is heard."""
Place = tuple[int, int]
"""(turn, sentence)."""


class Recalled:
    """What one job goes on from, and the place where what it says is kept. This one: nothing, and nowhere."""

    goes_on = False
    """Whether there is anything that it goes on from: then its sound belongs to this moment, and not to its text."""

    def begin(self) -> None:
        """The job is ours: others may wait for it."""

    def speak(self, job: SpeechJob, engine: Engine) -> Iterator[bytes]:
        """As the engine does."""
        return engine.speak(job.text, job.voice, job.seed())

    def close(self) -> None:
        """Nobody need wait any more."""


NOTHING_RECALLED = Recalled()


class Memory:
    """Of every session, in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def recall(self, job: SpeechJob, engine: Engine) -> Recalled:
        """What this job goes on from, if its engine can.

        A second attempt that is to go on in the midst of the first has to make the same samples, so it recalls nothing.
        """
        able = recalling(engine)
        if able is None or not job.context or job.is_line or (job.from_part and job.seam is None):
            return NOTHING_RECALLED
        return _Said(self._redis, job, able)


class _Said(Recalled):
    """What a voice has said, and what it is saying."""

    def __init__(self, redis: Redis, job: SpeechJob, engine: Recalling) -> None:
        self._redis = redis
        self._job = job
        self._engine = engine
        self._key = keys.spoken(job.session, job.speaker, job.context)
        self._mark = keys.speaking(job.session, job.turn, job.sentence)
        self._is_marked = False
        self._last: Place = (job.turn, job.sentence - 1)
        self._found, self._is_coming = self._look()
        self.goes_on = bool(self._found) or self._is_coming

    def begin(self) -> None:
        try:
            self._redis.set(self._mark, self._name(), ex=keys.SPEAKING_LIFETIME_S)
            self._is_marked = True
        except RedisError as error:
            log.debug("nobody is told what is being said: %s", error)

    def speak(self, job: SpeechJob, engine: Engine) -> Iterator[bytes]:
        made: list[Spoken] = []
        blocks = self._engine.speak_after(job.text, job.voice, job.seed(), self._before(), made.append)
        yield from blocks
        if made:
            self._keep(made[0])

    def close(self) -> None:
        if self._is_marked:
            self._is_marked = False
            try:
                self._redis.delete(self._mark)
            except RedisError as error:
                log.debug("a mark is left to expire: %s", error)

    def _before(self) -> list[Spoken]:
        """Oldest first. Waits for the sentence before this one while it is being made, but not for long."""
        give_up_at = time.monotonic() + WAIT_S
        while self._is_coming and self._last not in self._found and time.monotonic() < give_up_at:
            time.sleep(LOOK_S)
            self._found, self._is_coming = self._look()
        return [self._found[place] for place in sorted(self._found)[-BEFORE:]]

    def _look(self) -> tuple[dict[Place, Spoken], bool]:
        """What was said before and counts, and whether the sentence before this one is being made."""
        try:
            pipe = self._redis.pipeline(transaction=False)
            pipe.get(keys.speaking(self._job.session, *self._last))
            pipe.hgetall(self._key)
            coming, kept = pipe.execute()
            places = [place for name in kept if (place := _place(name)) < (self._job.turn, self._job.sentence)]
            unheard = self._unheard({turn for turn, _ in places})
        except RedisError as error:
            log.debug("what was said cannot be recalled: %s", error)
            return {}, False
        found = {}
        for turn, sentence in places:
            is_heard = sentence < unheard.get(turn, sentence + 1)
            if is_heard and (spoken := _read(kept[_field(turn, sentence).encode()], self._engine.name)):
                found[turn, sentence] = spoken
        return found, coming is not None and coming.decode() == self._name()

    def _unheard(self, turns: set[int]) -> dict[int, int]:
        """The first sentence that was not heard, of turns that were cut off."""
        pipe = self._redis.pipeline(transaction=False)
        for turn in turns:
            pipe.hget(keys.turn(self._job.session, turn), keys.UNHEARD)
        cut: list[Any] = pipe.execute() if turns else []
        return {turn: int(first) for turn, first in zip(turns, cut, strict=True) if first is not None}

    def _keep(self, spoken: Spoken) -> None:
        if not 0 < spoken.codes.shape[1] <= keys.SPOKEN_FRAMES:
            return
        try:
            pipe = self._redis.pipeline(transaction=True)
            pipe.hset(self._key, _field(self._job.turn, self._job.sentence), write_spoken(spoken, self._engine.name))
            pipe.expire(self._key, keys.SPOKEN_LIFETIME_S)
            pipe.hkeys(self._key)
            names = sorted(pipe.execute()[-1], key=_place)
            if old := names[: -keys.SPOKEN_MAX]:
                self._redis.hdel(self._key, *old)
        except RedisError as error:
            log.debug("what was said is not remembered: %s", error)

    def _name(self) -> str:
        return f"{self._job.speaker}:{self._job.context}"


def write_spoken(spoken: Spoken, engine: str) -> str:
    """JSON, which `read_spoken` reads; `engine`: who understands these codes."""
    codes = np.ascontiguousarray(spoken.codes, "<u2")
    packed = base64.b64encode(codes.tobytes()).decode()
    return json.dumps({"engine": engine, "text": spoken.text, "books": len(codes), "codes": packed})


def read_spoken(written: str | bytes, engine: str) -> Spoken:
    """Raises: ValueError if it is none of this engine's."""
    try:
        kept = json.loads(written)
        if kept["engine"] != engine:
            raise ValueError(f"codes of {kept['engine']}")
        codes = np.frombuffer(base64.b64decode(kept["codes"]), "<u2").reshape(int(kept["books"]), -1)
        return Spoken(str(kept["text"]), codes.astype(np.uint16))
    except (KeyError, TypeError) as error:
        raise ValueError("no speech of ours") from error


def _read(written: bytes, engine: str) -> Spoken | None:
    try:
        return read_spoken(written, engine)
    except ValueError as error:
        log.debug("something that was said is left out: %s", error)
        return None


def _field(turn: int, sentence: int) -> str:
    return f"{turn}:{sentence}"


def _place(name: bytes) -> Place:
    turn, _, sentence = name.decode().partition(":")
    return int(turn), int(sentence)
