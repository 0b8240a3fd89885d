"""Celery's side of a job: the one speech task, and the engine's life in a process. Not: how speech is made."""

from __future__ import annotations

import gc
import logging
import os
import socket
import sys
from typing import Any

from celery import Task, signals
from celery.worker import state

from contract.data_dir import find_data_dir
from contract.job import SPEAK_TASK, SpeechJob
from workers.app import app
from workers.cache import NO_CACHE, Cache
from workers.guards.idleness import IdleCheck
from workers.recall.anchorage import anchorage
from workers.recall.said import Memory
from workers.settings import settings
from workers.streams import SentenceLog, SignOfLife, connect, count_waiting
from workers.synthesis import speak
from workers.tts.engine import anchored, cloning
from workers.tts.registry import make_engine
from workers.tts.relief.chain import Chain
from workers.tts.relief.watched import Watched

log = logging.getLogger(__name__)

# One of each per process. A forked child makes its own: neither a model nor a connection crosses a fork.
_engine: Chain | Watched | None = None
_redis = connect(settings().redis_url)
_cache: Cache | None = None
_sign: SignOfLife | None = None
_idle_check: IdleCheck | None = None
_node = socket.gethostname()


@app.task(name=SPEAK_TASK, bind=True, ignore_result=True)  # type: ignore[untyped-decorator]
def speak_task(self: Task, job: dict[str, Any]) -> str:
    """Speak one sentence into its stream. The word it returns is for Flower; nobody else reads it."""
    speech_job = SpeechJob.from_dict(job)
    worker = f"{self.request.hostname or _node}:{os.getpid()}"
    return speak(speech_job, engine(), SentenceLog(_redis, speech_job, worker), cache(), Memory(_redis))


def engine() -> Chain | Watched:
    """This process's engine, loaded."""
    global _engine
    if _engine is None:
        found = make_engine(settings().tts_engine)
        made = found if isinstance(found, Chain) else Watched(found)
        made.load()
        for one in anchored(made):
            one.find_anchors_at(anchorage())
        _engine = made
    return _engine


def cache() -> Cache:
    """This process's view of what the workers of this machine have made before."""
    global _cache
    if _cache is None:
        try:
            folder = find_data_dir(os.environ) / "cache"
            _cache = Cache(folder, settings().cache_mb * 1024 * 1024)
        except ValueError as error:
            log.warning("sentences are not cached: %s", error)
            _cache = NO_CACHE
    return _cache


def announcement() -> dict[str, Any]:
    """What this process can do, for `/readyz` and `/api/voices`."""
    loaded = engine()
    voices = [voice.to_dict() for voice in loaded.voices()]
    return {
        "engine": loaded.name,
        "repeatable": loaded.repeatable,
        "voices": voices,
        "engines": loaded.health(),
        "cloning": cloning(loaded),
    }


@signals.celeryd_init.connect  # type: ignore[untyped-decorator]
def remember_node(sender: str, **_: Any) -> None:
    """Keep the node's name for the children that are forked from here."""
    global _node
    _node = sender


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def start_child(**_: Any) -> None:
    """A prefork child: load the engine before the first sentence waits for it."""
    start_process()


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def watch_for_deafness(**_: Any) -> None:
    """The main process is the one that listens to the queue, whatever the pool."""
    global _idle_check
    redis = connect(settings().redis_url)
    _idle_check = IdleCheck(
        lambda: count_waiting(redis),
        lambda: not state.reserved_requests,
        lambda: sum(state.total_count.values()),
    )
    _idle_check.start()


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def start_threads_worker(sender: Any, **_: Any) -> None:
    """A threads worker speaks in the main process; a prefork parent must not load the engine at all."""
    if "prefork" not in type(sender.pool).__module__:
        start_process()


def start_process() -> None:
    """Load the engine and say that this process takes jobs."""
    global _sign
    _redis.connection_pool.reset()
    # Engine, grid and writer hand over to each other all the time; 5 ms of waiting for the interpreter's lock,
    # Python's default, is more than a whole sentence takes espeak.
    sys.setswitchinterval(0.0002)
    engine()
    # What is there now stays: let nobody look through all of it for garbage in the midst of a sentence.
    gc.collect()
    gc.freeze()
    _sign = SignOfLife(_redis, f"{_node}:{os.getpid()}", announcement)
    _sign.start()


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]
def end_process(**_: Any) -> None:
    """Nobody should count on a process that is going."""
    if _idle_check is not None:
        _idle_check.stop()
    if _sign is not None:
        _sign.stop()
