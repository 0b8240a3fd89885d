"""Lasting: keeps a turn's audio from expiring while the turn lives. Not: how long it lives afterwards."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from api.ending import end_tasks
from api.streams import Streams, StreamsError
from contract import keys

log = logging.getLogger(__name__)


@asynccontextmanager
async def lasting(streams: Streams, wanted: Callable[[], list[str]]) -> AsyncIterator[None]:
    """As long as this is open, the streams that `wanted` names are renewed, one round trip a minute."""
    renewing = asyncio.create_task(_renew(streams, wanted))
    try:
        yield
    finally:
        await end_tasks(renewing)


async def _renew(streams: Streams, wanted: Callable[[], list[str]]) -> None:
    while True:
        await asyncio.sleep(keys.RENEW_S)
        try:
            await streams.renew_sentences(wanted())
        except StreamsError as error:
            log.warning("a turn's audio is not renewed: %s", error)
