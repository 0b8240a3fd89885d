"""An engine that was loaded with these settings, and what it says: shared by the tests of engines behind a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from contract.voice import Voice
from workers.settings import settings
from workers.tts.engine import Engine

AnEngine = TypeVar("AnEngine", bound=Engine)


@contextmanager
def ready(kind: type[AnEngine], **variables: str) -> Iterator[AnEngine]:
    """One of `kind`, loaded where the environment says this. Raises: EngineUnavailable."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        settings.cache_clear()
        try:
            engine = kind()
            engine.load()
            yield engine
        finally:
            settings.cache_clear()


def said(engine: Engine, text: str = "It rains.", voice: Voice | None = None) -> bytes:
    """The whole sentence, s16le mono 24 kHz."""
    return b"".join(engine.speak(text, voice or Voice(), 1))
