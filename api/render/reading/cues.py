"""Cues: NAME (direction, speed 1.2): text, and what stands in brackets. Not: which lines have one."""

from __future__ import annotations

import re
from typing import NamedTuple

from api.render.reading.draft import Draft
from api.render.script import MAX_SPEAKER_CHARS

NAME_WORDS = 6
"""A sentence with a colon has more before it."""
MAX_HINTS = 8

_CUE = re.compile(r"([^\s:：()\[\]{}#<>|\\\"“„«][^:：()\[\]]*)((?:\([^()]*\)\s*)*)(：|:(?=\s|$))")
_TAG = re.compile(r"\[\s*(SPEAKER[\s_]?[\d*]+)\s*\]\s*:?", re.IGNORECASE)
"""How speech models are told who speaks."""
_LEADING_HINT = re.compile(r"\s*\(([^()]*)\)\s*(?=\S)")
_SPEED = re.compile(r"(?:speed|rate)\s*[:=]?\s*(\d{1,3}(?:\.\d{1,6})?)\s*x?", re.IGNORECASE)
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_PAUSE = re.compile(r"pause\s+(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|sec|seconds?|milliseconds?)", re.IGNORECASE)
_IS_PAUSE = re.compile(r"\s*pause\b", re.IGNORECASE)
_CHAPTER = re.compile(r"\s*chapter\s*[: ]\s*(.*\S)\s*", re.IGNORECASE)


class Cue(NamedTuple):
    """Who speaks from here on, and how."""

    speaker: str
    hints: tuple[str, ...]
    """What stands in parentheses, without them."""
    text: str


def find_cue(line: str) -> Cue | None:
    """The cue with which a line begins."""
    if tag := _TAG.match(line):
        return _with_leading_hint(tag[1].upper().replace(" ", "").replace("_", ""), (), line[tag.end() :])
    cue = _CUE.match(line)
    if cue is None:
        return None
    name = cue[1].strip()
    if len(name) > MAX_SPEAKER_CHARS or len(name.split()) > NAME_WORDS or not any(char.isalnum() for char in name):
        return None
    hints = tuple(re.findall(r"\(([^()]*)\)", cue[2]))
    return _with_leading_hint(name, hints, line[cue.end() :])


def _with_leading_hint(name: str, hints: tuple[str, ...], text: str) -> Cue:
    # "BEN: (sighs) Fine." is said without the sigh; "BEN: (Fine.)" is all he says.
    while len(hints) < MAX_HINTS and (leading := _LEADING_HINT.match(text)):
        hints, text = (*hints, leading[1]), text[leading.end() :]
    return Cue(name, hints, text.strip())


def read_hints(draft: Draft, source_line: int, hints: tuple[str, ...]) -> tuple[str, float]:
    """Direction and speed."""
    direction: list[str] = []
    speed = 1.0
    for hint in map(str.strip, re.split("[,;]", ",".join(hints))):
        if found := _SPEED.fullmatch(hint):
            speed = float(found[1])
        elif re.match(r"(?:speed|rate)\s*[:=]?\s*[-+\d]", hint, re.IGNORECASE):
            draft.problem(source_line, f"({hint[:40]}) is no speed; (speed 1.2) would be.")
        elif hint:
            direction.append(hint)
    return ", ".join(direction), speed


def say_cue(draft: Draft, source_line: int, cue: Cue) -> None:
    """Another speaker begins."""
    draft.speak_as(source_line, cue.speaker, *read_hints(draft, source_line, cue.hints))
    say(draft, source_line, cue.text)


def say(draft: Draft, source_line: int, text: str) -> None:
    """What whoever speaks says next; other brackets than [pause …] stay in the text."""
    start = 0
    for found in _BRACKETS.finditer(text):
        if _IS_PAUSE.match(found[1]):
            draft.add(source_line, text[start : found.start()])
            draft.pause(source_line, _pause_ms(draft, source_line, found[1]))
            start = found.end()
    draft.add(source_line, text[start:])


def _pause_ms(draft: Draft, source_line: int, content: str) -> float:
    pause = _PAUSE.fullmatch(content.strip())
    if pause is None:
        draft.problem(source_line, f"[{content.strip()[:40]}] is no pause; [pause 800ms] and [pause 1.5s] are.")
        return 0.0
    return float(pause[1]) * (1 if pause[2].lower().startswith("m") else 1000)


def chapter_title(line: str) -> str | None:
    """The title in a line that is [chapter Title] and nothing else."""
    brackets = _BRACKETS.fullmatch(line.strip())
    found = _CHAPTER.fullmatch(brackets[1]) if brackets else None
    return found[1] if found else None


def is_apart(line: str) -> bool:
    """Whether a line is a stage direction of its own: all of it in parentheses or brackets."""
    line = line.strip()
    return bool(re.fullmatch(r"\([^()]*\)|\[[^\[\]]*\]", line)) and not _IS_PAUSE.match(line[1:])
