"""Keeps Celery's consumer alive through a broker that goes away: what upstream does not do yet. Not: redelivery.

Each part has a test that shows that it is needed, and that says so when upstream has mended it.
"""

from __future__ import annotations

import logging
import time
import warnings
from typing import Any

from celery import signals
from celery.exceptions import CPendingDeprecationWarning
from kombu.connection import Connection
from kombu.transport import redis as transport

RECONNECT_S = {"interval_start": 0.2, "interval_step": 0.3, "interval_max": 2.0}
"""kombu waits 2, 4, 6 … 30 s; a sentence waits 8 s for a worker."""
REPEAT_AFTER_S = 30.0
"""What the log has been told is not told again before."""


def install() -> None:
    """Once per process, before it connects."""
    transport.Channel._connparams = _connparams_while_connected  # type: ignore[method-assign]
    transport.Channel._create_client = _create_client_once  # type: ignore[method-assign]
    Connection._ensure_connection = _ensure_connection_soon  # type: ignore[method-assign, assignment]
    signals.after_setup_logger.connect(_bound_log)
    signals.celeryd_after_setup.connect(_expect_warning)


_connparams: Any = transport.Channel._connparams
_create_client: Any = transport.Channel._create_client
_ensure_connection: Any = Connection._ensure_connection


def _connparams_while_connected(channel: Any, asynchronous: bool = False) -> Any:
    """A channel whose connection was collected, and that tries to give its messages back, has nobody to ask where
    its server is (kombu 5.7). The AttributeError that follows ends the process; this error is expected and ignored."""
    if channel.connection.client is None:
        raise ConnectionError("The connection of this channel is gone.")
    return _connparams(channel, asynchronous)


def _create_client_once(channel: Any, asynchronous: bool = False) -> Any:
    """kombu 5.7 makes another client for each acknowledgement and each event, a twentieth of a worker's time between
    short jobs. A client is nothing but its pool; a pool that was made anew gets another one."""
    if asynchronous:
        return _create_client(channel, asynchronous)
    known = getattr(channel, "_client_of_pool", None)
    if known is None or known.connection_pool is not channel.pool:
        known = channel._client_of_pool = _create_client(channel)
    return known


def _ensure_connection_soon(connection: Any, *args: Any, **options: Any) -> Any:
    """Nothing in Celery's settings reaches these pauses."""
    return _ensure_connection(connection, *args, **{**RECONNECT_S, **options})


class Bound(logging.Filter):
    """Lets a message through, then not again for a while: an outage is one line, not one for each attempt."""

    def __init__(self, repeat_after_s: float = REPEAT_AFTER_S) -> None:
        super().__init__()
        self._repeat_after_s = repeat_after_s
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this has not been said lately; arguments do not make it another message."""
        what, now = (record.name, str(record.msg)[:200]), time.monotonic()
        self._said = {key: at for key, at in self._said.items() if now - at < self._repeat_after_s}
        if record.levelno < logging.WARNING:
            return True
        return self._said.setdefault(what, now) == now


def _bound_log(logger: logging.Logger, **_: Any) -> None:
    for handler in logger.handlers:
        handler.addFilter(Bound())


def _expect_warning(**_: Any) -> None:
    """Said at every loss of the connection, about a default that celeryconfig.py has decided on. Celery turns all
    such warnings on when it sets its log up."""
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
