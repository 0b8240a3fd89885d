"""Markdown dialogue: **NAME:** text, headings as chapters. Not: prose (book.py), screenplays (fountain.py)."""

from __future__ import annotations

import re

from api.render.reading.cues import Cue, chapter_title, find_cue, is_apart, say, say_cue
from api.render.reading.draft import Draft
from api.render.reading.text import between, newlines, text_lines
from api.render.script import Script

_HEADING = re.compile(r"#{1,6}\s+(.*?)[\s#]*")
_RULE = re.compile(r"([-*_=])(?:\s*\1){2,}")
_MARKS = re.compile(r"\A(?:>\s?|[-*+•]\s+)+")
_SIGN = re.compile(r"[*_]+")
_HINT = re.compile(r"[*_]+(\([^()]*\))[*_]+")


def read_markdown(text: str, narrator: str = "") -> Script:
    """`narrator`: who reads paragraphs that nobody says; without one they are skipped. Raises: ScriptInvalid."""
    draft, is_talk = Draft(), False
    without_comments = between(text, "<!--", "-->", newlines)
    lines = [_MARKS.sub("", raw.strip(), count=1) for raw in text_lines(without_comments)]
    # Where names are bold, "he said this: no" is none.
    are_bold = any(_SIGN.match(line) and find_markdown_cue(line) for line in lines)
    for number, line in enumerate(lines, 1):
        cue = find_markdown_cue(line) if _SIGN.match(line) or not are_bold else None
        if not line or _RULE.fullmatch(line):
            draft.close()
            is_talk = False
        elif heading := _HEADING.fullmatch(line):
            draft.chapter(number, heading[1])
            is_talk = False
        elif cue is not None:
            say_cue(draft, number, cue)
            is_talk = True
        elif (title := chapter_title(line)) is not None:
            draft.chapter(number, title)
        elif is_apart(_SIGN.sub("", line)):
            draft.skip(number, line)
        elif is_talk or line.lower().startswith("[pause"):
            say(draft, number, line)
        elif narrator:
            if draft.speaker != narrator:
                draft.speak_as(number, narrator)
            say(draft, number, line)
        else:
            draft.skip(number, line)
    return draft.finish()


def find_markdown_cue(line: str) -> Cue | None:
    """The cue with which a line begins, its name in bold or not."""
    head, colon, rest = line.partition(":")
    if not colon or len(head) > 200:
        return find_cue(line)
    signs = _SIGN.match(head)
    if signs:
        # **NAME:** closes behind the colon, **NAME**: before it.
        closing = rest.startswith(signs[0]) and signs[0] not in head[signs.end() :]
        rest = rest[signs.end() :] if closing else rest
    return find_cue(_SIGN.sub("", head) + colon + _HINT.sub(r"\1", rest, count=1))
