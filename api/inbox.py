"""Inbox: hears the bells of this api process and pulls the streams that rang. Not: what is in them.

One blocking reader for the whole process, however many sentences are being spoken, and one pull for all that rang.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from api.ending import end_tasks
from api.streams import Entry, Streams, StreamsError
from contract import keys

log = logging.getLogger(__name__)

BLOCK_MS = 100
"""Short, because an answer without bells is what proves that silence is the worker's, not Redis'."""
KEEP_S = 20.0
"""However busy it is, the inbox is kept from expiring."""
QUIET_PULL_S = 0.25
"""How often streams are pulled whose bell goes to another process, or to nobody any more."""


@dataclass(slots=True)
class Subscription:
    """One stream that somebody follows."""

    key: str
    on_entries: Callable[[list[Entry]], None]
    on_beat: Callable[[int], None]
    """Called with the attempt whose worker says that it lives."""
    after: str = "0-0"
    """Newest entry id that was delivered."""
    fence: int = 0
    """Bells of older attempts say nothing: Redis may have refused what they carry."""


class Inbox:
    """Subscriptions of this process and the loops that feed them."""

    def __init__(self, streams: Streams, name: str) -> None:
        self._streams = streams
        self._subscriptions: dict[str, list[Subscription]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._after = "0-0"
        self._kept_at = 0.0
        self.key = keys.inbox(name)
        self.heard_at = time.monotonic()
        """When Redis last answered the reader: silence before that says nothing about workers."""

    async def start(self) -> None:
        """Make the inbox, then listen."""
        await self._streams.make_inbox(self.key)
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._pull_quiet_ones())]

    async def stop(self) -> None:
        """Stop listening."""
        await end_tasks(*self._tasks)

    def subscribe(self, subscription: Subscription) -> None:
        """Follow a stream; what is in it already comes with the next bell or pull."""
        self._subscriptions.setdefault(subscription.key, []).append(subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop following; doing it twice does no harm."""
        followers = self._subscriptions.get(subscription.key, [])
        if subscription in followers:
            followers.remove(subscription)
        if not followers:
            self._subscriptions.pop(subscription.key, None)

    async def pull(self, wanted: set[str]) -> None:
        """Read the given streams now and deliver what is new."""
        positions = {
            key: min((s.after for s in self._subscriptions[key]), key=_order)
            for key in wanted
            if key in self._subscriptions
        }
        for key, entries in (await self._streams.read(positions)).items():
            self._deliver(key, entries)

    async def _listen(self) -> None:
        pause_s = 0.05
        while True:
            try:
                await self._listen_once()
                pause_s = 0.05
            except StreamsError as error:
                log.warning("the inbox cannot be read: %s", error)
                await asyncio.sleep(pause_s)
                pause_s = min(1.0, pause_s * 2)

    async def _listen_once(self) -> None:
        bells = await self._streams.wait_for_bells(self.key, self._after, BLOCK_MS)
        rung: set[str] = set()
        for entry_id, fields in bells:
            self._after = entry_id
            try:
                rung |= self._take(fields)
            except (ValueError, KeyError):
                log.exception("a bell that makes no sense: %r", fields)
        is_due = time.monotonic() - self._kept_at > KEEP_S
        self._kept_at = time.monotonic() if is_due else self._kept_at
        if (is_due or not bells) and await self._streams.make_inbox(self.key):
            # Redis forgot the inbox, and with it every bell since: start over and look everywhere once.
            self._after = "0-0"
            rung = set(self._subscriptions)
        if rung:
            await self.pull(rung)
        self.heard_at = time.monotonic()

    def _take(self, fields: dict[bytes, bytes]) -> set[str]:
        """One bell: a sign of life, an entry that came with it, or the key of a stream to be pulled."""
        key = fields.get(b"k", b"").decode()
        if b"b" in fields:
            self._beat(key, int(fields[b"b"]))
        elif b"i" in fields:
            self._deliver(key, [(fields[b"i"].decode(), fields)], is_bell=True)
        elif key:
            return {key}
        return set()

    async def _pull_quiet_ones(self) -> None:
        while True:
            await asyncio.sleep(QUIET_PULL_S)
            try:
                await self.pull(set(self._subscriptions))
            except StreamsError as error:
                log.debug("streams cannot be pulled: %s", error)

    def _deliver(self, key: str, entries: list[Entry], *, is_bell: bool = False) -> None:
        """Hand entries to those who follow, each entry once, whether it came with its bell or was pulled."""
        for subscription in list(self._subscriptions.get(key, [])):
            oldest = (subscription.fence, 0) if is_bell else (0, 0)
            fresh = [entry for entry in entries if _order(entry[0]) > max(_order(subscription.after), oldest)]
            if not fresh:
                continue
            subscription.after = fresh[-1][0]
            try:
                subscription.on_entries(fresh)
            except Exception:  # one stream that makes no sense must not deafen all the others
                log.exception("entries of %s cannot be read", key)

    def _beat(self, key: str, attempt: int) -> None:
        for subscription in self._subscriptions.get(key, []):
            subscription.on_beat(attempt)


def _order(entry_id: str) -> tuple[int, int]:
    attempt, _, seq = entry_id.partition("-")
    return int(attempt), int(seq or 0)
