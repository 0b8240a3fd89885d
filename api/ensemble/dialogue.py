"""Dialogue: a turn's conversation as each of its speakers is told it, and who goes on. Pure. Not: the asking."""

from __future__ import annotations

from collections.abc import Sequence

from api.characters import Character
from api.ensemble.order import first_speaker, next_speaker
from api.ensemble.playbill import Playbill
from api.ensemble.stretch import Stretch
from api.ensemble.tags import TagSplitter
from api.history import History, Said


class Dialogue:
    """One turn, for whoever speaks in it; the cast is that of its beginning, whatever becomes of it meanwhile."""

    def __init__(self, bill: Playbill, history: History, turn: int, called: Character | None = None) -> None:
        """`called`: who shall answer, whoever's turn it would be."""
        self.model = bill.tuning.model
        self._bill = bill
        self._history = history
        self._turn = turn
        said = [one for one in history.messages if one.turn <= turn]
        asked = next((one.text for one in reversed(said) if (one.turn, one.role) == (turn, "user")), "")
        self.first = called or first_speaker(bill, asked, [one for one in said if one.turn < turn])
        others = [] if any(one.id == self.first.id for one in bill.members) else [self.first]
        self.cast = [*bill.members, *others]
        """Whom tags can name, by their place."""

    def prompt(self, speaker: Character, stretches: Sequence[Stretch]) -> list[dict[str, str]]:
        """What the model is told to speak as one of them; `stretches` is what was said in this turn before."""
        said = [
            Said("assistant", one.text.strip(), self._turn, one.character.name) for one in stretches if not one.is_empty
        ]
        return self._history.prompt(speaker.persona + self._note(speaker), speaker.name, self._turn, said)

    def next(self, stretches: Sequence[Stretch], asked: int) -> Character | None:
        """Who answers what was said; None if nobody does. `asked`: how many were asked in this turn."""
        said = [one for one in stretches if not one.is_empty]
        if asked > self._bill.answers or not said:
            return None
        spoken = [one.character for one in self._history.messages if one.role == "assistant" and one.turn < self._turn]
        return next_speaker(self._bill, said[-1].text, spoken + [one.character.name for one in said])

    def splitter(self, speaker: Character) -> TagSplitter | None:
        """Finds whose words are whose in what one of them was asked to say; None where there is nobody else."""
        if len(self.cast) == 1:
            return None
        ids = [one.id for one in self.cast]
        mute = [place for place, id_ in enumerate(ids) if id_ in self._bill.muted]
        return TagSplitter([one.name for one in self.cast], mute, ids.index(speaker.id))

    def _note(self, speaker: Character) -> str:
        others = [one.name for one in self._bill.speakers if one.id != speaker.id]
        if not others or not self._bill.is_group:
            return ""
        name = speaker.name
        return (
            f"\n\nYou are in a conversation with a person and with {', '.join(others)}. What these say begins with"
            f" their name and a colon. You are {name}: say only what {name} says, without a name before it."
        )
