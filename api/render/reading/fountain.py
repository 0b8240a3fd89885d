"""Fountain screenplays: who speaks stands in capitals above what they say. Not: Markdown dialogue.

Source: the syntax at fountain.io, version 1.1. Scene headings, action and transitions are read by the narrator, if
there is one, and else skipped; sections are chapters; emphasis stays in the text.
"""

from __future__ import annotations

import re
from itertools import pairwise

from api.render.reading.cues import read_hints, say
from api.render.reading.draft import Draft
from api.render.reading.text import between, newlines, text_lines
from api.render.script import Script

_TITLE_KEY = re.compile(
    r"(title|credit|authors?|source|notes|draft date|date|contact|copyright|revision)\s*:\s*(.*)", re.IGNORECASE
)
_SCENE = re.compile(r"(?:int|ext|est|int\./ext|int/ext|i/e)[. ]|\.(?!\.)", re.IGNORECASE)
_SECTION = re.compile(r"#{1,6}\s*(.*)")
_EXTENSION = re.compile(r"\s*\([^()]*\)")
_PARENTHETICAL = re.compile(r"\(([^()]*)\)")


def read_fountain(text: str, narrator: str = "") -> Script:
    """Raises: ScriptInvalid."""
    draft = Draft()
    lines = text_lines(between(between(text, "/*", "*/", newlines), "[[", "]]", newlines))
    first = _read_title_page(draft, lines)
    is_talk, before = False, ""
    for number, (raw, after) in enumerate(pairwise([*lines, ""]), 1):
        line = raw.strip()
        if number <= first:
            continue
        # Two spaces keep a speech open across an empty line.
        if not line:
            draft.close()
            is_talk = is_talk and len(raw) >= 2
        elif is_talk:
            _talk(draft, number, line)
        elif name := _character(line, before, after):
            draft.speak_as(number, name)
            is_talk = True
        else:
            _apart(draft, number, line, narrator)
        before = line
    return draft.finish()


def looks_like_fountain(lines: list[str]) -> bool:
    """Whether a text without NAME: has scenes and people in capitals."""
    scenes = sum(bool(_SCENE.match(line)) and line[:1] != "." for line in lines)
    triples = zip(["", *lines], lines, [*lines[1:], ""], strict=False)
    people = sum(bool(_character(line.strip(), before.strip(), after)) for before, line, after in triples)
    return people >= 2 and (scenes > 0 or people * 6 > sum(bool(line.strip()) for line in lines))


def _read_title_page(draft: Draft, lines: list[str]) -> int:
    """Keep the title; returns how many lines the page has."""
    if not lines or not _TITLE_KEY.match(lines[0]):
        return 0
    key = ""
    for number, line in enumerate(lines):
        if not line.strip():
            return number
        if found := _TITLE_KEY.match(line):
            key, value = found[1].lower(), found[2]
        else:
            value = line
        if key == "title":
            draft.title = f"{draft.title} {value.strip(' *_')}".strip()
    return len(lines)


def _character(line: str, before: str, after: str) -> str:
    """Whose speech begins; empty if none does."""
    if before or not after.strip():
        return ""
    name = _EXTENSION.sub("", line.removeprefix("@").removesuffix("^")).strip()
    if line.startswith("@"):
        return name
    is_cue = name.isupper() and not _SCENE.match(line) and line[0] not in "!>#=~.[(" and not name.endswith("TO:")
    return name if is_cue and any(map(str.isalpha, name)) else ""


def _talk(draft: Draft, number: int, line: str) -> None:
    if found := _PARENTHETICAL.fullmatch(line):
        draft.speak_as(number, draft.speaker, *read_hints(draft, number, (found[1],)))
    else:
        say(draft, number, line.removeprefix("~"))


def _apart(draft: Draft, number: int, line: str, narrator: str) -> None:
    """What is not dialogue."""
    if section := _SECTION.fullmatch(line):
        draft.chapter(number, section[1])
        return
    text = line.lstrip("!>.~").rstrip("<").strip()
    if line.startswith("=") or not text:
        return
    if not narrator:
        draft.skip(number, line)
        return
    if draft.speaker != narrator:
        draft.speak_as(number, narrator)
    say(draft, number, text)
