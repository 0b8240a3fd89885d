"""Cache: sentences that were made once, by content, in files that all workers of a machine share. Not: who asks.

A file is whole or not there: it is written beside its place and renamed. There is no index that could be wrong; a
file's last use is its time of change. Whoever makes a sentence holds a lock on its own byte of one file, which the
kernel opens again when the maker dies; a file of its own for each cost more than espeak needs for a short sentence.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from contract.job import SpeechJob
from workers.tts.engine import Engine
from workers.tts.relief.chain import Chain

log = logging.getLogger(__name__)

SHELF_CHARS = 2
"""Of a sentence's name, for the folder that it lies in."""
LOCKS, LOCK_CHARS = "locks", 15
"""The file whose bytes are locked; it stays empty. The byte is so much of the sentence's name: 2^60 of them."""
F_OFD_SETLK = getattr(fcntl, "F_OFD_SETLK", -1)
"""Where the system has none, two workers may make the same sentence, and no harm is done."""
CRC_BYTES = 4
"""In front of the samples: a machine that lost its power may have kept a file's name and not its end."""
WAIT_S = 10.0
"""How long a line waits for another worker that makes the same; less than its owner's patience."""
LOOK_S = 0.01
SICK_S = 60.0
"""A disk that is full or cannot be written is left alone for this long."""
SWEEP_SHARE = 16
"""A process looks how much there is when it has added this share of the bound."""
LEFT_OVER_S = 3600
"""A file that was never renamed belongs to nobody after this."""


class Cache:
    """The sentences in `folder`, the least recently used of them forgotten above `max_bytes`."""

    def __init__(self, folder: Path | None, max_bytes: int) -> None:
        """Without a folder, or room, nothing is kept and nothing found."""
        self._folder = folder if max_bytes else None
        self._max_bytes = max_bytes
        self._added = max_bytes
        """Since the last look; at first as if it were full, so that the first addition looks."""
        self._sick_until = 0.0
        self._has_told = False
        self._sweeping = threading.Lock()

    def entry(self, job: SpeechJob, engine: Engine) -> Entry:
        """The place of this job's sound, under the engine whose it is. One that does not say its version is not cached.

        Of a chain that is its first engine for this voice: what it made is found while it rests, and what stood in for
        it is not kept in its name.
        """
        maker = engine.maker(job.voice) if isinstance(engine, Chain) else engine
        version = getattr(maker, "version", "")
        if maker is None or self._folder is None or not version or time.monotonic() < self._sick_until:
            return Entry(self, "")
        name = hashlib.sha256(f"{job.content_hash()}\n{maker.name}\n{version}".encode()).hexdigest()
        return Entry(self, f"{self._folder}/{name[:SHELF_CHARS]}/{name}", maker if maker is not engine else None)

    def report(self, error: OSError) -> None:
        """The disk did not take something: speech goes on without it, and says so once."""
        self._sick_until = time.monotonic() + SICK_S
        if not self._has_told:
            self._has_told = True
            log.warning("sentences are not cached: %s", error)

    def count(self, size: int) -> None:
        """So much was added; look whether it is too much, behind whoever speaks."""
        self._added += size
        if self._added * SWEEP_SHARE > self._max_bytes and self._sweeping.acquire(blocking=False):
            self._added = 0
            threading.Thread(target=self._sweep, name="cache-sweep", daemon=True).start()

    def _sweep(self) -> None:
        try:
            self.sweep()
        except OSError as error:
            self.report(error)
        finally:
            self._sweeping.release()

    def sweep(self) -> None:
        """Forget the least recently used until there is room for what all processes add before the next look."""
        if self._folder is None:
            return
        found = sorted((stat.st_mtime, stat.st_size, path) for path, stat in _files(self._folder))
        size = sum(one[1] for one in found)
        room = self._max_bytes - 2 * self._max_bytes // SWEEP_SHARE
        for used_at, bytes_, path in found:
            is_left_over = path.suffix and time.time() - used_at > LEFT_OVER_S
            if size <= room and not is_left_over:
                continue
            with suppress(FileNotFoundError):  # another worker was faster
                path.unlink()
            size -= bytes_


