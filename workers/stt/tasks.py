"""Celery's side of a recognition: the one task, and the recognizer's life in a process. Not: how speech is heard.

The pool is solo: one decode at a time is what a device can do, and what waits stays in the queue, where a final
passes every partial.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

from celery import Task, signals
from celery.worker import state

from contract.errors import RecognizerUnavailable
from contract.transcribe import HEARING_QUEUES, TRANSCRIBE_TASK, TranscribeJob
from workers.guards.idleness import IdleCheck
from workers.settings import settings
from workers.streams import SignOfLife, connect, count_waiting
from workers.stt.app import app
from workers.stt.recognizer import Recognizer
from workers.stt.registry import make_recognizer
from workers.stt.transcript_log import TranscriptLog
from workers.transcription import transcribe

log = logging.getLogger(__name__)

_redis = connect(settings().redis_url)
_recognizer: Recognizer | None = None
_said: dict[str, Any] = {"engine": settings().stt_engine, "state": "loading"}
"""What this worker says of itself: its recognizer, and why it cannot listen if it cannot."""
_sign: SignOfLife | None = None
_idle_check: IdleCheck | None = None
_node = socket.gethostname()


@app.task(name=TRANSCRIBE_TASK, bind=True, ignore_result=True)  # type: ignore[untyped-decorator]
def transcribe_task(self: Task, job: dict[str, Any]) -> str:
    """Hear one recording. The word it returns is for Flower; nobody else reads it."""
    wanted = TranscribeJob.from_dict(job)
    transcript_log = TranscriptLog(_redis, wanted, f"{self.request.hostname or _node}:{os.getpid()}")
    if _recognizer is None:
        transcript_log.claim()
        transcript_log.fail(RecognizerUnavailable(str(_said.get("problem", ""))))
        return "unavailable"
    return transcribe(wanted, _recognizer, transcript_log)


@signals.celeryd_init.connect  # type: ignore[untyped-decorator]
def remember_node(sender: str, **_: Any) -> None:
    """The name under which this worker says that it lives."""
    global _node
    _node = sender


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def start_process(**_: Any) -> None:
    """Say that this process lives, then load. One that cannot load stays and says why: people read it on the page."""
    global _sign, _idle_check
    _sign = SignOfLife(_redis, f"{_node}:{os.getpid()}", lambda: _said, kind="recognizer")
    _sign.start()
    _load()
    _idle_check = IdleCheck(
        lambda: count_waiting(_redis, HEARING_QUEUES),
        lambda: not state.reserved_requests,
        lambda: sum(state.total_count.values()),
    )
    _idle_check.start()


def _load() -> None:
    global _recognizer, _said
    try:
        made = make_recognizer(settings().stt_engine)
        made.load()
    except RecognizerUnavailable as error:
        log.warning("this worker cannot listen: %s", error.text)
        _said = {"engine": settings().stt_engine, "state": "unavailable", "problem": error.text}
        return
    _recognizer = made
    _said = {"engine": made.name, "state": "ready", **made.about()}


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]
def end_process(**_: Any) -> None:
    """Nobody should count on a process that is going."""
    if _idle_check is not None:
        _idle_check.stop()
    if _sign is not None:
        _sign.stop()
