"""Draft: a script that is being read, with everything that is wrong with it. Not: any form of file."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field, replace

from api.errors import Problem, ScriptEmpty, ScriptInvalid, ScriptTooLong
from api.render.script import (
    MAX_CHARS,
    MAX_DIRECTION_CHARS,
    MAX_LINE_CHARS,
    MAX_LINES,
    MAX_PAUSE_MS,
    MAX_SPEAKER_CHARS,
    MAX_SPEED,
    MAX_TITLE_CHARS,
    MIN_SPEED,
    Line,
    Script,
    Skipped,
)

MAX_PROBLEMS = 1_000
"""More help nobody."""
NOBODY_YET = "nobody is named yet. Begin it with NAME: or, if it is not to be spoken, with #."


@dataclass(frozen=True, slots=True)
class _Role:
    """Who speaks, and how."""

    name: str = ""
    direction: str = ""
    speed: float = 1.0


@dataclass(slots=True)
class _Said:
    """A line that may still go on."""

    source_line: int
    role: _Role
    pause_ms: int | None
    chapter: int
    words: list[str] = field(default_factory=list)
    chars: int = 0


class Draft:
    """Collects lines and problems; `finish` hands out the script, or all problems at once.

    `speak_as` says who speaks, `add` what: the line goes on until `close`, a pause, a chapter or another speaker.
    """

    def __init__(self) -> None:
        self.title = ""
        self.problems: list[Problem] = []
        self.is_open = False
        """Whether the last line may go on."""
        self._role = _Role()
        self._said: list[_Said] = []
        self._skipped: list[Skipped] = []
        self._chapters: list[tuple[int, str]] = []
        """Where each begins, and its title."""
        self._spellings: dict[str, str] = {}
        self._pause_ms: int | None = None
        self._chars = 0

    @property
    def pause_ms(self) -> int:
        """Silence that waits for its line."""
        return self._pause_ms or 0

    @property
    def speaker(self) -> str:
        """Who speaks; empty if nobody does yet."""
        return self._role.name

    def speak_as(self, source_line: int, speaker: str, direction: str = "", speed: float = 1.0) -> None:
        """What is added from here on is said by this speaker, in this manner."""
        name = one_line(speaker)
        if not 1 <= len(name) <= MAX_SPEAKER_CHARS or not is_text(name):
            self.problem(source_line, f"a speaker's name has 1 to {MAX_SPEAKER_CHARS} characters.")
        if not MIN_SPEED <= speed <= MAX_SPEED:
            self.problem(source_line, f"a speed lies between {MIN_SPEED:g} and {MAX_SPEED:g}, not {speed:g}.")
        if not is_text(direction := one_line(direction)) or len(direction) > MAX_DIRECTION_CHARS:
            self.problem(source_line, f"a direction is text of at most {MAX_DIRECTION_CHARS} characters.")
        self._role = _Role(self._spellings.setdefault(name.casefold(), name), direction, speed)
        self.close()

    def add(self, source_line: int, text: str) -> None:
        """Words of whoever speaks. A line without anything to say becomes none, and is among what was skipped.

        Raises: ScriptTooLong as soon as the whole script is.
        """
        if not (text := one_line(text)):
            return
        if not self._role.name:
            self.problem(source_line, NOBODY_YET)
        elif self.is_open or any(map(str.isalnum, text)):
            if not self.is_open:
                self._begin(source_line)
            self._go_on(text)
        else:
            self.skip(source_line, f"{self._role.name}: {text}")

    def close(self) -> None:
        """What comes next is a new line."""
        self.is_open = False

    def pause(self, source_line: int, ms: float) -> None:
        """Silence before the next line, or at the end; two that follow each other add up."""
        total = (self._pause_ms or 0) + round(ms)
        if not 0 <= total <= MAX_PAUSE_MS:
            self.problem(source_line, f"a pause may last at most {MAX_PAUSE_MS // 1000} seconds.")
        self._pause_ms = total
        self.close()

    def chapter(self, source_line: int, title: str) -> None:
        """What follows is another chapter; one without a line is among what was skipped."""
        if self._said and not self._chapters:
            self._chapters.append((1, ""))
        self._chapters.append((source_line, one_line(title)[:MAX_TITLE_CHARS]))
        self.close()

    def skip(self, source_line: int, text: str) -> None:
        """Note what will not be spoken."""
        if text := one_line(text).encode("utf-8", "replace").decode():
            self._skipped.append(Skipped(source_line, text))

    def problem(self, source_line: int, text: str) -> None:
        """Note what is wrong; reading goes on. Raises: ScriptInvalid when there is too much."""
        self.problems.append(Problem(source_line, text))
        if len(self.problems) == MAX_PROBLEMS:
            raise ScriptInvalid(problems=self.problems)

    def finish(self) -> Script:
        """Raises: ScriptInvalid with all problems, ScriptEmpty."""
        if self.problems:
            raise ScriptInvalid(problems=sorted(self.problems))
        if not self._said:
            raise ScriptEmpty
        used = sorted({said.chapter for said in self._said}) if self._chapters else []
        places = {chapter: place for place, chapter in enumerate(used)}
        lines = tuple(
            Line(
                *(number, said.source_line, said.role.name, " ".join(said.words), said.role.direction),
                *(said.role.speed, said.pause_ms, places.get(said.chapter, 0)),
            )
            for number, said in enumerate(self._said, 1)
        )
        for place, (source_line, title) in enumerate(self._chapters):
            if place not in places:
                self.skip(source_line, title)
        chapters = tuple(self._chapters[chapter][1] for chapter in used)
        return Script(lines, self.title, chapters, self._pause_ms or 0, tuple(sorted(self._skipped)))

    def _begin(self, source_line: int) -> None:
        if len(self._said) == MAX_LINES:
            raise ScriptTooLong(f"A script may have at most {MAX_LINES:,} lines; this one has more. Cut it into parts.")
        chapter = max(0, len(self._chapters) - 1)
        self._said.append(_Said(source_line, self._role, self._pause_ms, chapter))
        self._pause_ms, self.is_open = None, True

    def _go_on(self, text: str) -> None:
        said = self._said[-1]
        if not is_text(text):
            self.problem(said.source_line, "there are characters that cannot be text.")
        if said.chars <= MAX_LINE_CHARS < said.chars + len(text):
            self.problem(said.source_line, f"a line may have at most {MAX_LINE_CHARS:,} characters.")
        said.words.append(text)
        said.chars += len(text) + 1
        self._chars += len(text)
        if self._chars > MAX_CHARS:
            raise ScriptTooLong(f"A script may have at most {MAX_CHARS:,} characters; this one has more.")


def with_title(script: Script, title: str) -> Script:
    """The same script under a title, unless it has one of its own."""
    return script if script.title else replace(script, title=one_line(title))


def is_text(text: str) -> bool:
    """Whether it can be shown, written down and sent."""
    return (text.isascii() and text.isprintable()) or not any(
        unicodedata.category(char) in {"Cc", "Cs"} for char in text
    )


def one_line(text: str) -> str:
    """Without newlines, and with single spaces."""
    return " ".join(text.split())
