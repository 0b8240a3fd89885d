"""Mends how Celery sees its jobs end: a child that dies, a worker that shall end soon. Not: the broker.

Each is what upstream does not do yet (celery 5.7).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from celery import signals
from celery.apps import worker as upstream
from celery.concurrency.asynpool import AsynPool

LOOK_EVERY_S = 0.2


def install() -> None:
    """Once per process, before its pool starts."""
    AsynPool.timers = property(_timers)
    signals.worker_ready.connect(_handle_signals)


def _timers(pool: Any) -> dict[Callable[[], None], float]:
    """Billiard looks when the child's pipe closes, which is a moment before the kernel says that the child has ended;
    it then sees nothing, and looks again only after five seconds, in which the worker takes no job."""
    return {pool.maintain_pool: LOOK_EVERY_S}


def _handle_signals(sender: Any, **_: Any) -> None:
    """After SIGQUIT Celery sleeps all of `worker_soft_shutdown_timeout` in the signal's handler. It does not hear there
    that the job has ended, and where the job runs in the same thread it stands still meanwhile."""
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGQUIT", *(["SIGTERM"] if upstream.REMAP_SIGTERM == "SIGQUIT" else [])):
            upstream._shutdown_handler(sender.controller, sig=name, callback=_end_in_time)


def _end_in_time(worker: Any) -> None:
    """As SIGTERM does: no further job, the one in hand to its end; but after a while that is given back too."""
    within_s = worker.app.conf.worker_soft_shutdown_timeout
    worker.app.conf.worker_soft_shutdown_timeout = 0
    upstream.install_worker_term_hard_handler(worker)
    late = threading.Timer(within_s, os.kill, (os.getpid(), signal.SIGQUIT))
    late.daemon = True
    late.start()
