"""Casting: who speaks each part of a script. Not: making characters, asking workers what they can."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from api.characters import Character
from api.errors import CastUnknown, Problem
from api.render.script import MAX_SPEED, MIN_SPEED, NARRATOR, Line, Script
from contract.voice import Voice

ANYBODY = "*"
"""In a cast: whoever is not named in it."""
NARRATORS = ("narrator", "doran")
"""Characters who read as the narrator, if the cast does not say who does; the first that there is."""
TOLD_LINES = 5


@dataclass(frozen=True, slots=True)
class Role:
    """Who speaks the lines of one speaker."""

    name: str
    """The character's, or the voice's."""
    voice: Voice
    colour: str = ""
    """CSS colour, if it has one."""

    def voice_for(self, line: Line) -> Voice:
        """The voice as this line wants it: faster, slower, directed."""
        rate = min(max(self.voice.rate * line.speed, MIN_SPEED), MAX_SPEED)
        return replace(self.voice, rate=rate).directed(line.direction)


def assign(
    script: Script,
    cast: Mapping[str, str | Voice],
    characters: Iterable[Character],
    voices: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Role]:
    """A role for each speaker.

    `cast`: speaker, or `ANYBODY` → the id or name of a character, the name of a voice, or a whole voice. A speaker who
    is not in it is the character of that name. `voices`: as `GET /api/voices` lists them; None: nobody knows, so none
    is refused. Case does not matter.

    Raises: CastUnknown, with every speaker, character and voice that is not known, and their lines.
    """
    house = _House(characters, voices)
    wishes = {name.casefold(): wish for name, wish in cast.items()}
    roles: dict[str, Role] = {}
    problems: list[Problem] = []
    for speaker, lines in script.speakers.items():
        wish = wishes.get(speaker.casefold(), wishes.get(ANYBODY))
        role = house.find_speaker(speaker) if wish is None else house.find(wish)
        if role is None:
            problems.append(Problem(lines[0].source_line, house.explain(speaker, wish, lines)))
        else:
            roles[speaker] = role
    speakers = {speaker.casefold(): speaker for speaker in script.speakers}
    for name in cast:
        if name.casefold() not in speakers and name != ANYBODY:
            hint = _hint(name, list(speakers.values()))
            problems.append(Problem(0, f"the cast has {name[:64]!r}, who says nothing in the script.{hint}"))
    if problems:
        raise CastUnknown(problems=sorted(problems))
    return roles


class _House:
    """Everybody and everything there is to speak with."""

    def __init__(self, characters: Iterable[Character], voices: Sequence[Mapping[str, Any]] | None) -> None:
        self._characters = list(characters)
        self._voices = voices
        self._names = {str(voice["name"]) for voice in voices or ()} | {
            str(voice["language"]) for voice in voices or ()
        }

    def find_speaker(self, name: str) -> Role | None:
        role = self._character(name)
        if role is None and name.casefold() == NARRATOR.casefold():
            role = next((found for wanted in NARRATORS if (found := self._character(wanted))), None)
        return role

    def find(self, wish: str | Voice) -> Role | None:
        if isinstance(wish, Voice):
            return Role(wish.name, wish) if self._can_speak(wish.anchor or wish.name) else None
        return self._character(wish) or self._voice(wish)

    def explain(self, speaker: str, wish: str | Voice | None, lines: list[Line]) -> str:
        where = _where(lines)
        if wish is None:
            return f"there is no character {speaker!r}{where}.{_hint(speaker, self._character_names())}"
        wanted = (wish.anchor or wish.name) if isinstance(wish, Voice) else wish
        hint = _hint(wanted, [*self._character_names(), *sorted(self._names)])
        return f"{speaker!r}{where} shall be {wanted[:64]!r}, but there is no such character or voice.{hint}"

    def _character(self, wanted: str) -> Role | None:
        name = wanted.casefold()
        found = [one for one in self._characters if one.id.casefold() == name] or [
            one for one in self._characters if one.name.casefold() == name
        ]
        return Role(found[0].name, found[0].voice, found[0].colour) if found else None

    def _voice(self, name: str) -> Role | None:
        for voice in self._voices or ():
            if str(voice["name"]).casefold() == name.casefold():
                known = Voice(str(voice["name"]), str(voice.get("engine", "")), str(voice["language"]))
                return Role(str(voice.get("label") or known.name), known)
        return Role(name, Voice(name)) if name and self._can_speak(name) else None

    def _can_speak(self, name: str) -> bool:
        # "en-us+f3" is a variant of "en-us"; which there are, only the engine knows.
        return (
            self._voices is None or name == "default" or name in self._names or name.partition("+")[0] in self._bases()
        )

    def _bases(self) -> set[str]:
        return {name.partition("+")[0] for name in self._names}

    def _character_names(self) -> list[str]:
        return [one.name for one in self._characters]


def _where(lines: list[Line]) -> str:
    if len(lines) == 1:
        return ""
    told = ", ".join(str(line.source_line) for line in lines[:TOLD_LINES])
    more = f" and {len(lines) - TOLD_LINES} more" if len(lines) > TOLD_LINES else ""
    return f" (lines {told}{more})"


def _hint(name: str, known: list[str]) -> str:
    spellings = {one.casefold(): one for one in known}
    close = get_close_matches(name.casefold(), spellings, 1)
    return f" Did you mean {spellings[close[0]]!r}?" if close else ""
