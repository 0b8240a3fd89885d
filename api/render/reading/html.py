"""The XML and XHTML of an EPUB, read as HTML: no entity is expanded, no error stops it. Not: archives, scripts.

Python's own HTML parser takes a minute for 60 kB of `<a <a <a …`; here every character is looked at a few times.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape, unescape
from typing import Self

from api.render.reading.text import between

_HEADINGS = {"h1", "h2", "h3"}
_BLOCKS = {
    *("p", "div", "section", "article", "li", "dt", "dd", "blockquote", "figcaption", "tr", "td", "th", "body", "hr"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "header", "footer", "pre", "br", "aside", "main"),
}
_UNHEARD = {"head", "script", "style", "svg", "math", "rt", "rp", "nav", "audio", "video", "object"}
_NOTES = ("noteref", "footnote", "endnote", "pagebreak")
_VOID = {"br", "hr", "img", "meta", "link", "input", "col", "source", "wbr", "area", "base", "embed", "track"}
_RAW = {"script", "style"}
"""What is in these is no markup."""
Attributes = list[tuple[str, str]]

_TOKEN = re.compile(r"<(/?)([A-Za-z][^\s<>/]{0,63})([^<>]{0,4096})>|<[!?][^<>]{0,4096}>|[^<]+|<")
_ATTRIBUTE = re.compile(r"""([\w:.-]{1,64})(?:\s{0,9}=\s{0,9}("[^"]*"|'[^']*'|[^\s"']+))?""")


class _Reader:
    """Is told tags and words, one after the other."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a whole file."""
        reader = cls()
        text = between(between(text, "<!--", "-->", lambda _: ""), "<![CDATA[", "]]>", escape)
        at, raw = 0, ""
        while at < len(text):
            if raw:
                end = re.compile(f"</{raw}", re.IGNORECASE).search(text, at)
                at, raw = end.start() if end else len(text), ""
                continue
            token = _TOKEN.match(text, at)
            assert token is not None  # noqa: S101 - it matches any character
            at = token.end()
            if token[2]:
                reader.tell(token[1] == "/", token[2].lower(), token[3])
                raw = token[2].lower() if token[2].lower() in _RAW and not token[1] and token[3][-1:] != "/" else ""
            elif token[0][0] != "<" or token[0] == "<":
                reader.handle_data(unescape(token[0]))
        reader.close()
        return reader

    def tell(self, is_end: bool, tag: str, attributes: str) -> None:
        """Hand on a tag; one that closes itself is both."""
        if is_end:
            self.handle_endtag(tag)
            return
        given = [(name.lower(), unescape(value.strip("\"'"))) for name, value in _ATTRIBUTE.findall(attributes)]
        self.handle_starttag(tag, given)
        if attributes.endswith("/"):
            self.handle_endtag(tag)

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        """A tag opens."""

    def handle_endtag(self, tag: str) -> None:
        """A tag closes."""

    def handle_data(self, data: str) -> None:
        """Words."""

    def close(self) -> None:
        """That was all."""


class Blocks(_Reader):
    """Headings and paragraphs of a chapter, in order."""

    def __init__(self) -> None:
        self.found: list[tuple[str, bool]] = []
        """Text, and whether it is a heading."""
        self._words: list[str] = []
        self._heading = ""
        self._unheard: list[str] = []
        """Tags that are open and not read out, outermost first."""

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        """A block ends where another begins."""
        if self._unheard:
            if tag == self._unheard[0] and tag not in _VOID:
                self._unheard.append(tag)
        elif tag not in _VOID and (tag in _UNHEARD or _is_note(attrs)):
            self._unheard.append(tag)
        elif tag in _BLOCKS and not (self._heading and tag == "br"):
            self._end_block()
            self._heading = tag if tag in _HEADINGS else ""
        elif tag == "br":
            self._words.append(" ")

    def handle_endtag(self, tag: str) -> None:
        """It also ends where it is closed."""
        if self._unheard:
            if tag == self._unheard[0]:
                self._unheard.pop()
        elif tag in _BLOCKS and not (self._heading and tag not in _HEADINGS):
            self._end_block()

    def handle_data(self, data: str) -> None:
        """Words."""
        if not self._unheard:
            self._words.append(data)

    def close(self) -> None:
        """What is left is a block, too."""
        self._end_block()

    def _end_block(self) -> None:
        text = " ".join("".join(self._words).split())
        if text:
            self.found.append((text, bool(self._heading)))
        self._words, self._heading = [], ""


@dataclass(frozen=True, slots=True)
class File:
    """What a package says of one of its files."""

    href: str
    is_contents: bool


class Package(_Reader):
    """container.xml and the package it names: which files there are, in which order they are read."""

    def __init__(self) -> None:
        self.root, self.title = "", ""
        self.files: dict[str, File] = {}
        self.spine: list[str] = []
        self._is_title = False

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        """Everything is in attributes but the title."""
        tag, given = tag.rpartition(":")[2], dict(attrs)
        self._is_title = tag == "title" and not self.title
        if tag == "rootfile" and not self.root:
            self.root = given.get("full-path", "")
        elif tag == "item" and given.get("href"):
            is_contents = "nav" in given.get("properties", "").split() or "ncx" in given.get("media-type", "")
            self.files[given.get("id", "")] = File(given["href"], is_contents)
        elif tag == "itemref" and given.get("linear") != "no":
            self.spine.append(given.get("idref", ""))

    def handle_endtag(self, tag: str) -> None:
        """The title ends."""
        self._is_title = False

    def handle_data(self, data: str) -> None:
        """The title, and nothing else."""
        if self._is_title:
            self.title += data


class Contents(_Reader):
    """A table of contents, of EPUB 2 (ncx) or 3 (nav): titles of files."""

    def __init__(self) -> None:
        self.titles: list[tuple[str, str]] = []
        self._href, self._words = "", list[str]()

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        """nav has links around titles, ncx titles before addresses."""
        given = dict(attrs)
        if tag == "a":
            self._href, self._words = given.get("href", ""), []
        elif tag == "navlabel":
            self._words = []
        elif tag == "content":
            self._keep(given.get("src", ""))

    def handle_endtag(self, tag: str) -> None:
        """A link is complete."""
        if tag == "a":
            self._keep(self._href)

    def handle_data(self, data: str) -> None:
        """Words of a title."""
        self._words.append(data)

    def _keep(self, href: str) -> None:
        if href and (title := " ".join("".join(self._words).split())):
            self.titles.append((href, title))
        self._words = []


def _is_note(attrs: Attributes) -> bool:
    """Whether it is a footnote, its mark, a page's number, or hidden."""
    given = dict(attrs)
    kind = f"{given.get('epub:type', '')} {given.get('role', '')}"
    return "hidden" in given or given.get("aria-hidden") == "true" or any(note in kind for note in _NOTES)
