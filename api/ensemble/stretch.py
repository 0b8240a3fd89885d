"""Stretch: what one speaker says on end in a turn. Pure. Not: how a reply is cut into them, how they are spoken."""

from __future__ import annotations

from dataclasses import dataclass

from api.characters import Character


@dataclass(slots=True)
class Stretch:
    """One speaker's words, from when it begins until somebody else does or the turn ends."""

    character: Character
    text: str = ""
    """As the model wrote it, without speaker tags."""
    is_told: bool = False
    """Whether listeners have been told that it is complete."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said in it."""
        return not self.text.strip()
