"""ClosingResponse: an answer that is made while it is sent, and whose making ends with it. Not: what is sent."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import anyio
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from contract.errors import CuelineError

log = logging.getLogger(__name__)


class ClosingResponse(StreamingResponse):
    """Closes where its bytes come from as soon as the last is sent or the other side has gone.

    Starlette leaves that to the garbage collector, which comes late where frames refer to each other.
    """

    def __init__(self, content: AsyncIterator[Any], *sources: AsyncGenerator[Any], **options: Any) -> None:
        """`sources` are the generators behind `content`, the outermost first."""
        super().__init__(content, **options)
        self._sources = sources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, then close. What fails in the midst breaks the answer off, visibly: it never ends as if whole."""
        try:
            await super().__call__(scope, receive, send)
        except CuelineError as error:
            # Not to be raised: it is nobody's mistake here, and the server would tell of it as one.
            log.warning("an answer is broken off: %s", error.text)
        finally:
            with anyio.CancelScope(shield=True):
                for source in (self.body_iterator, *self._sources):
                    if isinstance(source, AsyncGenerator):
                        await source.aclose()
