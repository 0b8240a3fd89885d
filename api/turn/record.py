"""Record: what Redis keeps of a turn, so that another process can go on with it. Not: the going on (turn.py)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from api.streams import Streams
from api.turn.replay import Position, TurnReader, recorded_sentences, sentence_field

REPLY, FAILURE, REASON = "reply", "failure", "reason"


def sentence_record(number: int, text: str, fence: str) -> dict[str, str]:
    """One sentence that the reply was cut into."""
    return {sentence_field(number): json.dumps([text, fence], ensure_ascii=False)}


def reply_record(text: str, failure: str) -> dict[str, str]:
    """The language model has ended, well or with the code of an error: every sentence is known."""
    return {REPLY: text, FAILURE: failure}


@dataclass(slots=True)
class Left:
    """A turn as the process that spoke it has left it."""

    texts: list[tuple[str, str]] = field(default_factory=list)
    """(text, open code fence) of each sentence."""
    reply: str | None = None
    """The whole reply; None if the language model had not ended."""
    failure: str = ""
    """Code of the language model's error, if that is how it ended."""
    reason: str = ""
    """Why it ended, if it had."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    """What was said of it and mirrored."""
    position: Position = (0, 0)
    """The part that listeners get next."""
    sizes: Counter[int] = field(default_factory=Counter)
    """Bytes of PCM that are there, by sentence."""

    def has_said(self, kind: str, **fields: Any) -> bool:
        """Whether a message was said."""
        return any(
            message["type"] == kind and all(message.get(name) == value for name, value in fields.items())
            for message in self.messages
        )


async def load_left(streams: Streams, session: str, turn: int, reader: TurnReader) -> Left:
    """What there is of a turn; `reader` is how far its listeners are."""
    fields = await streams.load_turn(session, turn)
    texts = [(text, fence) for text, fence in map(json.loads, recorded_sentences(fields))]
    messages = await streams.events_of_turn(session, turn)
    reply, failure, reason = fields.get(REPLY), fields.get(FAILURE, ""), fields.get(REASON, "")
    return Left(texts, reply, failure, reason, messages, reader.position, reader.sizes)
