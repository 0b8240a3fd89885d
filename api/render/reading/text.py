"""Bytes → text, or a clear word why they are none. Not: what the text says."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from api.errors import ScriptInvalid, ScriptTooLong
from api.render.script import MAX_BYTES

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KNOWN = (
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "an archive or an office document"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"RIFF", "a sound file"),
    (b"OggS", "a sound file"),
    (b"fLaC", "a sound file"),
    (b"ID3", "a sound file"),
    (b"\x1f\x8b", "an archive"),
    (b"\x7fELF", "a program"),
    (b"{\\rtf", "an RTF document"),
)
_NEWLINE = re.compile(r"\r\n|[\n\r\u2028\u2029\x0c\x85]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")


def decode(data: bytes, encoding: str = "") -> str:
    """`encoding`: a name that Python knows; without one UTF-8, or what the file's first bytes say.

    Raises: ScriptInvalid if it is no text or in another encoding, ScriptTooLong.
    """
    if len(data) > MAX_BYTES:
        raise ScriptTooLong(f"A script may have at most {MAX_BYTES >> 20} MiB.")
    for start, what in _KNOWN:
        if data.startswith(start):
            raise ScriptInvalid(f"This is {what}, not a script. Save it as plain text and try again.")
    chosen = encoding or next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(chosen)
    except LookupError as error:
        raise ScriptInvalid(f"There is no encoding {chosen[:40]!r}.") from error
    except UnicodeError as error:
        raise ScriptInvalid(_what_it_is_not(data, chosen, error)) from error
    # A script has none of these; a program or a sound has many, and the one NUL is reason enough.
    if "\x00" in text or len(_CONTROLS.findall(text)) > len(text) // 50:
        raise ScriptInvalid("This is no text file.")
    return _CONTROLS.sub(" ", text.removeprefix("\ufeff"))


def text_lines(text: str) -> list[str]:
    """Lines as an editor counts them, whichever newline the file has."""
    return _NEWLINE.split(text)


def between(text: str, opening: str, closing: str, instead: Callable[[str], str]) -> str:
    """The text with something instead of what stands between marks, and of the marks; one left open is just text.

    Unlike a regular expression, never slower for a text of nothing but opening marks.
    """
    kept, at = list[str](), 0
    while (start := text.find(opening, at)) >= 0 and (end := text.find(closing, start + len(opening))) >= 0:
        kept += [text[at:start], instead(text[start + len(opening) : end])]
        at = end + len(closing)
    return "".join([*kept, text[at:]])


def newlines(text: str) -> str:
    """Nothing of a text but its newlines, so that lines keep their numbers."""
    return "\n" * text.count("\n")


def _what_it_is_not(data: bytes, encoding: str, error: UnicodeError) -> str:
    if not isinstance(error, UnicodeDecodeError) or b"\x00" in data:
        return "This is no text file."
    line = len(_NEWLINE.split(data[: error.start].decode(encoding, "replace")))
    name = encoding.removesuffix("-sig").upper()
    return f"Line {line} is not {name}. Save the file as UTF-8, or name its encoding."
