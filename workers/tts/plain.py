"""What of a text an engine is given: words and marks, never markup or commands. Not: what our own markup means."""

from __future__ import annotations

import re
import unicodedata

from contract.errors import TextUnspeakable

MAX_CHARS = 10_000
"""About ten minutes; it bounds what one sentence may hold in memory."""
UNSPOKEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\ufffe\uffff]")
"""Commands to espeak start with \\x01, private use holds its markers, surrogates are no text."""
PHONEME_BRACKETS = re.compile(r"\[(?=\[)|\](?=\])")
"""piper and others take `[[…]]` for phonemes."""

CLAUSE_END = re.compile(r"(?<=[,;:.!?…—、。，；：！？])\s+")
MIN_CLAUSE_CHARS, MAX_CLAUSE_CHARS = 10, 200
"""Shorter ones sound torn off; longer ones make the listener wait."""


def plain_text(text: str) -> str:
    """`text` without what a phonemizer would obey, on one line.

    Raises: TextUnspeakable if it is too long, or holds neither letter nor digit.
    """
    if len(text) > MAX_CHARS:
        raise TextUnspeakable(f"A sentence may have at most {MAX_CHARS} characters.")
    spoken = PHONEME_BRACKETS.sub(r"\g<0> ", UNSPOKEN.sub(" ", text))
    if not _has_words(spoken):
        raise TextUnspeakable
    return " ".join(unicodedata.normalize("NFC", spoken).split())


def pieces(text: str, most: int) -> list[str]:
    """`text` cut after words into pieces of at most `most` characters; a longer word is cut where it must be."""
    cut: list[str] = []
    while len(text) > most:
        end = text.rfind(" ", 1, most + 1)
        end = end if end > 0 else most
        cut.append(text[:end].strip())
        text = text[end:].strip()
    return [piece for piece in (*cut, text) if piece]


def clauses(text: str) -> list[str]:
    """Plain `text` in pieces that can be spoken one after the other without sounding torn."""
    cut: list[str] = []
    for clause in CLAUSE_END.split(text):
        if cut and len(cut[-1]) < MIN_CLAUSE_CHARS:
            cut[-1] = f"{cut[-1]} {clause}"
        else:
            cut.append(clause)
    return [piece for clause in cut for piece in pieces(clause, MAX_CLAUSE_CHARS) if _has_words(piece)]


def _has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)
