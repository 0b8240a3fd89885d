"""Sending: PCM that comes block by block → the bytes of a file, while it is being made. Not: HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from api.encoding.encoder import StreamEncoder


async def encoded(encoder: StreamEncoder, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The file, each piece as soon as there is one.

    Codecs take up to 20 ms of processor for a second of sound (docs/decisions/mastering.md): a thread has them, and
    FFmpeg lets go of Python's lock.
    """
    async for pcm in blocks:
        data = encoder.write(pcm) if encoder.is_instant else await asyncio.to_thread(encoder.write, pcm)
        if data:
            yield data
        # What is there at once is many blocks, and others want to go on in between.
        await asyncio.sleep(0)
    data = encoder.finish() if encoder.is_instant else await asyncio.to_thread(encoder.finish)
    if data:
        yield data
