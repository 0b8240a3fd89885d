"""Kinds: which form a script has, and reading it. Not: how any of them is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from api.errors import FormatUnknown, ScriptEmpty
from api.render.reading.book import read_book
from api.render.reading.captions import read_captions
from api.render.reading.cues import find_cue
from api.render.reading.draft import with_title
from api.render.reading.epub import read_epub
from api.render.reading.fountain import looks_like_fountain, read_fountain
from api.render.reading.listed import read_json, read_list
from api.render.reading.markdown import find_markdown_cue, read_markdown
from api.render.reading.plain import read_plain
from api.render.reading.text import decode, text_lines
from api.render.script import Script

_READERS: dict[str, Callable[[str, str], Script]] = {
    "plain": lambda text, _: read_plain(text),
    "list": lambda text, _: read_json(text),
    "markdown": read_markdown,
    "fountain": read_fountain,
    "captions": read_captions,
    "book": read_book,
    "markdown_book": lambda text, narrator: read_book(text, narrator, is_markdown=True),
}
KINDS = (*_READERS, "epub")
_EXTENSIONS = {
    "fountain": "fountain",
    "spmd": "fountain",
    "srt": "captions",
    "vtt": "captions",
    "json": "list",
    "jsonl": "list",
    "ndjson": "list",
    "epub": "epub",
}
_MARKDOWN = {"md", "markdown"}
_TIMES = re.compile(r"^.*\d\d:\d\d[,.]\d{1,3} *--> *\S", re.MULTILINE)
_CUED = 0.3
"""A play has a name on at least so many of its lines that are neither blank nor comments."""
_LOOK_CHARS = 100_000


def read_script(
    data: bytes | str | list[Any], name: str = "", kind: str = "", narrator: str = "", encoding: str = ""
) -> Script:
    """A file's bytes, a text, or a list of lines as JSON has them.

    `name`: the file's, whose ending tells the kind and whose stem becomes the title; `kind`: one of `KINDS`, if not
    found out; `narrator`: who reads what nobody says (scene headings and action are skipped without one).
    Raises: ScriptInvalid with everything that is wrong, ScriptEmpty, ScriptTooLong, FormatUnknown.
    """
    if kind and kind not in KINDS:
        raise FormatUnknown(f"Known kinds of script are {', '.join(KINDS)}.")
    title = PurePath(name.replace("\\", "/")).stem
    if isinstance(data, list):
        return with_title(read_list(data), title)
    extension = PurePath(name).suffix.lstrip(".").lower()
    if isinstance(data, bytes):
        if kind == "epub" or (not kind and (extension == "epub" or _is_epub(data))):
            return with_title(read_epub(data, narrator), title)
        data = decode(data, encoding)
    data = data.removeprefix("\ufeff")
    if not data.strip():
        raise ScriptEmpty
    return with_title(_READERS[kind or guess_kind(data, extension)](data, narrator), title)


def guess_kind(text: str, extension: str = "") -> str:
    """The kind of a text that is no EPUB."""
    if extension in _EXTENSIONS:
        return _EXTENSIONS[extension]
    start = text[:_LOOK_CHARS]
    lines = text_lines(start)
    if extension in _MARKDOWN:
        return "markdown" if _share(lines, find_markdown_cue) >= _CUED / 3 else "markdown_book"
    if re.match(r"\s*[\[{]\s*[{\"\]}]", start):
        return "list"
    if _TIMES.search(start) and not _first_is_cue(lines):
        return "captions"
    if _first_is_cue(lines) or _share(lines, find_cue) >= _CUED:
        is_screenplay = re.match(r"\s*title:", start, re.IGNORECASE) and looks_like_fountain(lines)
        return "fountain" if is_screenplay else "plain"
    if any(line.lstrip().startswith(("**", "__")) and find_markdown_cue(line.strip()) for line in lines):
        return "markdown"
    if looks_like_fountain(lines):
        return "fountain"
    return "book" if any(line.strip() and line.lstrip()[0] not in "#[" for line in lines) else "plain"


def _first_is_cue(lines: list[str]) -> bool:
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith(("#", "["))), "")
    return find_cue(first) is not None or first.lower().startswith("[speaker")


def _share(lines: list[str], find: Callable[[str], object]) -> float:
    said = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return sum(find(line) is not None for line in said) / max(1, len(said))


def _is_epub(data: bytes) -> bool:
    # The name of its first file, which other archives do not have.
    return data.startswith(b"PK") and data[30:38] == b"mimetype"
