"""A book: chapters, and paragraphs as lines of a narrator. Not: dialogue, EPUBs (epub.py)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from api.render.reading.draft import Draft
from api.render.reading.text import between, newlines, text_lines
from api.render.script import NARRATOR, Script

CHAPTER_PAUSE_MS, HEADING_PAUSE_MS = 1_500, 800
"""Before a heading and behind it."""
HEADING_CHARS, HEADING_LINES = 120, 3
SPLIT_CHARS = 10_000
"""Longer paragraphs are cut behind a sentence: what has no paragraphs need not be one line."""

_NUMBER = (
    r"(?:\d{1,4}|[ivxlcdm]{1,8}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|first|second|third|last)"
)
_HEADING = re.compile(
    rf"(?:(?:chapter|book|part|volume|act|scene|letter|kapitel|teil|buch|chapitre|partie|livre|cap[ií]tulo|parte|libro"
    rf"|capitolo|hoofdstuk|rozdzia[lł]|глава|часть)\s+{_NUMBER}\b.*"
    rf"|(?:prologue|epilogue|preface|foreword|introduction|afterword|prolog|epilog|vorwort|nachwort|einleitung"
    rf"|pr[oó]logo|ep[ií]logo|prefacio|préface|prólogo)\.?"
    rf"|第[0-9一二三四五六七八九十百千〇零两]{{1,8}}[章回节節部卷].*|[IVXLC]{{1,8}}\.?|\d{{1,3}}\.?)",
    re.IGNORECASE,
)
_ENDS = re.compile(r"[.!?…。！？:;\"”’»)]\s*$")
_MARKDOWN_HEADING = re.compile(r"(#{1,6})\s+(.*?)[\s#]*")
_RULE = re.compile(r"([-*_=#~])(?:\s*\1){2,}")
_UNDERLINE = re.compile(r"(=+|-+)")
_ITEM = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s+")
_GUTENBERG = re.compile(r"\*\*\* ?(START|END) OF (?:THE|THIS) PROJECT GUTENBERG", re.IGNORECASE)
_SENTENCE = re.compile(r"[.!?…]+[\"”’»)]*\s|[。！？]")


class Block(NamedTuple):
    """A paragraph, or a heading."""

    source_line: int
    text: str
    is_heading: bool = False


def read_book(text: str, narrator: str = "", *, is_markdown: bool = False) -> Script:
    """Raises: ScriptInvalid."""
    draft = Draft()
    if is_markdown:
        text = between(text, "<!--", "-->", newlines)
    lines, first = _without_licence(draft, text_lines(text))
    found = _markdown_blocks(lines) if is_markdown else _plain_blocks(lines)
    say_blocks(draft, (block._replace(source_line=block.source_line + first) for block in found), narrator)
    return draft.finish()


def say_blocks(draft: Draft, blocks: Iterable[Block], narrator: str = "") -> None:
    """Headings begin chapters, and are read out like all the rest."""
    draft.speak_as(1, narrator or NARRATOR)
    has_begun = False
    for block in blocks:
        if block.is_heading:
            draft.chapter(block.source_line, block.text)
            if has_begun:
                draft.pause(block.source_line, max(0, CHAPTER_PAUSE_MS - draft.pause_ms))
        for piece in _bounded(block.text):
            draft.close()
            draft.add(block.source_line, piece)
        if block.is_heading:
            draft.pause(block.source_line, max(0, HEADING_PAUSE_MS - draft.pause_ms))
        has_begun = True


def _plain_blocks(lines: list[str]) -> Iterator[Block]:
    is_spaced = any(not line.strip() for line in lines[:-1])
    is_wrapped = sum(len(line) > HEADING_CHARS for line in lines) * 2 < sum(bool(line.strip()) for line in lines)
    start, held = 0, list[str]()
    for number, line in enumerate([*lines, ""], 1):
        if line.strip():
            start = start if held else number
            held.append(line.strip())
        # Where no blank line divides paragraphs, the end of a sentence does; unwrapped, every line is one.
        ends = not line.strip() or not is_wrapped or (not is_spaced and _ENDS.search(line)) or _is_heading(held)
        if held and ends and not (_is_heading(held) and line.strip() and is_spaced and len(held) < HEADING_LINES):
            yield Block(start, " ".join(held), _is_heading(held))
            held = []


def _is_heading(held: list[str]) -> bool:
    """Whether these lines, alone between blank ones, are the name of a chapter."""
    return (
        0 < len(held) <= HEADING_LINES
        and sum(map(len, held)) <= HEADING_CHARS
        and _HEADING.fullmatch(held[0]) is not None
    )


def _markdown_blocks(lines: list[str]) -> Iterator[Block]:
    start, held, fence = 0, list[str](), ""
    for number, raw in enumerate([*lines, ""], 1):
        line = raw.strip()
        if line[:3] in {"```", "~~~"} and (not fence or line.startswith(fence)):
            fence = "" if fence else line[:3]
        heading = None if fence else _MARKDOWN_HEADING.fullmatch(line)
        is_underline = len(held) == 1 and not fence and _UNDERLINE.fullmatch(line) is not None
        is_item = not fence and _ITEM.match(line) is not None
        if held and not fence and (not line or heading or is_underline or is_item or _RULE.fullmatch(line)):
            yield Block(start, "\n".join(held), is_underline)
            held = []
        if heading:
            yield Block(number, heading[2], True)
        elif line and not is_underline and (fence or not _RULE.fullmatch(line)):
            start = start if held else number
            held.append(line)
    if held:
        yield Block(start, "\n".join(held))


def _without_licence(draft: Draft, lines: list[str]) -> tuple[list[str], int]:
    """Project Gutenberg's texts without what is around the book; and how many lines that is before it."""
    marks = [(number, found[1].upper()) for number, line in enumerate(lines) if (found := _GUTENBERG.search(line))]
    first = next((number + 1 for number, kind in marks if kind == "START"), 0)
    last = next((number for number, kind in marks if kind == "END" and number >= first), len(lines))
    if first:
        draft.skip(1, f"{first} lines before the book")
    if last < len(lines):
        draft.skip(last + 1, f"{len(lines) - last} lines behind the book")
    return lines[first:last], first


def _bounded(text: str) -> Iterator[str]:
    while len(text) > SPLIT_CHARS:
        ends = [found.end() for found in _SENTENCE.finditer(text, SPLIT_CHARS // 2, SPLIT_CHARS)]
        end = ends[-1] if ends else text.rfind(" ", SPLIT_CHARS // 2, SPLIT_CHARS) + 1 or SPLIT_CHARS
        yield text[:end]
        text = text[end:]
    yield text
