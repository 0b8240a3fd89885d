"""Lets a prefork worker notice at once that its child has died: what upstream does not do yet. Not: the broker.

Billiard looks when the child's pipe closes, which is a moment before the kernel says that the child has ended; it
then sees nothing, and looks again only after five seconds, in which the worker takes no job (celery 5.7).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.concurrency.asynpool import AsynPool

LOOK_EVERY_S = 0.2


def install() -> None:
    """Once per process, before its pool starts."""
    AsynPool.timers = property(_timers)


def _timers(pool: Any) -> dict[Callable[[], None], float]:
    return {pool.maintain_pool: LOOK_EVERY_S}
