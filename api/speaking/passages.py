"""Pieces: a whole text, cut into what is spoken at once, each with its manner, and the pauses between. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from api.speaking.lexicon import Lexicon
from api.speaking.markup import MAX_FACTOR, MAX_PITCH, MIN_FACTOR, MIN_PITCH, Passage, passages
from api.turn.sentences import SentenceBuffer
from api.turn.spoken import spoken
from contract.voice import Voice


@dataclass(frozen=True, slots=True)
class Piece:
    """One sentence to be spoken, or silence."""

    text: str
    """As an engine should see it; empty for silence."""
    voice: Voice
    pause_ms: int = 0


def text_to_pieces(text: str, voice: Voice, lexicon: Lexicon) -> list[Piece]:
    """All pieces of a text, in order; none if nothing in it can be said."""
    pieces: list[Piece] = []
    for passage in passages(text):
        pieces += [Piece("", voice, passage.pause_ms)] if passage.pause_ms else _cut(passage, voice, lexicon)
    return pieces if any(piece.text for piece in pieces) else []


def sentences_to_pieces(sentences: Iterable[str], voice: Voice, lexicon: Lexicon) -> list[Piece]:
    """The same of sentences that are cut already, as they come while a text is being written."""
    return [piece for sentence in sentences for piece in text_to_pieces(sentence, voice, lexicon)]


def _cut(passage: Passage, voice: Voice, lexicon: Lexicon) -> list[Piece]:
    buffer = SentenceBuffer()
    manner = replace(
        voice,
        rate=min(MAX_FACTOR, max(MIN_FACTOR, voice.rate * passage.rate)),
        pitch=min(MAX_PITCH, max(MIN_PITCH, voice.pitch * passage.pitch)),
    )
    said = (spoken(sentence) for sentence in [*buffer.push(passage.text), *buffer.flush()])
    return [Piece(lexicon.say(text, voice.name), manner) for text in said if text]
