"""Pieces: a line as engines can speak it. Not: whose line it is."""

from __future__ import annotations

from api.turn.sentences import SentenceBuffer, open_fence
from api.turn.spoken import spoken

PIECE_CHARS = 240
"""What talk's sentences have at most, too: a sentence of a talk waits for one piece of a render, not for a page."""


def pieces(text: str, language: str = "en") -> tuple[str, ...]:
    """What is spoken of a line, as texts of jobs; none if all of it is markup.

    A line that fits is one piece; a longer one is cut between sentences where it can be, and pieces are filled up.
    """
    found, fence = [], ""
    for part in cut(text, language):
        if said := spoken(part, fence):
            found.append(said)
        fence = open_fence(part, fence)
    return tuple(found)


def cut(text: str, language: str = "en") -> list[str]:
    """The line in pieces of at most `PIECE_CHARS`; but for white space between them nothing is lost or moved."""
    if len(text) <= PIECE_CHARS:
        return [text]
    buffer = SentenceBuffer(max_chars=PIECE_CHARS, first_clause=False, language=language)
    packed: list[str] = []
    for sentence in buffer.push(text) + buffer.flush():
        if packed and len(packed[-1]) + 1 + len(sentence) <= PIECE_CHARS:
            packed[-1] += f" {sentence}"
        else:
            packed.append(sentence)
    return packed
