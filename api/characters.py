"""Character: who speaks, a persona and a Voice; and the cast that is there from the start. Not: how it is spoken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api.errors import CharacterUnknown
from contract.voice import Voice


@dataclass(frozen=True, slots=True)
class Character:
    """Who speaks."""

    id: str
    name: str
    persona: str
    """What the language model is told to be."""
    voice: Voice
    colour: str
    """CSS colour of its avatar."""
    greeting: str = ""
    """How it would open a talk."""
    is_own: bool = False
    """Made, or changed, by its owner; the others are there from the start."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "id": self.id,
            "name": self.name,
            "persona": self.persona,
            "voice": self.voice.to_dict(),
            "colour": self.colour,
            "greeting": self.greeting,
            "is_own": self.is_own,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Character:
        """Read what `to_dict` wrote."""
        return cls(**{**data, "voice": Voice.from_dict(data["voice"])})


_MANNER = (
    " You are heard, not read: answer in short spoken sentences, without lists, markup or emoji,"
    " unless you are asked for them."
)

CAST = {
    character.id: character
    for character in (
        Character(
            "ava",
            "Ava",
            "You are Ava, warm, curious and quick to the point." + _MANNER,
            Voice("en-us+f3", description="feminine, young adult, warm, conversational, clear pronunciation"),
            "#a23b7a",
        ),
        Character(
            "ben",
            "Ben",
            "You are Ben, calm and dry, with a long memory for sea stories." + _MANNER,
            Voice("en-gb+m3", language="en-gb", rate=0.95, description="masculine, middle-aged, calm, deep"),
            "#2f6f3e",
        ),
        Character(
            "cleo",
            "Cleo",
            "You are Cleo, bright, fast and fond of good questions." + _MANNER,
            Voice("en-us+f2", rate=1.1, pitch=1.15, description="feminine, bright, quick"),
            "#8a4b12",
        ),
        Character(
            "doran",
            "Doran",
            "You are Doran, an old storyteller, kind and in no hurry, who makes much of small things." + _MANNER,
            Voice(
                "en-gb-scotland+m7", language="en-gb", rate=0.88, pitch=0.85, description="masculine, old, slow, warm"
            ),
            "#2d5d8a",
        ),
    )
}
DEFAULT_ID = "ava"


def find_character(character_id: str | None) -> Character:
    """The character of that id or name; the first of the cast if none is asked for.

    Raises: CharacterUnknown.
    """
    wanted = (character_id or DEFAULT_ID).casefold()
    for character in CAST.values():
        if wanted in {character.id, character.name.casefold()}:
            return character
    raise CharacterUnknown(f"There is no character {wanted[:40]!r}.")


class Cast:
    """Whom an owner can talk with: here those who are there from the start, for everybody the same."""

    async def find(self, owner: str, wanted: str | None) -> Character:
        """As `find_character`, among the owner's. Raises: CharacterUnknown, StoreUnreachable."""
        return find_character(wanted)

    async def named(self, owner: str, wanted: str | None) -> Character | None:
        """The same; None if none is asked for."""
        return await self.find(owner, wanted) if wanted else None
