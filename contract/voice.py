"""Voice: how somebody sounds. Not: personality, which is the Character's and stays in the api."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import Any

CLIP_ID = re.compile(r"voice_[0-9a-f]{32}")
"""How a recording is called that somebody has uploaded to be spoken like: nobody can guess one."""
NAME = r"[\w.+/#()-]([\w.+/#() -]{0,62}[\w.+/#()-])?"
"""What a person may write for a voice's name. Spaces stand within: some services have names of several words."""


@dataclass(frozen=True, slots=True)
class Voice:
    """What an engine needs to know of a speaker. Equal voices sound equal."""

    name: str = "default"
    """The engine's own name for the voice; "default" lets the engine choose. The id of a clip may stand here wherever a
    voice is asked for by name, and is then its `anchor`."""
    engine: str = ""
    """Registry name of the engine that speaks it; the worker's others stand in. Several with commas between are a chain
    of its own. Empty: the worker's."""
    language: str = "en-us"
    """BCP 47 tag, lower case."""
    rate: float = 1.0
    """Speed as a factor, 0.25 to 4."""
    pitch: float = 1.0
    """Pitch as a factor, 0.5 to 2."""
    description: str = ""
    """How it sounds, in words, for engines that follow words. Behind a semicolon: how it is to be said this time, which
    makes nobody else of the speaker."""
    scene: str = ""
    """Where it is spoken, in words, for engines that follow words."""
    anchor: str = ""
    """Identifier of a reference recording, for engines that clone."""

    def __post_init__(self) -> None:
        if CLIP_ID.fullmatch(self.name):
            object.__setattr__(self, "anchor", self.name)
            object.__setattr__(self, "name", "default")
        if not 0.25 <= self.rate <= 4:
            raise ValueError(f"rate must lie between 0.25 and 4, not {self.rate}")
        if not 0.5 <= self.pitch <= 2:
            raise ValueError(f"pitch must lie between 0.5 and 2, not {self.pitch}")

    def directed(self, how: str) -> Voice:
        """The same speaker, told how to say it this time."""
        return replace(self, description=f"{self.description}; {how}") if how else self

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; `from_dict` is its inverse."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Voice:
        """Read what `to_dict` wrote; fields of a newer version are ignored."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in known})
