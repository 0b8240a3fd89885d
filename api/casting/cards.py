"""Cards: character cards of other programs (V1, V2 and V3, as JSON or in a PNG), and ours for them. Not: pictures.

What a card says is text by strangers: nothing of it is run, and of a picture only the text chunks are looked at.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from api.casting.fields import GREETING_CHARS, NAME_CHARS, PERSONA_CHARS, CharacterFields, clean, clean_line, fields_of
from api.characters import Character
from api.errors import CardInvalid

MAX_CARD_BYTES = 8 * 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n"
OURS = "cueline"
"""Name of our own fields among a card's extensions."""
_PARTS = ("system_prompt", "description", "personality", "scenario", "mes_example")
_BEGINNINGS = {"personality": "Personality: ", "scenario": "Scene: ", "mes_example": "This is how you talk:\n"}


def read_card(body: bytes) -> CharacterFields:
    """What a card says of a character. Raises: CardInvalid."""
    card = _card_of_png(body) if body.startswith(PNG) else _parse(body)
    data = card.get("data", card)
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        raise CardInvalid("This file is no character card: it has no name.")
    extensions = data.get("extensions")
    own = extensions.get(OURS) if isinstance(extensions, dict) else None
    fields = {**_translate(data), **(own if isinstance(own, dict) else {})}
    try:
        return CharacterFields.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise CardInvalid(f"This card cannot be used: {where}: {first['msg']}.") from error


def write_card(character: Character) -> str:
    """A V2 card, with all that we know among its extensions."""
    data = {
        "name": character.name,
        "description": character.persona,
        "personality": "",
        "scenario": character.voice.scene,
        "first_mes": character.greeting,
        "mes_example": "",
        "creator_notes": "",
        "system_prompt": "",
        "post_history_instructions": "",
        "alternate_greetings": [],
        "tags": [],
        "creator": "",
        "character_version": "1",
        "extensions": {OURS: fields_of(character)},
    }
    card = {"spec": "chara_card_v2", "spec_version": "2.0", "data": data}
    return json.dumps(card, ensure_ascii=False, indent=2)


def _translate(data: dict[str, Any]) -> dict[str, Any]:
    name = re.sub(r"[:\[\]<>]", " ", clean_line(data["name"]))
    name = " ".join(name.split())[:NAME_CHARS].strip() or "Nobody"
    persona = [f"You are {name}."]
    texts = ((_BEGINNINGS.get(part, ""), data.get(part)) for part in _PARTS)
    persona += [before + _fill_in(text, name) for before, text in texts if isinstance(text, str) and text.strip()]
    greeting = data.get("first_mes")
    return {
        "name": name,
        "persona": clean("\n\n".join(persona))[:PERSONA_CHARS],
        "greeting": clean(_fill_in(greeting, name))[:GREETING_CHARS] if isinstance(greeting, str) else "",
    }


def _fill_in(text: str, name: str) -> str:
    text = re.sub(r"\{\{char\}\}|<BOT>", lambda _: name, text, flags=re.IGNORECASE)
    text = re.sub(r"\{\{user\}\}|<USER>", "the listener", text, flags=re.IGNORECASE)
    return re.sub(r"^\s*<START>\s*$", "", text, flags=re.IGNORECASE | re.MULTILINE).strip()


def _parse(text: bytes) -> dict[str, Any]:
    try:
        card = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CardInvalid from error
    if not isinstance(card, dict):
        raise CardInvalid
    return card


def _card_of_png(picture: bytes) -> dict[str, Any]:
    """V3 before V2, as cards have both for the sake of older programs."""
    found = {keyword: text for keyword, text in _texts(picture) if keyword in (b"ccv3", b"chara")}
    text = found.get(b"ccv3") or found.get(b"chara")
    if not text:
        raise CardInvalid("This picture holds no character card.")
    try:
        return _parse(base64.b64decode(text, validate=True))
    except binascii.Error as error:
        raise CardInvalid from error


def _texts(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keyword and text of every plain text chunk; a picture that is cut or broken ends there."""
    place = len(PNG)
    while place + 12 <= len(picture):
        length = int.from_bytes(picture[place : place + 4], "big")
        kind, end = picture[place + 4 : place + 8], place + 8 + length
        if end + 4 > len(picture):
            return
        if kind == b"tEXt":
            body = picture[place + 8 : end]
            if zlib.crc32(kind + body) == int.from_bytes(picture[end : end + 4], "big"):
                keyword, _, text = body.partition(b"\0")
                yield keyword.lower(), text
        if kind == b"IEND":
            return
        place = end + 4
