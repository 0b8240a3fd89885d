"""Characters: each owner's, found, made, changed and deleted. Not: what one may consist of (fields.py).

Of those that are there from the start an owner's change is a copy, in its place; without the copy the first is back.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.casting.fields import NAME_CHARS, CharacterFields
from api.characters import CAST, DEFAULT_ID, Cast, Character
from api.ending import end_tasks
from api.errors import CharacterBuiltIn, CharacterUnknown, NameTaken, StoreUnreachable, TooManyCharacters
from api.store.store import Owned, Row, Store, StoreError
from contract.voice import Voice

log = logging.getLogger(__name__)

MAX_CHARACTERS = 200
"""Of one owner."""
MAX_OWNERS = 1000
"""Whose characters are remembered here."""
FRESH_S = 5.0
"""What is remembered is looked up again after this long, behind whoever asks: another process may have changed it."""
ASK_S = 3.0
TALK_S = 0.3
"""How long talk waits for the Store, once, before it goes on with those who are there from the start."""
TABLE = "characters"


class Characters(Cast):
    """Those of every owner; what was asked once is answered from memory."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[str, tuple[float, list[Character]]] = OrderedDict()
        self._refreshes: dict[str, asyncio.Task[None]] = {}
        self._down_at = -FRESH_S
        """When talk last waited for the Store in vain: it does not do so again at once."""

    async def stop(self) -> None:
        """Ask no more."""
        await end_tasks(*self._refreshes.values())

    async def find(self, owner: str, wanted: str | None) -> Character:
        """The character of that id or name; the first of the cast if none is asked for."""
        name = (wanted or DEFAULT_ID).casefold()
        try:
            everybody = await self._remembered(owner, TALK_S)
        except StoreUnreachable:
            everybody = list(CAST.values())
            if not any(name in {one.id, one.name.casefold()} for one in everybody):
                raise
        found = [one for one in everybody if one.id.casefold() == name] or [
            one for one in everybody if one.name.casefold() == name
        ]
        if not found:
            raise CharacterUnknown(f"There is no character {name[:40]!r}.")
        return found[0]

    async def everybody(self, owner: str) -> list[Character]:
        """Everybody whom an owner can talk with, in a lasting order. Raises: StoreUnreachable."""
        try:
            return await self._load(owner, ASK_S)
        except StoreUnreachable:
            if owner in self._known:
                return self._known[owner][1]
            raise

    async def create(self, owner: str, fields: CharacterFields, *, any_name: bool = False) -> Character:
        """A new one; with `any_name` under another name where that one is taken.

        Raises: NameTaken, TooManyCharacters, StoreUnreachable.
        """
        everybody = await self._load(owner, ASK_S)
        if sum(one.is_own for one in everybody) >= MAX_CHARACTERS:
            raise TooManyCharacters
        taken = {one.name.casefold() for one in everybody}
        if any_name:
            fields = fields.model_copy(update={"name": _free_name(fields.name, taken)})
        _refuse_taken(fields, taken)
        character = fields.to_character(secrets.token_urlsafe(8).lower())
        await self._add(owner, character)
        return character

    async def change(self, owner: str, character_id: str, fields: CharacterFields) -> Character:
        """Say it anew. Raises: CharacterUnknown, NameTaken, StoreUnreachable."""
        everybody = await self._load(owner, ASK_S)
        before = next((one for one in everybody if one.id == character_id), None)
        if before is None:
            raise CharacterUnknown
        _refuse_taken(fields, {one.name.casefold() for one in everybody if one is not before})
        character = fields.to_character(character_id)
        if not before.is_own:
            await self._add(owner, character)
            return character
        row = _row(owner, character)
        async with self._asked(owner, ASK_S) as rows:
            changed = await rows.update(TABLE, {"id": row.pop("id")}, {**row, "updated_at": _now()})
        self._known.pop(owner, None)
        if not changed:
            raise CharacterUnknown
        return character

    async def delete(self, owner: str, character_id: str) -> None:
        """Forget one's own; of a copy comes back what it was made of.

        Raises: CharacterUnknown, CharacterBuiltIn, StoreUnreachable.
        """
        async with self._asked(owner, ASK_S) as rows:
            removed = await rows.remove(TABLE, {"id": _row_id(owner, character_id)})
        self._known.pop(owner, None)
        if not removed:
            raise CharacterBuiltIn if character_id in CAST else CharacterUnknown

    async def _add(self, owner: str, character: Character) -> None:
        now = _now()
        async with self._asked(owner, ASK_S) as rows:
            is_new = await rows.add(TABLE, {**_row(owner, character), "created_at": now, "updated_at": now})
        self._known.pop(owner, None)
        if not is_new:
            raise NameTaken

    async def _remembered(self, owner: str, within_s: float) -> list[Character]:
        known = self._known.get(owner)
        if known is None and time.monotonic() - self._down_at < FRESH_S:
            self._look_again(owner)
            raise StoreUnreachable
        if known is None:
            try:
                return await self._load(owner, within_s)
            except StoreUnreachable:
                self._down_at = time.monotonic()
                raise
        looked_at, everybody = known
        if time.monotonic() - looked_at > FRESH_S:
            self._look_again(owner)
        return everybody

    def _look_again(self, owner: str) -> None:
        """Behind whoever asks."""
        if owner not in self._refreshes:
            self._refreshes[owner] = asyncio.create_task(self._refresh(owner))

    async def _refresh(self, owner: str) -> None:
        try:
            await self._load(owner, ASK_S)
        except StoreUnreachable as error:
            log.debug("characters are not looked up again: %s", error.text)
        finally:
            del self._refreshes[owner]

    async def _load(self, owner: str, within_s: float) -> list[Character]:
        async with self._asked(owner, within_s) as rows:
            own = [_read(owner, row) for row in await rows.all(TABLE, {}, ("created_at", "id"))]
        copies = {one.id: one for one in own}
        everybody = [copies.pop(one.id, one) for one in CAST.values()] + list(copies.values())
        self._known[owner] = (time.monotonic(), everybody)
        self._known.move_to_end(owner)
        if len(self._known) > MAX_OWNERS:
            self._known.popitem(last=False)
        return everybody

    @asynccontextmanager
    async def _asked(self, owner: str, within_s: float) -> AsyncIterator[Owned]:
        try:
            async with asyncio.timeout(within_s):
                yield Owned(self._store, owner)
        except (StoreError, TimeoutError) as error:
            raise StoreUnreachable from error


def _refuse_taken(fields: CharacterFields, taken: set[str]) -> None:
    if fields.name.casefold() in taken:
        raise NameTaken


def _free_name(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{name[: NAME_CHARS - 5]} {number}"
    return free


def _row_id(owner: str, character_id: str) -> str:
    return f"{owner}:{character_id}"


def _row(owner: str, character: Character) -> Row:
    return {
        "id": _row_id(owner, character.id),
        "name": character.name,
        "persona": character.persona,
        "greeting": character.greeting,
        "colour": character.colour,
        "voice": json.dumps(character.voice.to_dict(), ensure_ascii=False),
    }


def _read(owner: str, row: Row) -> Character:
    voice = Voice.from_dict(json.loads(row["voice"]))
    character_id = row["id"].removeprefix(f"{owner}:")
    return Character(character_id, row["name"], row["persona"], voice, row["colour"], row["greeting"], is_own=True)


def _now() -> int:
    return int(time.time() * 1000)
