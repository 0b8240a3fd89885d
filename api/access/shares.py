"""Shares: links to a session for those who only listen, and the end of them. Not: what a guest hears.

A link works many times, in any api process, until it expires or is taken back. Whoever came by it is asked about once
a second, all of a process in one question, so that taking it back ends what it has opened, wherever that is.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from api.ending import end_tasks
from api.errors import ShareUnknown
from api.streams import Streams, StreamsError
from contract.keys import SHARE_LIFETIME_S

log = logging.getLogger(__name__)

LOOK_S = 1.0


class Visit:
    """One socket or event stream that a link has opened."""

    def __init__(self, session: str, digest: str) -> None:
        self.session = session
        self.digest = digest
        self.over = asyncio.Event()
        """Set when the link works no more."""


class Shares:
    """The links of every session, and the guests of this process."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._visits: set[Visit] = set()
        self._look_now = asyncio.Event()
        self._looker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._looker = asyncio.create_task(self._look_loop())

    async def stop(self) -> None:
        """Look no more."""
        await end_tasks(self._looker)

    async def open(self, session: str) -> tuple[str, float]:
        """A new link's token, which is kept nowhere, and when it expires, in seconds since 1970.

        Raises: StreamsError.
        """
        token = secrets.token_urlsafe(24)
        await self._streams.keep_share(session, _digest(token))
        return token, time.time() + SHARE_LIFETIME_S

    async def find(self, session: str, token: str) -> str:
        """The digest of a link that opens this session. Raises: ShareUnknown, StreamsError."""
        digest = _digest(token)
        if not all(await self._streams.are_shared([(session, digest)])):
            raise ShareUnknown
        return digest

    async def revoke(self, session: str) -> None:
        """Take back all links of a session. Raises: StreamsError."""
        await self._streams.forget_shares(session)
        self._look_now.set()

    @contextmanager
    def visit(self, session: str, digest: str) -> Iterator[Visit]:
        """While a guest is here. Without a digest it is no guest, and its right does not end."""
        visit = Visit(session, digest)
        if digest:
            self._visits.add(visit)
        try:
            yield visit
        finally:
            self._visits.discard(visit)

    async def _look_loop(self) -> None:
        while True:
            self._look_now.clear()
            try:
                await self._look(list(self._visits))
            except StreamsError as error:
                log.debug("nobody knows which links still work: %s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._look_now.wait()

    async def _look(self, visits: list[Visit]) -> None:
        if not visits:
            return
        shared = await self._streams.are_shared([(visit.session, visit.digest) for visit in visits])
        for visit, is_shared in zip(visits, shared, strict=True):
            if not is_shared:
                visit.over.set()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
