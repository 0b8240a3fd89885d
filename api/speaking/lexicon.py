"""Lexicon: words that are said otherwise than they are written, for every voice or for one. Not: markup, engines."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

MAX_BYTES = 1024 * 1024
MAX_WORDS = 5_000
MAX_CHARS = 200
EVERYBODY = "*"


class LexiconInvalid(ValueError):
    """A file is no lexicon; one line says why."""


class Lexicon:
    """Voice → word → what is said for it. Whole words; one written in small letters stands for every spelling of it."""

    def __init__(self, words: Mapping[str, Mapping[str, str]] | None = None) -> None:
        """`words` of the voice `*` count for every voice; a voice's own go before them.

        Raises: LexiconInvalid.
        """
        entries = {voice: dict(said) for voice, said in (words or {}).items()}
        if sum(len(said) for said in entries.values()) > MAX_WORDS:
            raise LexiconInvalid(f"a lexicon has at most {MAX_WORDS} words")
        for word, said in ((word, said) for own in entries.values() for word, said in own.items()):
            if not word.strip() or not said.strip() or max(len(word), len(said)) > MAX_CHARS:
                raise LexiconInvalid(f"a word and what is said for it have 1 to {MAX_CHARS} characters")
        self._everybody = entries.pop(EVERYBODY, {})
        self._own = entries
        self._compiled: dict[str, tuple[re.Pattern[str], dict[str, str]] | None] = {}

    def say(self, text: str, voice: str) -> str:
        """`text` as that voice shall read it. What is put in is not looked up again."""
        if (compiled := self._compile(voice)) is None:
            return text
        pattern, words = compiled
        return pattern.sub(lambda found: words.get(found[0]) or words.get(found[0].lower()) or found[0], text)

    def _compile(self, voice: str) -> tuple[re.Pattern[str], dict[str, str]] | None:
        key = voice if voice in self._own else EVERYBODY
        if key not in self._compiled:
            words = {**self._everybody, **self._own.get(key, {})}
            # The longest first, so that "New York Times" is found before "New York".
            choices = "|".join(
                f"(?i:{re.escape(word)})" if word == word.lower() else re.escape(word)
                for word in sorted(words, key=lambda word: (-len(word), word))
            )
            self._compiled[key] = (re.compile(rf"(?<!\w)(?:{choices})(?!\w)"), words) if words else None
        return self._compiled[key]


def read_lexicon(path: Path) -> Lexicon:
    """A JSON file: `{"*": {"SQL": "sequel"}, "en-gb+m3": {"schedule": "shedule"}}`.

    Raises: LexiconInvalid, one line.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise LexiconInvalid(f"{path} is too large for a lexicon")
        words = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        if isinstance(error, LexiconInvalid):
            raise
        raise LexiconInvalid(f"{path} cannot be read as JSON: {error}") from error
    if not _is_lexicon(words):
        raise LexiconInvalid(f'{path}: expected {{"voice or *": {{"word": "what is said"}}}}')
    return Lexicon(words)


def _is_lexicon(words: object) -> bool:
    return isinstance(words, dict) and all(
        isinstance(own, dict) and all(isinstance(said, str) for said in own.values()) for own in words.values()
    )


def open_lexicon(path: str) -> Lexicon:
    """The one that the settings name, or an empty one. Raises: LexiconInvalid, one line."""
    return read_lexicon(Path(path).expanduser()) if path else Lexicon()
