"""Orders: what a client asks for, done in the session that is held here. Not: where it is held, how turns run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.characters import Character
from api.events import AnyClientMessage, Chat, Interrupt, Played, Reset, Start, Stop
from api.session.neighbours import Answer
from api.session.turns import Turns
from api.session.voiced import Voiced, take_voice
from api.turn.utterance import typed

if TYPE_CHECKING:
    from api.session.session import Session


def obey(session: Session, turns: Turns, message: AnyClientMessage | Voiced, called: Character | None) -> Answer:
    """Do it; `called` is the character that the message asks for.

    Raises: ConversationError.
    """
    match message:
        case Chat():
            said = typed(message.text, message.id)
            turn = turns.say(said, called or session.character, queue=message.queue)
            session.save_soon()
            return {"turn": turn}
        case Interrupt():
            turns.interrupt(message.turn, message.heard)
        case Stop() | Reset():
            session.is_listening = False
            turns.stop(forget=isinstance(message, Reset))
        case Played() if message.turn < turns.next_turn:
            turns.memory.set_heard(message.turn, message.sentence, message.ms)
        case Start():
            _listen(session, turns, called)
        case Voiced():
            return take_voice(session, turns, message)
    return {}


def _listen(session: Session, turns: Turns, character: Character | None) -> None:
    if character:
        session.character = character
        turns.memory.keeper.character = character.id
        session.save_soon()
    session.is_listening = True
    session.emit(session.at_rest())
