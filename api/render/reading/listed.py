"""JSON: a list of lines, or one object a line. Not: what a request has beside its script."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.errors import ScriptInvalid
from api.render.reading.cues import say
from api.render.reading.draft import Draft
from api.render.reading.text import text_lines
from api.render.script import MAX_SPEED, MIN_SPEED, Script

Pause = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Row(BaseModel):
    """One entry: a line, a pause, the beginning of a chapter."""

    model_config = ConfigDict(extra="forbid", strict=True)

    speaker: str = ""
    """Empty: who spoke last."""
    text: str = ""
    direction: str = ""
    speed: Annotated[float, Field(ge=MIN_SPEED, le=MAX_SPEED, allow_inf_nan=False)] = 1.0
    pause_before_ms: Pause | None = None
    pause_ms: Pause | None = None
    """Of an entry that is nothing but silence."""
    chapter: str | None = None


def read_list(entries: Iterable[Any]) -> Script:
    """Entries as JSON has them; `source_line` counts them. Raises: ScriptInvalid."""
    draft = Draft()
    for number, entry in enumerate(entries, 1):
        _read_entry(draft, number, entry)
    return draft.finish()


def read_json(text: str) -> Script:
    """A list, an object with a list as its `script`, or one object a line. Raises: ScriptInvalid."""
    if not text.lstrip().startswith("["):
        return _read_json_lines(text)
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ScriptInvalid(f"This is no JSON: {_why(error)}.") from error
    return read_list(whole)


def _read_json_lines(text: str) -> Script:
    draft = Draft()
    for number, line in enumerate(text_lines(text), 1):
        if line.strip():
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError) as error:
                draft.problem(number, f"this is no JSON: {_why(error)}.")
            else:
                _read_entry(draft, number, entry)
    return draft.finish()


def _read_entry(draft: Draft, number: int, entry: Any) -> None:
    try:
        row = Row.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step)[:40] for step in first["loc"])
        draft.problem(number, f"{where + ': ' if where else ''}{first['msg'][:1].lower()}{first['msg'][1:]}.")
        return
    if row.chapter is not None:
        draft.chapter(number, row.chapter)
    for pause_ms in (row.pause_ms, row.pause_before_ms):
        if pause_ms is not None:
            draft.pause(number, pause_ms)
    if row.speaker or row.direction or row.speed != 1:
        draft.speak_as(number, row.speaker or draft.speaker, row.direction, row.speed)
    draft.close()
    say(draft, number, row.text)


def _why(error: Exception) -> str:
    return f"{error.msg.lower()} in column {error.colno}" if isinstance(error, json.JSONDecodeError) else "too deep"
