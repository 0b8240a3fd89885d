"""Lets a worker that is asked to end soon (SIGQUIT) end as soon as its job has: what upstream does not do. Not: when.

Celery sleeps all of `worker_soft_shutdown_timeout` in the signal's handler. It does not hear there that the job has
ended, and where the job runs in the same thread it stands still meanwhile (celery 5.7).
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from celery import signals
from celery.apps import worker as upstream


def install() -> None:
    """Once per process, before it consumes."""
    signals.worker_ready.connect(_handle_signals)


def _handle_signals(sender: Any, **_: Any) -> None:
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
