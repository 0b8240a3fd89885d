"""LineMaker: one line from the queue to its place at rest, or to the reason why it is not there. Not: which line."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from functools import partial

from api.casting.clips import Provide
from api.errors import DiskFull, StoreUnreachable
from api.inbox import Inbox
from api.render.errors import LineTooLong
from api.render.library import Library
from api.render.making import Making
from api.render.sound.peaks import find_peaks
from api.render.take import Take, piece_jobs
from api.store.store import Row, StoreError, StoreRefused
from api.store.usage import Made, Usage
from api.streams import Streams, StreamsError
from api.turn.dispatch import Dispatcher
from api.turn.timing import LINES
from contract.audio import bytes_to_ms
from contract.errors import CuelineError, LogLost, NoWorker, QueueUnreachable, WorkerLost
from contract.job import SpeechJob

log = logging.getLogger(__name__)

FORGET_S = 0.1
REST_S = 1.0
"""A line for which there was no worker, or no room in Redis or the Store, is tried again after this."""


class LineMaker:
    """What making a line needs of this process."""

    def __init__(
        self, library: Library, streams: Streams, inbox: Inbox, dispatcher: Dispatcher, usage: Usage, provide: Provide
    ) -> None:
        self.claimed_at = time.monotonic()
        """When a worker took a line last."""
        self._library = library
        self._streams = streams
        self._inbox = inbox
        self._dispatcher = dispatcher
        self._usage = usage
        self._spent: list[str] = []
        """Keys of streams whose sound is kept elsewhere by now."""
        self._forgetting: asyncio.Task[None] | None = None
        self._provide = provide

    async def make(self, making: Making, number: int) -> None:
        """Have one line made and kept, or know why not."""
        line = making.on_way[number]
        row = _Row(making, number, making.contents[number])
        try:
            for job in piece_jobs(making.work, number, line, self._dispatcher.inbox_key):
                await self._make_piece(making, job, row)
            row.end()
        except (NoWorker, QueueUnreachable, LogLost) as error:
            making.put_back(number, "workers" if isinstance(error, NoWorker) else "queue", REST_S)
            return
        except OSError as error:
            log.warning("a line cannot be kept: %s", error)
            row.fail(DiskFull(f"There is no room to keep this line: {(error.strerror or 'no answer').lower()}."))
        except CuelineError as error:
            if isinstance(error, WorkerLost) and not row.is_claimed:
                # Nobody has had it: it got lost on its way.
                making.put_back(number, "queue", REST_S)
                return
            row.fail(error)
        except Exception as error:
            log.exception("a line broke")
            row.fail(CuelineError(f"Something went wrong: {type(error).__name__}."))
        await self._record(making, number, row.to_row())

    async def _make_piece(self, making: Making, job: SpeechJob, row: _Row) -> None:
        row.is_claimed = False
        take = Take(self._inbox, job, lambda: self._on_claim(making, job.turn, row))
        making.streams.add(take.key)
        try:
            pcm = await take.make(self._dispatcher, partial(self._provide, making.work.owner, job.voice))
            if take.is_cut:
                raise LineTooLong
            name, peaks = await asyncio.to_thread(self._keep, making.id, pcm)
            row.add(name, len(pcm), take, peaks)
        finally:
            making.streams.discard(take.key)
            self._forget_soon(take.key)

    def _on_claim(self, making: Making, number: int, row: _Row) -> None:
        self.claimed_at = time.monotonic()
        row.is_claimed = True
        making.claim(number)

    async def _record(self, making: Making, number: int, row: Row) -> None:
        """Write down how a line has ended; until that is done it has not."""
        while not making.is_dropped:
            try:
                await self._library.put_line(making.work.owner, row)
                break
            except (StoreError, StoreUnreachable, TimeoutError) as error:
                if isinstance(error, StoreRefused) and not await self._is_there(making):
                    return
                log.warning("a line waits to be written down: %s", error)
                making.waiting = "store"
                making.tell()
                await asyncio.sleep(REST_S)
        LINES.labels(state=row["state"]).inc()
        if row["state"] == "done" and not making.is_dropped:
            made = Made(1, len(making.on_way[number].text), row["duration_ms"])
            self._usage.add_made(making.work.owner, "render", made)
            self._library.lend(making.work.owner, making.id, row["sound"])
        making.end(number, row)

    async def _is_there(self, making: Making) -> bool:
        """Whether the render a line belongs to still exists; if not, none of its sound does."""
        try:
            if await self._library.row(making.work.owner, making.id):
                return True
        except StoreUnreachable:
            return True
        making.is_dropped = True
        await self._library.remove_sound(making.id)
        return False

    def _keep(self, render: str, pcm: bytes) -> tuple[str, list[int]]:
        return self._library.keep_sound(render, pcm), find_peaks(pcm)

    def _forget_soon(self, key: str) -> None:
        """With those of other lines that end in the same moment."""
        self._spent.append(key)
        if self._forgetting is None or self._forgetting.done():
            self._forgetting = asyncio.create_task(self._forget_spent())

    async def _forget_spent(self) -> None:
        await asyncio.sleep(FORGET_S)
        spent, self._spent = self._spent, []
        try:
            await self._streams.forget_sentences(spent)
        except StreamsError as error:
            log.debug("streams are left to expire: %s", error)


class _Row:
    """How a line goes, to be written down in the end."""

    def __init__(self, making: Making, number: int, content: str) -> None:
        self.is_claimed = False
        """A worker has had the piece in hand."""
        self._making = making
        self._ended: Row = {"number": number, "content": content}
        self._sounds: list[str] = []
        self._size = 0
        self._cached: list[bool] = []
        self._worker = ""
        self._peaks: list[int] = []

    def add(self, name: str, size: int, take: Take, peaks: list[int]) -> None:
        """A piece is there, under that name."""
        self._sounds.append(name)
        self._size += size
        self._worker = take.feed.worker
        self._cached.append(take.feed.is_cached)
        self._peaks += peaks

    def end(self) -> None:
        """All of the line is there."""
        sound, duration_ms = " ".join(self._sounds), bytes_to_ms(self._size)
        self._ended |= {"state": "done", "code": "", "reason": "", "sound": sound, "duration_ms": duration_ms}

    def fail(self, error: CuelineError) -> None:
        """It could not be made."""
        self._ended |= {"state": "failed", "code": error.code, "reason": error.text, "sound": "", "duration_ms": 0}
        self._peaks = []

    def to_row(self) -> Row:
        """As it is kept."""
        return {
            **self._ended,
            "id": f"{self._making.id}:{self._ended['number']}",
            "render_id": self._making.id,
            "cached": int(bool(self._cached) and all(self._cached)),
            "worker": self._worker,
            "peaks": json.dumps(self._peaks, separators=(",", ":")),
            "place": self._making.next_place(),
            "made_at": int(time.time() * 1000),
        }
