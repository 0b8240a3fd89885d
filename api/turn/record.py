"""Record: what Redis keeps of a turn, so that another process can go on with it. Not: the going on (turn.py)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, NamedTuple

from api.characters import Character
from api.ensemble.stretch import Stretch
from api.streams import Streams
from api.turn.replay import Position, TurnReader, recorded_sentences, sentence_field
from api.turn.utterance import Utterance

SPEAKERS, STRETCHES, FAILURE, REASON = "speakers", "stretches", "failure", "reason"


def said_record(said: Utterance, character: Character | None, *, is_patient: bool) -> str:
    """What the person said, and who answers, if that is known."""
    fields = {"text": said.text, "source": said.source, "id": said.id, "patient": is_patient}
    return json.dumps({**fields, "character": character.to_dict() if character else None}, ensure_ascii=False)


def speakers_record(cast: Sequence[Character]) -> dict[str, str]:
    """Who may speak in a turn, as they are at its beginning; without what only a model is told."""
    shown = [replace(one, persona="", greeting="").to_dict() for one in cast]
    return {SPEAKERS: json.dumps(shown, ensure_ascii=False)}


def sentence_record(number: int, text: str, fence: str, speaker: str) -> dict[str, str]:
    """One sentence that the reply was cut into; `speaker`: id of its character."""
    return {sentence_field(number): json.dumps([text, fence, speaker], ensure_ascii=False)}


def stretches_record(stretches: Sequence[tuple[Stretch, int]]) -> dict[str, str]:
    """What each speaker has said to its end, and how many sentences of the turn there were then."""
    said = [[stretch.character.id, stretch.text, sentences] for stretch, sentences in stretches]
    return {STRETCHES: json.dumps(said, ensure_ascii=False)}


def end_record(failure: str) -> dict[str, str]:
    """The language model has ended, well or with the code of an error: every sentence is known."""
    return {FAILURE: failure}


class LeftSentence(NamedTuple):
    """A sentence as it was cut."""

    text: str
    fence: str
    """The code fence that was open before it."""
    speaker: str
    """Id of its character."""


@dataclass(slots=True)
class Left:
    """A turn as the process that spoke it has left it."""

    sentences: list[LeftSentence] = field(default_factory=list)
    speakers: dict[str, Character] = field(default_factory=dict)
    """By id, as they were when the turn began."""
    said: list[tuple[str, str, int]] = field(default_factory=list)
    """Of each stretch that had ended: its speaker's id, its text, and the number of sentences until then."""
    is_whole: bool = False
    """Whether the language model had ended."""
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

    def stretches(self, first: Character) -> list[tuple[Stretch, int]]:
        """What each speaker said, and the number of sentences until then; of the last it may be its beginning only.

        `first`: who speaks where nobody is named.
        """
        found = [(Stretch(self.speakers.get(id_, first), text), end) for id_, text, end in self.said]
        place = found[-1][1] if found else 0
        for speaker, group in groupby(self.sentences[place:], key=lambda sentence: sentence.speaker):
            texts = [sentence.text for sentence in group]
            place += len(texts)
            found.append((Stretch(self.speakers.get(speaker, first), " ".join(texts)), place))
        return found

    def told(self) -> int:
        """How many stretches listeners know to be complete."""
        return sum(message["type"] == "llm_response" and message["is_complete"] for message in self.messages)

    def has_said(self, kind: str, **fields: Any) -> bool:
        """Whether a message was said."""
        return any(
            message["type"] == kind and all(message.get(name) == value for name, value in fields.items())
            for message in self.messages
        )


async def load_left(streams: Streams, session: str, turn: int, reader: TurnReader) -> Left:
    """What there is of a turn; `reader` is how far its listeners are."""
    fields = await streams.load_turn(session, turn)
    speakers = map(Character.from_dict, json.loads(fields.get(SPEAKERS, "[]")))
    return Left(
        sentences=[LeftSentence(*json.loads(record)) for record in recorded_sentences(fields)],
        speakers={speaker.id: speaker for speaker in speakers},
        said=[(id_, text, sentences) for id_, text, sentences in json.loads(fields.get(STRETCHES, "[]"))],
        is_whole=FAILURE in fields,
        failure=fields.get(FAILURE, ""),
        reason=fields.get(REASON, ""),
        messages=await streams.events_of_turn(session, turn),
        position=reader.position,
        sizes=reader.sizes,
    )
