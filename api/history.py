"""History: what was said and heard, as the language model is told it. Pure. Not: where it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contract.keys import HISTORY_MAXLEN

MAX_MESSAGES = 40
MAX_CHARS = 16_000
"""Of the past that goes into a prompt: about four thousand tokens."""


@dataclass(slots=True)
class Said:
    """One message of the conversation."""

    role: str
    """"user" or "assistant"."""
    text: str
    """What was said; of a reply that was cut, what was heard."""
    turn: int
    character: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {"role": self.role, "text": self.text, "turn": self.turn, "character": self.character}


class History:
    """The conversation, oldest first."""

    def __init__(self, messages: list[dict[str, Any]] | None = None) -> None:
        self.messages = [Said(**message) for message in messages or []]

    def add_user(self, turn: int, text: str) -> Said:
        """The person has said something."""
        self.messages.append(Said("user", text, turn))
        del self.messages[:-HISTORY_MAXLEN]
        return self.messages[-1]

    def set_reply(self, turn: int, text: str, character: str) -> Said | None:
        """A reply is complete, or was cut to what was heard of it; nothing heard leaves no trace."""
        self.messages = [said for said in self.messages if (said.role, said.turn) != ("assistant", turn)]
        if not text.strip():
            return None
        reply = Said("assistant", text.strip(), turn, character)
        # Turns are numbered in the order in which they were asked, and a reply belongs behind its question.
        place = next((i for i, said in enumerate(self.messages) if said.turn > turn), len(self.messages))
        self.messages.insert(place, reply)
        return reply

    def clear(self) -> None:
        """Forget everything."""
        self.messages = []

    def prompt(self, persona: str) -> list[dict[str, str]]:
        """Messages for the model: the persona, then as much of the end of the conversation as fits."""
        chosen: list[dict[str, str]] = []
        room = MAX_CHARS
        for said in reversed(self.messages[-MAX_MESSAGES:]):
            room -= len(said.text)
            if room < 0 and chosen:
                break
            chosen.append({"role": said.role, "content": said.text})
        return [{"role": "system", "content": persona}, *reversed(chosen)]

    def to_list(self) -> list[dict[str, Any]]:
        """JSON-ready form."""
        return [said.to_dict() for said in self.messages]


def heard_text(sentences: list[tuple[str, int]], sentence: int, ms: float) -> str:
    """What a listener heard who stopped `ms` into `sentence`: whole words, in proportion to the time.

    `sentences` are (text, duration in ms) in order; a duration of 0 counts as unheard.
    """
    heard = [text for text, _ in sentences[:sentence]]
    if sentence < len(sentences):
        text, duration_ms = sentences[sentence]
        share = min(1.0, ms / duration_ms) if duration_ms > 0 else 0.0
        words = text.split()
        heard.append(" ".join(words[: int(len(words) * share + 0.5)]))
    return " ".join(part for part in heard if part)
