"""Finds a recognizer by name: our table, then entry points `cueline.recognizers`, then a path `module:Class`."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points

from contract.errors import RecognizerUnavailable
from workers.stt.recognizer import Recognizer

TABLE = {
    "whisper": "workers.stt.whisper:WhisperRecognizer",
    "openai_audio": "workers.stt.openai_audio:OpenAIRecognizer",
}
"""A new recognizer is one file and one line here."""


def recognizer_names() -> list[str]:
    """Recognizers that can be asked for by name."""
    return [*TABLE, *(point.name for point in entry_points(group="cueline.recognizers"))]


def make_recognizer(spec: str) -> Recognizer:
    """Construct the recognizer that `spec` names; it is not loaded yet.

    Raises: RecognizerUnavailable if there is none or it cannot be imported.
    """
    path = TABLE.get(spec) or _entry_point(spec) or spec
    module_name, _, attribute = path.partition(":")
    if not attribute:
        raise RecognizerUnavailable(f"There is no recognizer {spec!r}; known are {', '.join(recognizer_names())}.")
    try:
        made: Recognizer = getattr(importlib.import_module(module_name), attribute)()
    except (ImportError, AttributeError) as error:
        raise RecognizerUnavailable(f"The recognizer {spec!r} cannot be imported: {error}.") from error
    return made


def _entry_point(name: str) -> str:
    return next((point.value for point in entry_points(group="cueline.recognizers") if point.name == name), "")
