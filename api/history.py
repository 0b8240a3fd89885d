"""History: what was said and heard, as the language model is told it. Pure. Not: where it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from contract.keys import HISTORY_CHARS, HISTORY_MAXLEN

MAX_MESSAGES = 80
MAX_TOKENS = 4000
"""Of the past that goes into a prompt: every small model has room for it, and a first token is not kept waiting."""
MESSAGE_TOKENS = 4
"""What a message costs beside its words."""
BYTES_PER_TOKEN = 3
"""Fewer than the usual four of English, so that no model is told too much; about right where a sign has three."""

MS_PER_CHAR = 65
"""Of speech, where nothing better is known: about 150 words a minute."""


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

    def as_told(self, speaker: str) -> dict[str, str]:
        """As a model is told it that speaks as `speaker`; "": as whoever spoke."""
        if self.role == "assistant" and self.character and speaker and self.character != speaker:
            return {"role": "user", "content": f"{self.character}: {self.text}"}
        return {"role": self.role, "content": self.text}


class History:
    """The conversation, oldest first."""

    def __init__(self, messages: list[dict[str, Any]] | None = None) -> None:
        self.messages = [Said(**message) for message in messages or []]

    def add_user(self, turn: int, text: str) -> Said:
        """The person has said something."""
        self.messages.append(Said("user", text, turn))
        self._bound()
        return self.messages[-1]

    def set_reply(self, turn: int, *stretches: tuple[str, str]) -> list[Said]:
        """A reply is complete, or was cut to what was heard of it; nothing heard leaves no trace.

        `stretches`: character and text, in the order in which they were said.
        """
        self.messages = [said for said in self.messages if (said.role, said.turn) != ("assistant", turn)]
        reply = [Said("assistant", text.strip(), turn, character) for character, text in stretches if text.strip()]
        # Turns are numbered in the order in which they were asked, and a reply belongs behind its question.
        place = next((i for i, said in enumerate(self.messages) if said.turn > turn), len(self.messages))
        self.messages[place:place] = reply
        self._bound()
        return reply

    def _bound(self) -> None:
        del self.messages[:-HISTORY_MAXLEN]
        room, kept = HISTORY_CHARS, 0
        for said in reversed(self.messages):
            room -= len(said.text)
            if room < 0:
                break
            kept += 1
        del self.messages[: len(self.messages) - max(1, kept)]

    def clear(self) -> None:
        """Forget everything."""
        self.messages = []

    def prompt(
        self, persona: str, speaker: str = "", turn: int | None = None, reply: Sequence[Said] = ()
    ) -> list[dict[str, str]]:
        """Messages for the model: the persona, then as much of the end of the conversation as fits.

        What is older is left out, whole messages of it; the last one is always there. With `speaker`, as that one
        sees it: what other characters said begins with their name. `turn`: nothing of later ones; `reply`: what was
        said in it before.
        """
        chosen: list[dict[str, str]] = []
        room = MAX_TOKENS
        said = [one for one in self.messages[-MAX_MESSAGES:] if turn is None or one.turn <= turn]
        for one in reversed([*said, *reply]):
            message = one.as_told(speaker)
            room -= count_tokens(message["content"])
            if room < 0 and chosen:
                break
            chosen.append(message)
        return [{"role": "system", "content": persona}, *reversed(chosen)]

    def to_list(self) -> list[dict[str, Any]]:
        """JSON-ready form."""
        return [said.to_dict() for said in self.messages]


def count_tokens(text: str) -> int:
    """About how many tokens a message costs, whichever model is asked."""
    return MESSAGE_TOKENS + len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN


class Spoken(NamedTuple):
    """One sentence as it was spoken."""

    text: str
    duration_ms: int
    restart_ms: int = 0
    """How much of that was said by attempts that were given up, before it was said from its start."""
    stretch: int = 0
    """Which speaker's of the turn, counted from 0."""
    is_whole: bool = True
    """Whether it was made to its end; else `duration_ms` is what there is of it."""


def heard_sentences(sentences: list[Spoken], sentence: int, ms: float) -> list[Spoken]:
    """What a listener heard who stopped `ms` into `sentence`: whole words, in proportion to the time.

    Of a sentence that was started again only the last start counts; a duration of 0 counts as unheard. One that is
    still being made is taken for as long as the others let expect.
    """
    heard = [spoken for spoken in sentences[:sentence] if spoken.text]
    if sentence < len(sentences):
        text, duration_ms, restart_ms, stretch, is_whole = sentences[sentence]
        if restart_ms < duration_ms:  # else nothing came of the restart, and what counts is what there was
            ms, duration_ms = max(0.0, ms - restart_ms), duration_ms - restart_ms
        if duration_ms and not is_whole:
            duration_ms = max(duration_ms, _expected_ms(text, [one for one in sentences if one.stretch == stretch]))
        share = min(1.0, ms / duration_ms) if duration_ms > 0 else 0.0
        words = text.split()
        if part := " ".join(words[: int(len(words) * share + 0.5)]):
            heard.append(Spoken(part, int(duration_ms * share), stretch=stretch))
    return heard


def _expected_ms(text: str, others: list[Spoken]) -> int:
    whole = [one for one in others if one.is_whole and one.duration_ms]
    made_ms, chars = sum(one.duration_ms - one.restart_ms for one in whole), sum(len(one.text) for one in whole)
    return round(len(text) * (made_ms / chars if made_ms > 0 and chars else MS_PER_CHAR))


def heard_text(sentences: list[Spoken], sentence: int, ms: float) -> str:
    """The same as one text."""
    return " ".join(spoken.text for spoken in heard_sentences(sentences, sentence, ms))
