"""Utterance: what the person said, checked before anything is done with it. Not: what is answered."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal

from api.errors import TextEmpty, TextInvalid, TextTooLong

MAX_CHARS = 4000
_LINE_CHARS = "\n\r\t"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One message of the person, typed or spoken."""

    text: str
    source: Literal["voice", "text"] = "text"
    id: str | None = None
    """The client's own name for it: the same twice is one message."""


def typed(text: str, message_id: str | None = None) -> Utterance:
    """Check a typed message.

    Raises: TextEmpty, TextTooLong, TextInvalid.
    """
    if len(text) > MAX_CHARS:
        raise TextTooLong(f"A message has at most {MAX_CHARS} characters, this one has {len(text)}.")
    if any(_is_no_text(char) for char in text):
        raise TextInvalid()
    text = unicodedata.normalize("NFC", text).strip()
    if not text:
        raise TextEmpty()
    return Utterance(text, "text", message_id)


def _is_no_text(char: str) -> bool:
    """Control characters and halves of surrogate pairs; line breaks and tabs are text."""
    return unicodedata.category(char) in {"Cc", "Cs"} and char not in _LINE_CHARS
