"""Playbill: who takes part in a session, and how it is set; kept with the session. Pure. Not: who speaks next."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from api.characters import Character
from api.ensemble.told import CastTold, SettingsTold
from contract.voice import Voice

Order = Literal["talk", "list", "chosen"]
MAX_MEMBERS = 8
"""As many as a listener can tell apart, and a model be told of."""
MAX_ANSWERS = 4
MIN_SPEED, MAX_SPEED = 0.5, 2.0
AT_REST, PLAIN = ("cast", "tuning"), "{}"


def new_epoch() -> str:
    """A name for what is remembered of voices, never used before."""
    return secrets.token_hex(6)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a person has set for one session; what is empty is as the server, the character or the client has it."""

    model: str = ""
    voice: str = ""
    """Name of a voice, instead of the chosen character's own; the others keep theirs."""
    speed: float = 1.0
    turn_taking: str = ""


@dataclass(frozen=True, slots=True)
class Playbill:
    """The cast of a session, in its order. Made anew by whatever changes it."""

    character: Character
    """The chosen one: who answers where nothing else decides."""
    members: tuple[Character, ...] = ()
    muted: frozenset[str] = frozenset()
    """Ids of members who are there and do not speak."""
    order: Order = "talk"
    answers: int = 0
    """How many times characters may answer each other after the person spoke."""
    tuning: Tuning = Tuning()
    epoch: str = field(default_factory=new_epoch)
    """Of what engines remember of voices; a reset begins a new one."""

    def __post_init__(self) -> None:
        if not self.members:
            object.__setattr__(self, "members", (self.character,))

    @property
    def is_group(self) -> bool:
        """Whether more than one takes part."""
        return len(self.members) > 1

    @property
    def speakers(self) -> list[Character]:
        """Members who may speak, in order."""
        return [member for member in self.members if member.id not in self.muted]

    def choose(self, character: Character) -> Playbill:
        """Another chosen one, who may speak: where nobody else takes part, in the place of the one before; else as one
        of the members, a further one if it was none."""
        members = self.members if self.is_group else ()
        if all(member.id != character.id for member in members):
            members = (*members, character)
        return replace(self, character=character, members=members, muted=self.muted - {character.id})

    def with_members(self, members: tuple[Character, ...], muted: frozenset[str]) -> Playbill:
        """Another cast; the chosen one stays if it may speak in it, else it is the first who may."""
        bill = replace(self, members=members, muted=muted & {member.id for member in members})
        chosen = [member for member in bill.speakers if member.id == self.character.id] or bill.speakers
        return replace(bill, character=chosen[0])

    # how they sound

    def voice_of(self, character: Character) -> Voice:
        """How a character sounds here, as it is set now."""
        voice, tuning = character.voice, self.tuning
        if tuning.voice and character.id == self.character.id:
            voice = replace(voice, name=tuning.voice, anchor="")
        return replace(voice, rate=min(4.0, max(0.25, voice.rate * tuning.speed)))

    def context_of(self, character: Character) -> str:
        """What an engine may go on from, for one speaker of one session: another word after a reset, or in another
        voice."""
        voice = json.dumps([self.epoch, self.voice_of(character).to_dict()], sort_keys=True)
        return hashlib.sha256(voice.encode()).hexdigest()[:16]

    # how it is told and kept

    def told(self) -> CastTold:
        """As listeners are told it."""
        members = [
            {"id": one.id, "name": one.name, "colour": one.colour, "is_muted": one.id in self.muted}
            for one in self.members
        ]
        return CastTold(members=members, order=self.order, answers=self.answers)

    def told_settings(self) -> SettingsTold:
        """What is set, as listeners are told it."""
        return SettingsTold(**asdict(self.tuning))

    def fields(self) -> dict[str, str]:
        """As it is kept with the session."""
        cast = {
            "characters": [member.id for member in self.members],
            "muted": sorted(self.muted),
            "order": self.order,
            "answers": self.answers,
        }
        return {
            "character": self.character.id,
            "cast": json.dumps(cast),
            "tuning": json.dumps(asdict(self.tuning), ensure_ascii=False),
            "epoch": self.epoch,
        }

    def at_rest(self) -> str:
        """As it is kept with the conversation, whose row names the chosen one: of `fields` those that outlive a day.

        `PLAIN` where that one is alone and nothing is set.
        """
        plain = Playbill(self.character)
        if (self.told(), self.tuning) == (plain.told(), plain.tuning):
            return PLAIN
        fields = self.fields()
        return json.dumps({name: fields[name] for name in AT_REST})


def shown_cast(bill: Playbill) -> dict[str, Any]:
    """A cast as answers and the first message on a socket have it."""
    return bill.told().model_dump(exclude={"type"})


def shown_settings(bill: Playbill) -> dict[str, Any]:
    """The same of what is set."""
    return bill.told_settings().model_dump(exclude={"type"})


def retold(bill: Playbill, message: dict[str, Any]) -> Playbill:
    """The same in a process that only hears of it: as far as a listener may know it."""
    if message["type"] == "settings":
        return replace(bill, tuning=Tuning(**{name: message[name] for name in asdict(bill.tuning)}))
    known = {member.id: member for member in bill.members}
    members = tuple(
        known.get(one["id"]) or Character(one["id"], one["name"], "", Voice(), one["colour"])
        for one in message["members"]
    )
    muted = frozenset(one["id"] for one in message["members"] if one["is_muted"])
    return replace(bill, order=message["order"], answers=message["answers"]).with_members(members, muted)
