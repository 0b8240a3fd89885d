"""Mastering: a plan becomes a file, whole or not at all. Not: what is in the plan (sound/), where files lie.

It takes processor for minutes and waits for the disk: `asyncio.to_thread` is the place to call it from
(docs/decisions/mastering.md). The same plan always gives the same bytes.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from api.encoding.encoder import Chapter, file_encoder
from api.encoding.formats import FILES, find_format
from api.errors import DiskFull, FileUnwritable
from api.render.script import Script
from api.render.sound.assembly import Cancelled, Plan, blocks, never
from contract.audio import SAMPLE_BYTES

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
LEFT_S = 60
READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Produced:
    """A file that is there."""

    path: Path
    format: str
    duration_ms: int
    size: int
    """Bytes."""
    sha256: str


def master(
    plan: Plan,
    script: Script,
    target: Path,
    audio_format: str,
    is_cancelled: Callable[[], bool] = never,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Produced:
    """Write the render as `target`, which is there only when all of it is; what was there before is replaced.

    `audio_format`: one of `encoding.formats.FILES`. `on_progress` is told the share that is done.
    Raises: FormatUnknown, AudioGone, DiskFull, FileUnwritable, Cancelled.
    """
    find_format(audio_format, FILES)
    chapters, channels = list(find_chapters(plan, script)), plan.style.channels
    with written(target) as file:
        encoder, done = file_encoder(file, audio_format, channels, script.title, chapters), 0
        for pcm in blocks(plan, is_cancelled):
            encoder.write(pcm)
            done += len(pcm) // (SAMPLE_BYTES * channels)
            on_progress(done / plan.length)
        encoder.finish()
        size, digest = file.tell(), _sha256(file)
    return Produced(target, audio_format, plan.duration_ms, size, digest)


def find_chapters(plan: Plan, script: Script) -> Iterator[Chapter]:
    """Each chapter from its first line to the next one's; the first from the very beginning."""
    starts = {placed.take.line.chapter: placed.start_ms for placed in reversed(plan.placed)}
    known = [(title, starts[chapter]) for chapter, title in enumerate(script.chapters) if chapter in starts]
    ends = [start for _, start in known[1:]] + [plan.duration_ms]
    for number, ((title, start), end) in enumerate(zip(known, ends, strict=False)):
        yield Chapter(title or script.title, start if number else 0, end)


@contextmanager
def written(target: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `target` when all went well, and is gone otherwise.

    Two that write the same one do not meet: the last to end wins. Raises: DiskFull, FileUnwritable.
    """
    start = f".{target.name[:100]}."
    draft = target.with_name(f"{start}{secrets.token_hex(6)}.part")
    try:
        _clear(target.parent, start)
        try:
            with draft.open("x+b") as file:
                # Where files cannot be locked, what killed processes leave stays.
                with suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_EX)
                yield cast(BinaryIO, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        finally:
            with suppress(OSError):
                draft.unlink()
    except OSError as error:
        raise _unwritable(error) from error


def _clear(folder: Path, start: str) -> None:
    """Remove what killed processes have left of the same file: nobody holds it any more."""
    for path in folder.iterdir():
        if not (path.name.startswith(start) and path.name.endswith(".part")):
            continue
        # Somebody else may be faster, or not have come to lock what it made.
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - path.stat().st_mtime > LEFT_S:
                path.unlink()


def _unwritable(error: OSError) -> DiskFull | FileUnwritable:
    if error.errno in FULL:
        return DiskFull()
    return FileUnwritable(f"The file cannot be written: {(error.strerror or str(error)).lower()}.")


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while data := file.read(READ_BYTES):
        digest.update(data)
    return digest.hexdigest()


__all__ = ["Cancelled", "Produced", "find_chapters", "master", "written"]
