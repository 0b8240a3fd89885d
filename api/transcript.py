"""Transcript: a conversation as a file for people and programs. Pure. Not: where it is kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Row = dict[str, Any]
READ_MS_PER_CHAR = 60
LEAST_MS = 1000
"""How long the caption of a typed message stands, and of a sentence that was never spoken."""


class Cue(NamedTuple):
    """One caption."""

    start_ms: int
    end_ms: int
    speaker: str
    text: str


def as_json(conversation: Row, messages: list[Row]) -> str:
    """Everything that is known."""
    said = [
        {
            "turn": row["turn"],
            "role": row["role"],
            "character": row["character"],
            "text": row["text"],
            "heard": row["heard"],
            "sentences": json.loads(row["spoken"]),
            "said_at": row["said_at"],
        }
        for row in messages
    ]
    return json.dumps({**conversation, "messages": said}, ensure_ascii=False, indent=2)


def as_markdown(conversation: Row, messages: list[Row]) -> str:
    """To read."""
    day = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(conversation["created_at"] / 1000))
    parts = [f"# {_plain(conversation['title'])}", day]
    parts += [f"**{_plain(_speaker(row))}:** {_plain(row['heard'])}" for row in messages if row["heard"].strip()]
    return "\n\n".join(parts) + "\n"


def as_srt(_: Row, messages: list[Row]) -> str:
    """SubRip captions."""
    blocks = [
        f"{number}\n{clock(cue.start_ms, ',')} --> {clock(cue.end_ms, ',')}\n{cue.speaker}: {cue.text}\n"
        for number, cue in enumerate(cues(messages), 1)
    ]
    return "\n".join(blocks)


def as_vtt(_: Row, messages: list[Row]) -> str:
    """WebVTT captions."""
    blocks = [
        f"{clock(cue.start_ms, '.')} --> {clock(cue.end_ms, '.')}\n<v {escape(cue.speaker)}>{escape(cue.text)}\n"
        for cue in cues(messages)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def cues(messages: list[Row]) -> Iterator[Cue]:
    """Captions of a talk in which a reply begins when its question has been read, and nobody speaks at once."""
    began_at = messages[0]["said_at"] if messages else 0
    free_ms = 0
    for row in messages:
        if not row["heard"].strip():
            continue
        spoken = json.loads(row["spoken"]) or [[row["heard"], 0]]
        if row["role"] == "user":
            free_ms = max(free_ms, row["said_at"] - began_at)
        for text, duration_ms in spoken:
            end_ms = free_ms + (duration_ms or max(LEAST_MS, READ_MS_PER_CHAR * len(text)))
            if line := " ".join(text.replace("-->", "→").split()):
                yield Cue(free_ms, end_ms, " ".join(_speaker(row).split()), line)
            free_ms = end_ms


def clock(ms: int, point: str) -> str:
    """A time as captions write it."""
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{ms:03}"


def escape(text: str) -> str:
    """Text in a WebVTT caption, where tags would be tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


FORMATS: dict[str, tuple[str, Callable[[Row, list[Row]], str]]] = {
    "json": ("application/json", as_json),
    "md": ("text/markdown", as_markdown),
    "srt": ("application/x-subrip", as_srt),
    "vtt": ("text/vtt", as_vtt),
}
"""Name → media type, and what makes it."""


def _speaker(row: Row) -> str:
    return "You" if row["role"] == "user" else row["character"] or "Assistant"


def _plain(text: str) -> str:
    """Markdown without markup: what people and models say is text."""
    escaped = "".join(f"\\{sign}" if sign in "\\`*_[]<>#&|~" else sign for sign in text)
    return " ".join(escaped.split())
