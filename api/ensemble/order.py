"""Order: who speaks next. Pure, and the same each time. Not: what is said.

talk: whose name comes first in what was said; else, of characters, the one whom the person talked with last, and
to a character the one who has been silent longest. list: one after the other. chosen: whom the person has chosen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from api.characters import Character
from api.ensemble.playbill import Playbill
from api.history import Said


def first_speaker(bill: Playbill, text: str, said: Sequence[Said]) -> Character:
    """Who answers the person, who has said `text`; `said` is the talk before."""
    speakers = bill.speakers
    if not bill.is_group or bill.order == "chosen" or not speakers:
        return bill.character
    replies = [one for one in said if one.role == "assistant"]
    if bill.order == "list":
        return _after(bill, replies[-1].character if replies else "")
    if found := mentioned(text, speakers):
        return found
    newest = max((one.turn for one in replies), default=-1)
    addressed = next((one.character for one in replies if one.turn == newest), "")
    chosen = [one for one in speakers if one.id == bill.character.id]
    return next((one for one in speakers if one.name == addressed), (chosen or speakers)[0])


def next_speaker(bill: Playbill, text: str, spoken: Sequence[str]) -> Character | None:
    """Who answers a character, who has said `text`; None if nobody does. `spoken`: names, the newest last."""
    current = spoken[-1] if spoken else ""
    others = [one for one in bill.speakers if one.name != current]
    if bill.order == "chosen" or not others or not bill.is_group:
        return None
    if bill.order == "list":
        return _after(bill, current)
    last = {name: place for place, name in enumerate(spoken)}
    return mentioned(text, others) or min(others, key=lambda one: last.get(one.name, -1))


def mentioned(text: str, characters: Iterable[Character]) -> Character | None:
    """Whose name comes first in a text, as a word of its own; of two that begin there, the longer."""
    places = [
        (found.start(), -len(character.name), character)
        for character in characters
        if (found := re.search(rf"(?<!\w){re.escape(character.name)}(?!\w)", text, re.IGNORECASE))
    ]
    return min(places, key=lambda place: place[:2])[2] if places else None


def _after(bill: Playbill, name: str) -> Character:
    """The next in the list who may speak."""
    names = [member.name for member in bill.members]
    start = names.index(name) + 1 if name in names else 0
    round_ = bill.members[start:] + bill.members[:start]
    return next(member for member in round_ if member.id not in bill.muted)
