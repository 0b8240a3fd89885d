"""Ends asyncio tasks for sure. Not: what they did.

One cancel is not enough: a library that is just timing out may turn it into its own error and go on, and whoever
waits for such a task waits for ever.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

log = logging.getLogger(__name__)

AGAIN_S = 0.2


async def end_tasks(*tasks: asyncio.Task[Any] | None, within_s: float = 3.0) -> None:
    """Cancel until all have ended, or the time is up; their results are theirs."""
    pending = {task for task in tasks if task is not None and not task.done()}
    deadline = time.monotonic() + within_s
    while pending and time.monotonic() < deadline:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_S)
    if pending:
        log.warning("%d tasks do not end", len(pending))
