"""Orders: what a client asks for, done in the session that is held here. Not: where it is held, how turns run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from api.characters import Character
from api.ensemble.changing import chosen, recast, refreshed, retuned
from api.ensemble.playbill import Playbill, new_epoch, shown_cast, shown_settings
from api.events import AnyClientMessage, Chat, Interrupt, Played, Reset, ServerMessage, SetCast, SetTuning, Start, Stop
from api.session.neighbours import Answer
from api.session.turns import Turns
from api.session.voiced import Voiced, take_voice
from api.turn.stage import Parts
from api.turn.utterance import typed

if TYPE_CHECKING:
    from api.session.session import Session


@dataclass(frozen=True, slots=True)
class Prepared:
    """What had to be looked up for an order, so that it is done in one step."""

    called: Character | None = None
    """Whom the message asks for."""
    before: Playbill | None = None
    after: Playbill | None = None
    """What becomes of the cast; of a mere look at it nothing, if somebody else has changed it meanwhile."""


async def prepare(parts: Parts, owner: str, bill: Playbill, message: AnyClientMessage | Voiced) -> Prepared:
    """Look up what a message names.

    Raises: ConversationError.
    """
    match message:
        case Chat() | Start():
            called = await parts.cast.named(owner, message.character)
            return Prepared(called, bill, await refreshed(bill, parts.cast, owner))
        case Voiced() if message.what == "final":
            return Prepared(None, bill, await refreshed(bill, parts.cast, owner))
        case SetCast():
            return Prepared(None, bill, await recast(bill, parts.cast, owner, message))
        case SetTuning():
            parts.model.check(message.model or "")
    return Prepared()


def obey(session: Session, turns: Turns, message: AnyClientMessage | Voiced, prepared: Prepared) -> Answer:
    """Do it.

    Raises: ConversationError.
    """
    if prepared.after and (session.playbill is prepared.before or isinstance(message, SetCast)):
        now = session.playbill
        _show(session, turns, replace(prepared.after, tuning=now.tuning, epoch=now.epoch))
    match message:
        case Chat():
            said = typed(message.text, message.id)
            turn = turns.say(said, prepared.called, queue=message.queue)
            session.save_soon()
            return {"turn": turn}
        case Interrupt():
            turns.interrupt(message.turn, message.heard)
        case Stop() | Reset():
            session.is_listening = False
            turns.stop(forget=isinstance(message, Reset))
            if isinstance(message, Reset):
                _show(session, turns, replace(session.playbill, epoch=new_epoch()))
        case Played() if message.turn < turns.next_turn:
            turns.memory.set_heard(message.turn, message.sentence, message.ms)
        case Start():
            if prepared.called:
                _show(session, turns, chosen(session.playbill, prepared.called))
            session.is_listening = True
            session.emit(session.at_rest())
        case SetCast():
            return shown_cast(session.playbill)
        case SetTuning():
            _show(session, turns, retuned(session.playbill, message))
            return shown_settings(session.playbill)
        case Voiced():
            return take_voice(session, turns, message)
    return {}


def _show(session: Session, turns: Turns, bill: Playbill) -> None:
    """From now on this is the playbill; listeners are told what of it they can see."""
    before, session.playbill = session.playbill, bill
    turns.memory.keeper.recast(bill.character.id, bill.at_rest())
    told: list[ServerMessage] = []
    if bill.told() != before.told():
        told.append(bill.told())
    if bill.tuning != before.tuning:
        told.append(bill.told_settings())
    if bill.fields() != before.fields():
        session.save_soon(*told)
