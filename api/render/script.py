"""Script: what is to be said, line by line. Not: where it came from (reading/), who speaks it (casting.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NARRATOR = "Narrator"
"""Who reads what nobody in the script says: a book's paragraphs, and headings."""

MAX_BYTES = 20 * 1024 * 1024
"""Of a file that is text; an EPUB has its own bounds."""
MAX_LINES = 50_000
"""Twice the paragraphs of the longest novels."""
MAX_CHARS = 5_000_000
"""Of all lines: over ninety hours."""
MAX_LINE_CHARS = 50_000
"""Of one line: an hour. It stays one line for people, whatever pieces it is spoken in."""
MAX_SPEAKER_CHARS, MAX_DIRECTION_CHARS, MAX_TITLE_CHARS = 64, 500, 200
MAX_PAUSE_MS = 60_000
MIN_SPEED, MAX_SPEED = 0.25, 4.0


@dataclass(frozen=True, slots=True)
class Line:
    """What one speaker says at once: the unit that people see, edit and render again."""

    number: int
    """Counts from 1, without gaps."""
    source_line: int
    """Where it begins in the file, counted from 1; in a list the entry, in an EPUB the paragraph."""
    speaker: str
    """As the script first spells it; equal speakers are spelled equally."""
    text: str
    """On one line, as it is shown; what of it is spoken is for pieces.py to say."""
    direction: str = ""
    """A hint for engines that follow words, never spoken."""
    speed: float = 1.0
    """Factor on the voice's own rate, 0.25 to 4."""
    pause_before_ms: int | None = None
    """Silence before it; None: the render's gap."""
    chapter: int = 0
    """Place in `Script.chapters`; 0 in a script without any."""


@dataclass(frozen=True, slots=True, order=True)
class Skipped:
    """What is in the file and will not be spoken, comments aside."""

    source_line: int
    text: str


@dataclass(frozen=True, slots=True)
class Script:
    """A dialogue or a book: at least one line."""

    lines: tuple[Line, ...]
    title: str = ""
    chapters: tuple[str, ...] = ()
    """Titles; the first may be empty, for what comes before the first heading."""
    pause_after_ms: int = 0
    """Silence at the very end."""
    skipped: tuple[Skipped, ...] = ()

    @property
    def speakers(self) -> dict[str, list[Line]]:
        """Everybody who says something, in the order of their first lines, with their lines."""
        found: dict[str, list[Line]] = {}
        for line in self.lines:
            found.setdefault(line.speaker, []).append(line)
        return found

    def to_rows(self) -> list[dict[str, Any]]:
        """The list form (reading/listed.py), which reads as the same script again, but for `source_line`."""
        rows: list[dict[str, Any]] = []
        chapter = -1
        for line in self.lines:
            row: dict[str, Any] = {"speaker": line.speaker, "text": line.text}
            row |= {"direction": line.direction} if line.direction else {}
            row |= {"speed": line.speed} if line.speed != 1 else {}
            row |= {} if line.pause_before_ms is None else {"pause_before_ms": line.pause_before_ms}
            if self.chapters and line.chapter != chapter:
                chapter = line.chapter
                row["chapter"] = self.chapters[chapter]
            rows.append(row)
        if self.pause_after_ms:
            rows.append({"pause_ms": self.pause_after_ms})
        return rows