class Entry:
    """One job's sound: read from the cache, or made by whoever holds the lock, and then kept."""

    def __init__(self, cache: Cache, path: str, maker: Engine | None = None) -> None:
        """`path` is a string, and empty where nothing is kept: talk waits for each microsecond here. `maker`: who of
        several has to make it so that it may be kept.
        """
        self.pcm: bytes | None = None
        """s16le mono 24 kHz, the whole sentence; None: it has to be made."""
        self._cache = cache
        self._path = path
        self._maker = maker
        self._blocks: list[bytes] = []
        self._is_whole = False
        self._lock = -1
        self._read()

    def begin(self, *, may_wait: bool) -> None:
        """Be the one who makes it, if it is not there, and if it `may_wait` for another who is making it.

        Who may not wait locks it only when its first block has left: until then others might make the same.
        """
        if not self._path or self.pcm is not None or not may_wait:
            return
        give_up_at = time.monotonic() + WAIT_S
        while not self._take_lock() and time.monotonic() < give_up_at:
            time.sleep(LOOK_S)
        self._read()

    def blocks(self, make: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
        """What is there, else what the engine makes, remembered."""
        if self.pcm is not None:
            yield self.pcm
            return
        made = make()
        try:
            for block in made:
                yield block
                if self._path:
                    self._blocks.append(block)
                    if len(self._blocks) == 1 and self._lock < 0:
                        self._take_lock()
            self._is_whole = self._maker is None or getattr(made, "maker", None) is self._maker
        finally:
            if close := getattr(made, "close", None):
                close()

    def keep(self) -> None:
        """It was made whole and without a fault: others may have it."""
        pcm = b"".join(self._blocks)
        if not self._path or not self._is_whole or not pcm:
            return
        fresh = f"{self._path}.{os.getpid()}-{threading.get_ident()}"
        try:
            descriptor = self._open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123
                if file.write(zlib.crc32(pcm).to_bytes(CRC_BYTES, "little") + pcm) < CRC_BYTES + len(pcm):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.replace(fresh, self._path)  # noqa: PTH105
        except OSError as error:
            with suppress(OSError):
                os.unlink(fresh)  # noqa: PTH108
            self._cache.report(error)
        else:
            self._cache.count(len(pcm))

    def close(self) -> None:
        """Let others make it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _open(self, path: str, flags: int) -> int:
        """A file of our own, private; its folder is made if it is not there. Raises: OSError."""
        try:
            return os.open(path, flags | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            Path(path).parent.mkdir(mode=0o700, exist_ok=True, parents=True)
            return os.open(path, flags | os.O_CLOEXEC, 0o600)

    def _read(self) -> None:
        if not self._path:
            return
        try:
            with open(self._path, "rb", buffering=0) as file:  # noqa: PTH123
                found = file.read()
                os.utime(file.fileno())
        except FileNotFoundError:
            return
        except OSError as error:
            self._cache.report(error)
            return
        if zlib.crc32(found[CRC_BYTES:]) == int.from_bytes(found[:CRC_BYTES], "little"):
            self.pcm = found[CRC_BYTES:]

    def _take_lock(self) -> bool:
        """Whether nobody else is making it, as far as anybody can know."""
        folder, _, name = self._path.rpartition("/")
        try:
            lock = self._open(f"{folder[:-SHELF_CHARS]}{LOCKS}", os.O_RDWR | os.O_CREAT)
        except OSError as error:
            self._cache.report(error)
            return True
        try:
            # The lock belongs to the open file, so threads of one process exclude each other too.
            byte = int(name[:LOCK_CHARS], 16)
            fcntl.fcntl(lock, F_OFD_SETLK, struct.pack("hhqqiq", fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0, 0))
        except OSError as error:
            os.close(lock)
            return error.errno not in (errno.EAGAIN, errno.EACCES)
        self._lock = lock
        return True


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for shelf in sorted(folder.glob("[0-9a-f][0-9a-f]")):
        for path in shelf.iterdir():
            with suppress(FileNotFoundError):
                yield path, path.stat()


NO_CACHE = Cache(None, 0)
