"""Log and Listener: what a session says, kept once, read by each listener at its own pace. Not: sockets, Redis.

The log holds only what its slowest listener has still to get, so a session that is heard in time costs nothing,
and a listener that falls too far behind is let go instead of making the others wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from api.errors import ListenerTooSlow
from contract.chunk import HEADER, Chunk, tombstone
from contract.errors import CuelineError

MAX_LAG_BYTES = 16 * 1024 * 1024
"""Five minutes of speech."""
MAX_LAG_ITEMS = 50_000
MAX_PRIVATE = 1_000


@dataclass(frozen=True, slots=True)
class Item:
    """One message or one chunk, in the order in which the session said them."""

    text: str = ""
    """JSON of a message; empty for a chunk."""
    chunk: Chunk | None = None

    @property
    def size(self) -> int:
        """Bytes that it keeps in memory."""
        return len(self.text) if self.chunk is None else HEADER.size + len(self.chunk.pcm)


class Listener:
    """One place in the log."""

    def __init__(self, log: Log, position: int) -> None:
        self._log = log
        self.position = position
        self._private: deque[tuple[int, str]] = deque()
        self._wake = asyncio.Event()
        self.lost: CuelineError | None = None
        """Why there is nothing more to hear."""

    def tell(self, text: str, *, at_once: bool = False) -> None:
        """Say something to this listener alone: after what everybody has been told until now, or at once."""
        if len(self._private) < MAX_PRIVATE and at_once:
            self._private.appendleft((0, text))
        elif len(self._private) < MAX_PRIVATE:
            self._private.append((self._log.end, text))
        self._wake.set()

    def wake(self) -> None:
        """There is something new."""
        self._wake.set()

    async def next(self) -> Item:
        """What this listener gets next; waits for it.

        Raises: ListenerTooSlow when the log no longer has it, or what the log was closed with.
        """
        while True:
            if self._private and self._private[0][0] <= self.position:
                return Item(self._private.popleft()[1])
            if self.lost:
                raise self.lost
            if (item := self._log.take(self)) is not None:
                return item
            self._wake.clear()
            await self._wake.wait()


class Log:
    """What a session has said and somebody has still to hear."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._base = 0
        self._size = 0
        self._listeners: set[Listener] = set()
        self._silenced: set[int] = set()

    @property
    def end(self) -> int:
        """Place of the next item."""
        return self._base + len(self._items)

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def join(self) -> Listener:
        """A listener who hears what is said from now on."""
        listener = Listener(self, self.end)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """A listener has gone."""
        self._listeners.discard(listener)
        self._trim()

    def append(self, item: Item) -> None:
        """Say something to everybody."""
        if not self._listeners:
            self._base += 1
            return
        self._items.append(item)
        self._size += item.size
        self._drop_the_slowest()
        for listener in self._listeners:
            listener.wake()

    def silence(self, turn: int) -> None:
        """Whatever of this turn's sound has not been sent yet never will be."""
        self._silenced.add(turn)
        if len(self._silenced) > 64:
            self._silenced.discard(min(self._silenced))

    def take(self, listener: Listener) -> Item | None:
        """The listener's next item, None if it has heard all."""
        while (index := listener.position - self._base) < len(self._items):
            item = self._items[index]
            listener.position += 1
            if index == 0:
                self._trim()
            if (audible := self._audible(item)) is not None:
                return audible
        return None

    def _audible(self, item: Item) -> Item | None:
        chunk = item.chunk
        if chunk is None or chunk.turn not in self._silenced or not chunk.pcm:
            return item
        # The sentence still ends for whoever counts on it, only without sound.
        return Item(chunk=tombstone(chunk.turn, chunk.sentence, chunk.part, chunk.attempt)) if chunk.last else None

    def _trim(self) -> None:
        slowest = min((listener.position for listener in self._listeners), default=self.end)
        while self._base < slowest and self._items:
            self._size -= self._items.popleft().size
            self._base += 1

    def _drop_the_slowest(self) -> None:
        while self._size > MAX_LAG_BYTES or len(self._items) > MAX_LAG_ITEMS:
            slowest = min(self._listeners, key=lambda listener: listener.position)
            self._lose(slowest, ListenerTooSlow())

    def close(self, why: CuelineError) -> None:
        """Nobody hears anything more."""
        for listener in list(self._listeners):
            self._lose(listener, why)

    def _lose(self, listener: Listener, why: CuelineError) -> None:
        listener.lost = why
        self._listeners.discard(listener)
        listener.wake()
        self._trim()
