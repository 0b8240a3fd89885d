"""Usage: how much was spoken for each owner, by day, in talks and outside of them. Not: what was said, what it costs.

Counted in memory where it is made and written by the outbox, so nobody waits. A row holds what one process has counted
for one owner on one day; it is written again with larger figures, and the rows of a day are added up when somebody
asks. It outlives the conversations that it comes from.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from api.store.outbox import Outbox, Write
from api.store.store import Owned, Store

MAX_COUNTED = 10_000
"""Owners and days that are counted at once; one that had to give way goes on in a row of its own."""
MAX_DAYS = 90
GATHER_S = 1.0
"""What is counted within this time is written together."""
DAY_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Spent:
    """What a turn, or many, took."""

    turns: int = 0
    characters: int = 0
    """Of text that was spoken."""
    audio_ms: int = 0
    """Of speech that was made."""
    prompt_tokens: int = 0
    """Of the language model, as far as its server tells."""
    reply_tokens: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(getattr(self, name) + getattr(other, name) for name in COUNTED))


@dataclass(frozen=True, slots=True)
class Made:
    """What was spoken outside of talks."""

    pieces: int = 0
    """Lines of renders, or texts that were read aloud."""
    characters: int = 0
    """Of their text."""
    audio_ms: int = 0

    def __add__(self, other: Made) -> Made:
        return Made(*(getattr(self, name) + getattr(other, name) for name in MADE))


COUNTED = tuple(one.name for one in fields(Spent))
MADE = tuple(one.name for one in fields(Made))
Kind = Literal["render", "speech"]
"""Of what is made outside of talks: lines of renders; texts that clients of the audio API had read aloud."""
KINDS: tuple[Kind, ...] = ("render", "speech")


@dataclass(slots=True)
class _Count:
    """Of one owner on one day, since it was begun here."""

    sum: Spent | Made
    row: str = field(default_factory=lambda: secrets.token_hex(8))


class Usage:
    """What every owner has used."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._counts: OrderedDict[tuple[str, str, Kind | None], _Count] = OrderedDict()
        self._waiting: dict[str, Write] = {}
        """What is to be written, by its row: many lines of a render are one write."""
        self._writing: asyncio.TimerHandle | None = None

    def add(self, owner: str, spent: Spent) -> None:
        """Count what a turn took; nothing here waits."""
        self._add(owner, None, spent)

    def add_made(self, owner: str, kind: Kind, made: Made) -> None:
        """Count what was spoken outside of a talk."""
        self._add(owner, kind, made)

    def _add(self, owner: str, kind: Kind | None, used: Spent | Made) -> None:
        if not any(asdict(used).values()):
            return
        name = (owner, _day(time.time()), kind)
        count = self._counts.setdefault(name, _Count(type(used)()))
        self._counts.move_to_end(name)
        while len(self._counts) > MAX_COUNTED:
            self._counts.popitem(last=False)
        count.sum = count.sum + used  # type: ignore[operator]
        figures = asdict(count.sum)
        table, row = "made" if kind else "usage", {"id": count.row, "day": name[1], **figures}
        row |= {"kind": kind} if kind else {}

        async def run(store: Store) -> None:
            await Owned(store, owner).put(table, row, figures)

        self._waiting[count.row] = Write((table, count.row), "", run)
        if self._writing is None:
            self._writing = asyncio.get_running_loop().call_later(GATHER_S, self.write)

    def write(self) -> None:
        """Put what waits into the outbox."""
        if self._writing:
            self._writing.cancel()
        self._writing = None
        for write in self._waiting.values():
            self._outbox.put(write)
        self._waiting.clear()


async def by_day(rows: Owned, days: int) -> list[dict[str, Any]]:
    """What an owner has used on each of the last days on which they used anything, the newest first.

    Raises: StoreError.
    """
    now = time.time()
    wanted = {"day": tuple(_day(now - DAY_S * ago) for ago in range(days))}
    talked: dict[str, Spent] = {}
    made: dict[tuple[str, str], Made] = {}
    for row in await rows.all("usage", wanted, ("day", "id")):
        talked[row["day"]] = talked.get(row["day"], Spent()) + Spent(*(row[name] for name in COUNTED))
    for row in await rows.all("made", wanted, ("day", "id")):
        kind = (row["day"], row["kind"])
        made[kind] = made.get(kind, Made()) + Made(*(row[name] for name in MADE))
    return [
        {"day": day, **asdict(talked.get(day, Spent()))}
        | {kind: asdict(made.get((day, kind), Made())) for kind in KINDS}
        for day in sorted({*talked, *(day for day, _ in made)}, reverse=True)
    ]


def _day(at: float) -> str:
    """In UTC, so that it is the same for every process."""
    return time.strftime("%Y-%m-%d", time.gmtime(at))
