"""Changing: what clients change of a session's playbill, looked up and checked. Not: where it is kept or told."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace

from api.characters import Cast, Character, find_character
from api.ensemble.playbill import MAX_MEMBERS, Playbill, Tuning, new_epoch
from api.errors import CastInvalid, CharacterUnknown, StoreUnreachable
from api.events import SetCast, SetTuning

log = logging.getLogger(__name__)


async def recast(bill: Playbill, cast: Cast, owner: str, wanted: SetCast) -> Playbill:
    """Another cast.

    Raises: CharacterUnknown, CastInvalid, StoreUnreachable.
    """
    members = [await cast.find(owner, name) for name in wanted.characters]
    _refuse_twins(members)
    ids = {member.id for member in members}
    muted = bill.muted & ids
    if wanted.muted is not None:
        muted = frozenset([(await cast.find(owner, name)).id for name in wanted.muted])
    if strangers := muted - ids:
        raise CastInvalid(f"{min(strangers)[:64]!r} cannot be muted: it is not in this cast.")
    if muted == ids:
        raise CastInvalid("Everybody in this cast is muted: leave somebody who may speak.")
    order = wanted.order or bill.order
    answers = bill.answers if wanted.answers is None else wanted.answers
    return replace(bill, order=order, answers=answers).with_members(tuple(members), muted)


def chosen(bill: Playbill, character: Character) -> Playbill:
    """Another chosen one, who joins a group that it is no member of. Raises: CastInvalid."""
    after = bill.choose(character)
    if len(after.members) > MAX_MEMBERS:
        raise CastInvalid(f"There are {MAX_MEMBERS} in this cast already: {character.name} cannot join.")
    _refuse_twins(after.members)
    return after


def retuned(bill: Playbill, wanted: SetTuning) -> Playbill:
    """Other settings."""
    changes = {name: value for name, value in wanted.model_dump(exclude={"type"}).items() if value is not None}
    return replace(bill, tuning=replace(bill.tuning, **changes))


async def refreshed(bill: Playbill, cast: Cast, owner: str) -> Playbill:
    """The same cast as it is now: who was changed is as changed, who is no more is no more in it."""
    try:
        found = [await _find(cast, owner, member.id) for member in bill.members]
        character = await _find(cast, owner, bill.character.id)
    except StoreUnreachable:
        return bill  # as it was, rather than not at all
    members = tuple(one for one in found if one) or (character or find_character(None),)
    muted = bill.muted if any(one.id not in bill.muted for one in members) else frozenset[str]()
    bill = replace(bill, character=character or members[0])
    return bill.with_members(members, muted) if character is None else replace(bill, members=members, muted=muted)


async def read_playbill(cast: Cast, fields: dict[str, str]) -> Playbill:
    """What a session has kept; the first of the cast for whom is no more."""
    try:
        character = await cast.find(fields["owner"], fields.get("character"))
    except (CharacterUnknown, StoreUnreachable):
        character = find_character(None)
    kept = json.loads(fields.get("cast", "{}"))
    tuning = Tuning(**json.loads(fields.get("tuning", "{}")))
    bill = Playbill(character, tuning=tuning, epoch=fields.get("epoch") or new_epoch())
    members = []
    for id_ in kept.get("characters", []):
        try:
            members.append(await cast.find(fields["owner"], id_))
        except (CharacterUnknown, StoreUnreachable) as error:
            log.warning("a member of a cast is not there: %s", error.text)
    muted = frozenset(kept.get("muted", []))
    if all(member.id in muted for member in members):
        return bill
    bill = replace(bill, order=kept["order"], answers=kept["answers"])
    is_member = any(member.id == character.id for member in members)
    if is_member:
        return replace(bill, members=tuple(members), muted=muted & {member.id for member in members})
    return bill.with_members(tuple(members), muted)


async def _find(cast: Cast, owner: str, character_id: str) -> Character | None:
    try:
        return await cast.find(owner, character_id)
    except CharacterUnknown:
        return None


def _refuse_twins(members: Sequence[Character]) -> None:
    """Raises: CastInvalid: of two who are called the same nobody could tell who is meant."""
    seen: set[str] = set()
    for member in members:
        if member.name.casefold() in seen:
            raise CastInvalid(f"Two in this cast are called {member.name}.")
        seen.add(member.name.casefold())
