"""Play: what a render is made from, a script with its cast, and how much of it is made. Pure. Not: where it is kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields, replace
from typing import Any

from api.store.store import Row
from contract.voice import Voice

_BETWEEN = ",\n"
"""No text that is written as JSON has a line break in it."""


@dataclass(frozen=True, slots=True)
class CastLine:
    """One line of a script and the voice that speaks it: what is kept of it."""

    speaker: str
    text: str
    """As it is shown; what of it is spoken is for pieces.py to say."""
    voice: Voice
    direction: str = ""
    """A hint for engines that follow words; in the voice already."""
    speed: float = 1.0
    """In the voice already."""
    pause_before_ms: int | None = None
    """Silence before it; None: the render's gap."""
    chapter: int = 0
    """Place in the work's chapters."""
    is_silent: bool = False
    """Nothing of it can be spoken."""

    @property
    def content(self) -> str:
        """Equal for lines that sound equal."""
        content = json.dumps([self.text, self.voice.to_dict()], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; `from_dict` is its inverse."""
        # Not `asdict`, which copies every string of a book.
        return {one.name: getattr(self, one.name) for one in fields(self)} | {"voice": self.voice.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CastLine:
        """Read what `to_dict` wrote; fields of a newer version are ignored."""
        known = {one.name for one in fields(cls)}
        values = {name: value for name, value in data.items() if name in known}
        return cls(**{**values, "voice": Voice.from_dict(values["voice"])})


@dataclass(frozen=True, slots=True)
class Play:
    """A script with its cast: what a render is made from."""

    lines: tuple[CastLine, ...]
    chapters: tuple[str, ...] = ()
    """Titles; none: it has no chapters."""
    pause_after_ms: int = 0
    """Silence at the very end."""

    def to_json(self) -> str:
        """As it is kept: a row for each line."""
        head = json.dumps({"chapters": self.chapters, "pause_after_ms": self.pause_after_ms}, ensure_ascii=False)
        # Row by row, here and back: one call for a whole book would hold the interpreter's lock, and every talk with
        # it, for the tenth of a second.
        rows = (json.dumps(line.to_dict(), ensure_ascii=False) for line in self.lines)
        return f'{head[:-1]}, "lines": [\n{_BETWEEN.join(rows)}\n]}}'

    @classmethod
    def from_json(cls, text: str) -> Play:
        """Read what `to_json` wrote, or an older version, in one row."""
        head, _, rest = text.partition("\n")
        kept = json.loads(f"{head}]}}" if rest else head)
        rows = [row for row in rest.removesuffix("\n]}").split(_BETWEEN) if row]
        lines = map(CastLine.from_dict, map(json.loads, rows) if rest else kept["lines"])
        return cls(tuple(lines), tuple(kept["chapters"]), kept["pause_after_ms"])

    def with_line(self, number: int, line: CastLine) -> Play:
        """The same but for one line."""
        return replace(self, lines=(*self.lines[:number], line, *self.lines[number + 1 :]))


@dataclass(slots=True)
class Work:
    """A render as it is at rest."""

    row: Row
    revision: int
    play: Play
    made: dict[int, Row] = field(default_factory=dict)
    """Rows of the lines that have ended and whose words and voice are still wanted."""

    @property
    def id(self) -> str:
        """Its name."""
        return str(self.row["id"])

    @property
    def owner(self) -> str:
        """Whose it is."""
        return str(self.row["owner"])

    @property
    def lines(self) -> tuple[CastLine, ...]:
        """All of them, in order."""
        return self.play.lines
