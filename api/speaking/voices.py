"""Voices by the names that OpenAI's clients know, a character's, or an engine's own. Not: how they sound."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from api.characters import Character
from contract.errors import VoiceUnknown
from contract.voice import Voice

OPENAI_VOICES = {
    "alloy": "",
    "ash": "male",
    "ballad": "male",
    "cedar": "male",
    "coral": "female",
    "echo": "male",
    "fable": "male",
    "marin": "female",
    "nova": "female",
    "onyx": "male",
    "sage": "female",
    "shimmer": "female",
    "verse": "male",
}
"""Name → how a person would expect it to sound."""
_SHADES = ((1.0, 1.0), (0.88, 0.97), (1.14, 1.03), (0.8, 0.94), (1.25, 1.05))
"""Pitch and rate of the first, second … name that has to share one of the engine's voices."""
_ENGLISH = ("en-us", "en-gb", "en")

Offered = Mapping[str, Any]
"""A voice that a running worker can speak with: name, language, gender, engine."""


def find_voice(
    wanted: str,
    characters: Iterable[Character],
    offered: Iterable[Offered],
    recorded: Mapping[str, str] = MappingProxyType({}),
) -> Voice:
    """The voice of that name: OpenAI's names first, then characters, by id or name, then the engines' own.

    `recorded`: the names of recordings that a voice may sound like, each with its id; they come behind characters.

    Raises: VoiceUnknown.
    """
    name = wanted.strip().casefold()
    known = list(offered)
    if name in OPENAI_VOICES:
        return _stand_in(name, known)
    for character in characters:
        if name in {character.id.casefold(), character.name.casefold()}:
            return character.voice
    for own, clip in recorded.items():
        if name == own.casefold():
            return Voice(clip)
    for voice in known:
        if name in {str(voice["name"]).casefold(), f"{voice['engine']}:{voice['name']}".casefold()}:
            return _voice(voice)
    # An engine may speak with voices that it does not list: mixtures, variants, recordings. It knows.
    if known and wanted and len(wanted) <= MAX_NAME and wanted.isprintable():
        return Voice(name=wanted.strip())
    raise VoiceUnknown(f"There is no voice {wanted[:40]!r}.")


MAX_NAME = 128


def list_voices(characters: Iterable[Character], offered: Iterable[Offered]) -> list[dict[str, str]]:
    """Every name that may be asked for, each with its id."""
    named = [{"id": name, "name": name.capitalize()} for name in OPENAI_VOICES]
    named += [{"id": character.id, "name": character.name} for character in characters]
    named += [{"id": str(voice["name"]), "name": str(voice.get("label") or voice["name"])} for voice in offered]
    return list({voice["id"]: voice for voice in reversed(named)}.values())[::-1]


def _stand_in(name: str, offered: list[Offered]) -> Voice:
    """The engine's own voice of that name if it has one, else one of its English voices, for each name another."""
    own = [voice for voice in offered if str(voice["name"]).casefold().split("_")[-1] == name]
    if own:
        return _voice(own[0])
    english = [voice for voice in offered if voice.get("language") in _ENGLISH] or offered
    takers = list(OPENAI_VOICES)
    taken: dict[str, int] = {}
    for taker in takers:
        voice = _best(OPENAI_VOICES[taker], english, taken)
        shade = taken.get(voice.name, 0)
        taken[voice.name] = shade + 1
        if taker == name:
            pitch, rate = _SHADES[min(shade, len(_SHADES) - 1)]
            return replace(voice, pitch=voice.pitch * pitch, rate=voice.rate * rate)
    return Voice()


def _best(gender: str, offered: list[Offered], taken: Mapping[str, int]) -> Voice:
    """The voice of that gender that fewest share; any, where there is none."""
    fitting = [voice for voice in offered if not gender or voice.get("gender") == gender] or offered
    if not fitting:
        return Voice()
    return _voice(min(fitting, key=lambda voice: taken.get(str(voice["name"]), 0)))


def _voice(offered: Offered) -> Voice:
    return Voice(name=str(offered["name"]), language=str(offered.get("language") or "en-us"))
