"""Line: carries what an ear hears to its session, in order, wherever that is held. Not: what it means."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from api.ending import end_tasks
from api.session.voiced import Voiced
from contract.errors import CuelineError

if TYPE_CHECKING:
    from api.session.session import Session

log = logging.getLogger(__name__)
MAX_WAITING = 64
"""Behind a session that another process holds and that does not answer; partials are left out then."""


class Line:
    """From one ear to one session."""

    def __init__(self, session: Session, on_refused: Callable[[CuelineError], None]) -> None:
        """`on_refused` tells the person why something was not taken."""
        self._session = session
        self._on_refused = on_refused
        self._waiting: asyncio.Queue[Voiced] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    @property
    def session_id(self) -> str:
        """For the names of recordings."""
        return self._session.id

    def say(self, heard: Voiced) -> None:
        """Hand something over, and do not wait."""
        if heard.what == "partial" and self._waiting.qsize() > MAX_WAITING:
            return
        self._waiting.put_nowait(heard)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._carry())

    async def flush(self) -> None:
        """Wait until everything was taken."""
        if self._task:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Nothing more is carried."""
        await end_tasks(self._task)

    async def _carry(self) -> None:
        while not self._waiting.empty():
            try:
                await self._session.hear(self._waiting.get_nowait())
            except CuelineError as error:
                self._on_refused(error)
            except Exception:
                log.exception("what was heard cannot be handed on")
