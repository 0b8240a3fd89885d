"""Fields: what a character may consist of, checked and cleaned. Not: where it is kept."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.characters import Character
from contract.voice import NAME as VOICE_NAME
from contract.voice import Voice

NAME_CHARS = 40
PERSONA_CHARS = 12_000
GREETING_CHARS = 2000
WORDS_CHARS = 500
_CONTROL_TOKEN = re.compile(r"<[|｜][^<>]{0,64}[|｜]>|\[/?(?:INST|SPEAKER\d*)\]|</?(?:s|SE)>|<</?SYS>>", re.IGNORECASE)
"""What models take for an order of their own server, whoever writes it."""


def clean(text: str) -> str:
    """Text as a model may be told it: composed, without control characters and without control tokens."""
    text = unicodedata.normalize("NFC", text)
    kept = (char for char in text if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cs", "Cf", "Co"})
    text = "".join(kept)
    while (without := _CONTROL_TOKEN.sub("", text)) != text:
        text = without
    return text.strip()


def clean_line(text: str) -> str:
    """The same on one line."""
    return " ".join(clean(text).split())


def _name(text: str) -> str:
    if not (name := clean_line(text)):
        raise ValueError("a name has at least one sign")
    if any(sign in name for sign in ":[]<>"):
        raise ValueError("a name has none of : [ ] < >")
    return name


Text = Annotated[str, AfterValidator(clean)]
Line = Annotated[str, AfterValidator(clean_line)]


class VoiceFields(BaseModel):
    """How a character sounds."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(pattern=f"^{VOICE_NAME}$")] = "default"
    engine: Annotated[str, Field(pattern=r"^([\w-]{1,32}(,[\w-]{1,32}){0,3})?$")] = ""
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$")] = "en-us"
    rate: Annotated[float, Field(ge=0.25, le=4)] = 1.0
    pitch: Annotated[float, Field(ge=0.5, le=2)] = 1.0
    description: Annotated[Line, Field(max_length=WORDS_CHARS)] = ""
    scene: Annotated[Line, Field(max_length=WORDS_CHARS)] = ""
    anchor: Annotated[str, Field(pattern=r"^[\w-]{0,64}$")] = ""

    def to_voice(self) -> Voice:
        """The Voice itself."""
        return Voice(**(self.model_dump() | {"language": self.language.lower()}))


class CharacterFields(BaseModel):
    """What somebody says of a character."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(max_length=NAME_CHARS), AfterValidator(_name)]
    persona: Annotated[Text, Field(max_length=PERSONA_CHARS)] = ""
    voice: VoiceFields = VoiceFields()
    colour: Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")] = "#5b5f97"
    greeting: Annotated[Text, Field(max_length=GREETING_CHARS)] = ""

    def to_character(self, character_id: str) -> Character:
        """The character of that id."""
        persona = self.persona or f"You are {self.name}."
        return Character(
            character_id, self.name, persona, self.voice.to_voice(), self.colour, self.greeting, is_own=True
        )


def fields_of(character: Character) -> dict[str, Any]:
    """The fields of a character, as JSON has them."""
    kept = ("name", "persona", "voice", "colour", "greeting")
    return {name: value for name, value in character.to_dict().items() if name in kept}
