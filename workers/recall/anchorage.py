"""Anchorage: where workers find recordings that voices sound like, and what engines have made of them. Not: codecs.

A door to Redis, which is all that a worker on another machine can reach. What is away is as good as not there.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from redis import Redis
from redis.exceptions import RedisError

from contract import keys
from workers.settings import settings
from workers.streams import connect

log = logging.getLogger(__name__)

Samples = npt.NDArray[np.float32]
"""Between -1 and 1, mono, 24 kHz."""

LET_GO = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end
return 0
"""
"""Only one's own: another may have it by now."""


@lru_cache(maxsize=1)
def anchorage() -> Anchorage:
    """This process's."""
    return Anchorage(connect(settings().redis_url))


class Anchorage:
    """One per process."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def recording(self, clip: str) -> tuple[Samples, str] | None:
        """Samples and words of a clip; None if it is not there, because nobody may have it any more."""
        try:
            found: Any = self._redis.hmget(keys.clip(clip), ["pcm", "text"])
        except RedisError as error:
            log.warning("a recording cannot be read: %s", error)
            return None
        pcm, text = found
        if pcm is None or text is None:
            return None
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32_768)
        return samples, text.decode()

    def find(self, name: str, engine: str) -> str | None:
        """What an engine has made of a clip or a description, as JSON; kept for another lifetime."""
        try:
            pipe = self._redis.pipeline(transaction=False)
            pipe.hget(keys.anchor(name), engine)
            pipe.expire(keys.anchor(name), keys.ANCHOR_LIFETIME_S)
            found: Any = pipe.execute()[0]
        except RedisError as error:
            log.warning("an anchor cannot be read: %s", error)
            return None
        return None if found is None else str(found.decode())

    def keep(self, name: str, engine: str, made: str) -> None:
        """Let every worker use it."""
        try:
            pipe = self._redis.pipeline(transaction=True)
            pipe.hset(keys.anchor(name), engine, made)
            pipe.expire(keys.anchor(name), keys.ANCHOR_LIFETIME_S)
            pipe.execute()
        except RedisError as error:
            log.warning("an anchor is not kept: %s", error)

    def has_clip(self, clip: str) -> bool:
        """Whether it may still be used."""
        try:
            return bool(self._redis.exists(keys.clip(clip)))
        except RedisError:
            return False

    @contextmanager
    def making(self, name: str) -> Iterator[bool]:
        """Whether nobody else is making it just now; while it is true inside, others are told so."""
        token, key = secrets.token_hex(8), keys.casting(name)
        try:
            is_ours = bool(self._redis.set(key, token, nx=True, ex=keys.CASTING_LIFETIME_S))
        except RedisError:
            is_ours = True  # nobody can say so: better twice than never
        try:
            yield is_ours
        finally:
            if is_ours:
                try:
                    self._redis.eval(LET_GO, 1, key, token)
                except RedisError:
                    log.debug("a lock is left to expire")
