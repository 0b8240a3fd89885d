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
from api.streams import Entry, Streams, StreamsAway, StreamsError
from contract import keys

log = logging.getLogger(__name__)

BLOCK_MS = 100
"""Short, so that a lost inbox is noticed; Redis itself looks at the time only ten times a second."""
PULSE_S = 0.05
"""How often the inbox rings at its own door: what it hears then, it would have heard of a worker."""
PULSE_LATE_S = 0.02
"""A pulse that comes later than this proves nothing about the time that it took."""
KEEP_S = 20.0
"""However busy it is, the inbox is kept from expiring."""
QUIET_PULL_S = 0.25
"""How often streams are pulled whose bell goes to another process, or to nobody any more."""

INHERITED = 8
"""Inboxes of processes that are gone; the streams themselves expire."""


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
        self._kept_at = 0.0
        self.name = name
        self.key = keys.inbox(name)
        self._after = {self.key: "0-0"}
        """Per inbox that is heard, the newest entry: our own, and those of processes whose turns went to us."""
        self.on_note: Callable[[dict[bytes, bytes]], None] = lambda _: None
        """Called with what another api process says."""
        self.on_wiped: Callable[[], None] = lambda: None
        """Called when Redis has forgotten us, and so everything."""
        self.heard_at = time.monotonic()
        """When Redis last answered the reader."""
        self.listened_s = 0.0
        """A clock for silence: it goes only while bells can be rung and heard, and stands still while Redis does not
        answer or takes nothing, while this process is late, or while both are stopped."""
        self.refusal: StreamsError | None = None
        """Why Redis, though it answers, takes no bell: nobody's either."""
        self._pulse_at = time.monotonic()

    async def start(self) -> None:
        """Make the inbox, then listen."""
        await self._streams.make_inbox(self.key)
        work = (self._listen(), self._pulse(), self._pull_quiet_ones())
        self._tasks = [asyncio.create_task(task) for task in work]

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

    async def inherit(self, name: str) -> None:
        """Hear the bells of another process too: workers ring there for jobs that it has dispatched."""
        key = keys.inbox(name)
        if key not in self._after:
            self._after[key] = await self._streams.last_bell(key)
        while len(self._after) > 1 + INHERITED:
            self._after.pop(next(heard for heard in self._after if heard != self.key))

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
        failures = 0
        while True:
            try:
                await self._listen_once()
                if failures:
                    log.warning("the inbox can be read again")
                failures = 0
            except StreamsError as error:
                if not failures:
                    log.warning("the inbox cannot be read: %s", error)
                await asyncio.sleep(min(1.0, 0.05 * 2**failures))
                failures = min(failures + 1, 10)

    async def _listen_once(self) -> None:
        bells = await self._streams.wait_for_bells(self._after, BLOCK_MS)
        rung: set[str] = set()
        for inbox, entry_id, fields in bells:
            if inbox in self._after:
                self._after[inbox] = entry_id
            try:
                rung |= self._take(fields)
            except (ValueError, KeyError):
                log.exception("a bell that makes no sense: %r", fields)
        is_due = time.monotonic() - self._kept_at > KEEP_S
        self._kept_at = time.monotonic() if is_due else self._kept_at
        if (is_due or not bells) and await self._make(forget=is_due):
            # Redis forgot the inbox, and with it every bell since: start over and look everywhere once.
            self._after = {self.key: "0-0"}
            rung = set(self._subscriptions)
            self.on_wiped()
        if rung:
            await self.pull(rung)
        self.heard_at = time.monotonic()

    async def _make(self, *, forget: bool) -> bool:
        """Keep the inbox, without what was heard if `forget`, or make it again, which then is True."""
        try:
            if forget:
                await self._streams.forget_bells(self.key, self._after[self.key])
            return await self._streams.make_inbox(self.key)
        except StreamsAway:
            raise
        except StreamsError as error:
            # Redis takes nothing, say because its disk is full, but it answers: silence is still the workers'.
            log.warning("the inbox cannot be kept: %s", error)
            return False

    def _take(self, fields: dict[bytes, bytes]) -> set[str]:
        """One bell: a sign of life, an entry that came with it, or the key of a stream to be pulled; or a note."""
        key = fields.get(b"k", b"").decode()
        if b"p" in fields:
            self._count_pulse()
        if b"m" in fields:
            self.on_note(fields)
        elif b"b" in fields:
            self._beat(key, int(fields[b"b"]))
        elif b"i" in fields:
            self._deliver(key, [(fields[b"i"].decode(), fields)], is_bell=True)
        elif key:
            return {key}
        return set()

    def _count_pulse(self) -> None:
        now = time.monotonic()
        self.listened_s += min(now - self._pulse_at, PULSE_S + PULSE_LATE_S)
        self._pulse_at = now

    async def _pulse(self) -> None:
        """Ring while somebody is listened to."""
        while True:
            await asyncio.sleep(PULSE_S)
            if not self._subscriptions:
                continue
            try:
                await self._streams.ring(self.key)
                self.refusal = None
            except StreamsAway:
                continue
            except StreamsError as error:
                self.refusal = error

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
