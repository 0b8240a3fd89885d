"""Usage: how much each owner has talked, by day. Not: what was said, what it costs.

Counted in memory where it is made and written by the outbox, so nobody waits. A row holds what one process has counted
for one owner on one day; it is written again with larger figures, and the rows of a day are added up when somebody
asks. It outlives the conversations that it comes from.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from api.store.outbox import Outbox, Write
from api.store.store import Owned, Store

MAX_COUNTED = 10_000
"""Owners and days that are counted at once; one that had to give way goes on in a row of its own."""
MAX_DAYS = 90
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


COUNTED = tuple(one.name for one in fields(Spent))


@dataclass(slots=True)
class _Count:
    """Of one owner on one day, since it was begun here."""

    spent: Spent = field(default_factory=Spent)
    row: str = field(default_factory=lambda: secrets.token_hex(8))


class Usage:
    """What every owner has used."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()

    def add(self, owner: str, spent: Spent) -> None:
        """Count it; nothing here waits."""
        if not any(asdict(spent).values()):
            return
        day = _day(time.time())
        count = self._counts.setdefault((owner, day), _Count())
        self._counts.move_to_end((owner, day))
        while len(self._counts) > MAX_COUNTED:
            self._counts.popitem(last=False)
        count.spent += spent
        figures = asdict(count.spent)

        async def run(store: Store) -> None:
            await Owned(store, owner).put("usage", {"id": count.row, "day": day, **figures}, figures)

        self._outbox.put(Write(("usage", count.row), "", run))


async def by_day(rows: Owned, days: int) -> list[dict[str, Any]]:
    """What an owner has used on each of the last days on which they used anything, the newest first.

    Raises: StoreError.
    """
    now = time.time()
    wanted = tuple(_day(now - DAY_S * ago) for ago in range(days))
    found: dict[str, Spent] = {}
    for row in await rows.all("usage", {"day": wanted}, ("day", "id")):
        found[row["day"]] = found.get(row["day"], Spent()) + Spent(*(row[name] for name in COUNTED))
    return [{"day": day, **asdict(found[day])} for day in sorted(found, reverse=True)]


def _day(at: float) -> str:
    """In UTC, so that it is the same for every process."""
    return time.strftime("%Y-%m-%d", time.gmtime(at))
