"""EPUB: the book in it. Not: pictures, styles, books that are locked.

The file is a stranger's: nothing of it is written to the disk, no entity of its XML is expanded (an HTML parser reads
all of it), and what it unpacks to is counted while it is unpacked.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from urllib.parse import unquote

from api.errors import ScriptInvalid, ScriptTooLong
from api.render.reading.book import Block, say_blocks
from api.render.reading.draft import Draft
from api.render.reading.html import Blocks, Contents, Package
from api.render.script import Script

MAX_BYTES = 64 * 1024 * 1024
MAX_ENTRIES = 20_000
MAX_ENTRY_BYTES = 16 * 1024 * 1024
MAX_TEXT_BYTES = 64 * 1024 * 1024
"""Of everything that is read out of it."""
_NO_EPUB = "This is no EPUB that can be read"


def read_epub(data: bytes, narrator: str = "") -> Script:
    """`source_line` counts paragraphs. Raises: ScriptInvalid, ScriptTooLong."""
    if len(data) > MAX_BYTES:
        raise ScriptTooLong(f"An EPUB may have at most {MAX_BYTES >> 20} MiB.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read(_Archive(archive), narrator)
    # What zipfile raises on archives that are broken, locked or packed in ways it does not know.
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ScriptInvalid(f"{_NO_EPUB}: the archive is broken or locked.") from error


class _Archive:
    """Files of an archive, as long as there are not too many bytes of them."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive, self._left = archive, MAX_TEXT_BYTES
        if len(archive.infolist()) > MAX_ENTRIES:
            raise ScriptTooLong(f"An EPUB may hold at most {MAX_ENTRIES:,} files.")
        self._names = {info.filename: info for info in archive.infolist()}

    def find(self, pattern: str) -> str:
        """Name of the first file that ends so; empty if none does."""
        return next((name for name in self._names if name.lower().endswith(pattern)), "")

    def read(self, name: str) -> str:
        """Text of a file; empty if there is none."""
        if (info := self._names.get(name)) is None:
            return ""
        most = min(MAX_ENTRY_BYTES, self._left)
        with self._archive.open(info) as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise ScriptTooLong("The text of this EPUB is too long.")
        self._left -= len(data)
        return _decode(data)


def _read(archive: _Archive, narrator: str) -> Script:
    root = Package.of(archive.read("META-INF/container.xml")).root or archive.find(".opf")
    package = Package.of(archive.read(root))
    folder = posixpath.dirname(root)
    spine = [_resolve(folder, package.files[name].href) for name in package.spine if name in package.files]
    if not spine:
        raise ScriptInvalid(f"{_NO_EPUB}: it does not say what is in it.")
    contents = [_resolve(folder, file.href) for file in package.files.values() if file.is_contents]
    titles: dict[str, str] = {}
    for path in contents:
        for href, title in Contents.of(archive.read(path)).titles:
            titles.setdefault(_resolve(posixpath.dirname(path), href), title)
    draft = Draft()
    draft.title = package.title
    paths = [path for path in dict.fromkeys(spine) if path not in contents]
    say_blocks(draft, _blocks(archive, paths, titles), narrator)
    return draft.finish()


def _blocks(archive: _Archive, paths: list[str], titles: dict[str, str]) -> Iterator[Block]:
    number = 0
    for path in paths:
        found = Blocks.of(archive.read(path)).found
        title = titles.get(path, "")
        if title and not any(is_heading for _, is_heading in found):
            # Its heading is set as a paragraph; "1" is one, too.
            is_said = bool(found) and _letters(found[0][0]) == _letters(title)
            found = [(title, True), *(found[1:] if is_said else found)]
        for text, is_heading in found:
            number += 1
            yield Block(number, text, is_heading)


def _resolve(folder: str, href: str) -> str:
    path = unquote(href.partition("#")[0])
    return posixpath.normpath(posixpath.join(folder, path)).lstrip("/")


def _letters(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())


def _decode(data: bytes) -> str:
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return data.decode("utf-16", "replace")
    declared = re.search(rb"""(?:encoding|charset)\s*=\s*["']?([A-Za-z0-9._-]{1,20})""", data[:512])
    try:
        return data.decode(declared[1].decode() if declared else "utf-8", "replace").removeprefix("\ufeff")
    except LookupError:
        return data.decode("utf-8", "replace")
