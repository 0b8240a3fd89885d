"""Speaks one job: engine blocks → parts on the grid → the sentence's log. Not: Celery, Redis commands, order."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from typing import Protocol

from contract.chunk import Chunk
from contract.errors import EngineFailed, LogLost, QueueUnreachable, SpeechCancelled, SpeechError, VoiceUnknown
from contract.job import SpeechJob
from workers.cache import NO_CACHE, Cache, Entry
from workers.pcm import gathered, grid, seamed
from workers.recall.said import NOTHING_RECALLED, Memory, Recalled
from workers.tts.engine import CLONING, Engine, cloning

log = logging.getLogger(__name__)


class Log(Protocol):
    """Where chunks go; `workers.streams.SentenceLog` in production."""

    def claim(self, *, is_repeatable: bool, is_cached: bool = False) -> bool: ...
    def append(self, chunk: Chunk, *, is_cached: bool = False) -> None: ...
    def fail(self, error: SpeechError, after_part: int) -> None: ...
    def raise_if_stopped(self) -> None: ...
    def close(self) -> None: ...


def speak(
    job: SpeechJob, engine: Engine, sentence_log: Log, cache: Cache = NO_CACHE, memory: Memory | None = None
) -> str:
    """Speak `job` into its log and say in one word how it went: spoken, cached, stale, unreachable, cancelled, lost
    or failed.

    A failure of the engine is written to the log, never raised: the owner of the turn decides what follows.
    """
    recalled = memory.recall(job, engine) if memory else NOTHING_RECALLED
    # Kept is what belongs to text and voice alone; what goes on from something else is another sound each time.
    entry = (NO_CACHE if recalled.goes_on else cache).entry(job, engine)
    is_repeatable = engine.repeatable and not recalled.goes_on
    try:
        # What was kept of an engine that is not repeatable is not what another attempt, on a machine that has not
        # kept it, would make: it can be gone on with no more than the engine itself.
        if not sentence_log.claim(is_repeatable=is_repeatable, is_cached=entry.pcm is not None):
            return "stale"
    except QueueUnreachable as error:
        log.warning("a job cannot be claimed: %s", error.text)
        return "unreachable"
    part = job.from_part
    try:
        recalled.begin()
        entry.begin(may_wait=job.is_line)
        for part, pcm, last in _parts(job, engine, entry, recalled):
            chunk = Chunk(job.turn, job.sentence, part, job.attempt, pcm, last)
            sentence_log.append(chunk, is_cached=entry.pcm is not None)
        sentence_log.close()
        sentence_log.raise_if_stopped()
        entry.keep()
    except (SpeechCancelled, LogLost) as stopped:
        return "cancelled" if isinstance(stopped, SpeechCancelled) else "lost"
    except SpeechError as error:
        return _fail(sentence_log, error, part + 1)
    except Exception as error:
        log.exception("engine %s broke on %s", engine.name, job.label())
        return _fail(sentence_log, EngineFailed(f"The voice engine failed: {type(error).__name__}."), part + 1)
    finally:
        entry.close()
        recalled.close()
        sentence_log.close()
    return "spoken" if entry.pcm is None else "cached"


def _fail(sentence_log: Log, error: SpeechError, after_part: int) -> str:
    try:
        sentence_log.fail(error, after_part)
    except SpeechError:
        return "cancelled"
    return "failed"


def _parts(job: SpeechJob, engine: Engine, entry: Entry, recalled: Recalled) -> Iterator[tuple[int, bytes, bool]]:
    """The parts that are still missing; the last one always comes, even if this attempt turned out shorter."""
    wanted = {name.strip() for name in job.voice.engine.split(",") if name.strip()}
    if wanted and wanted.isdisjoint(engine.name.split(",")):
        raise VoiceUnknown(f"This worker speaks with {engine.name}, not with {job.voice.engine}.")
    if job.voice.anchor and not cloning(engine):
        raise VoiceUnknown(f"{engine.name} cannot speak like a recording; {' and '.join(CLONING)} can.")
    blocks = entry.blocks(lambda: recalled.speak(job, engine))
    if job.is_line:
        with closing(gathered(blocks)) as parts:  # type: ignore[type-var]
            yield from parts
        return
    if job.seam is not None:
        with closing(grid(seamed(blocks, job.seam), job.from_part)) as parts:  # type: ignore[type-var]
            yield from parts
        return
    part = -1
    with closing(grid(blocks)) as parts:  # type: ignore[type-var]
        for part, pcm, last in parts:
            if part >= job.from_part:
                yield part, pcm, last
    if part < job.from_part:
        yield job.from_part, b"", True
