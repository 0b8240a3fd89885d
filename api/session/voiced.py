"""Voiced: what an ear tells its session, in whichever process that is held. Not: how it was heard (api/listening)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

from api.events import AnyClientMessage, BargeIn, ErrorMessage, PartialTranscript, parse_client_message
from api.turn.utterance import MAX_CHARS, Utterance

if TYPE_CHECKING:
    from api.session.neighbours import Answer
    from api.session.session import Session
    from api.session.turns import Turns


class Voiced(BaseModel):
    """One thing that was heard. No client can say it: a message of that type is unknown on the socket."""

    type: Literal["voiced"] = "voiced"
    what: Literal["partial", "final", "barge_in", "error"]
    content: str = ""
    stable: str = ""
    step: Literal["ducked", "held", "resumed", "interrupted"] = "ducked"
    id: str = ""
    """Of the recording: the same utterance twice is one message."""
    code: str = ""
    retryable: bool = False


def read_handed(text: str) -> AnyClientMessage | Voiced:
    """What another process hands on: a client's message, or what its ear has heard. Raises: MessageInvalid."""
    data = json.loads(text)
    return Voiced.model_validate(data) if data.get("type") == "voiced" else parse_client_message(text)


def take_voice(session: Session, turns: Turns, heard: Voiced) -> Answer:
    """Do what was heard. Nothing is, once somebody has stopped the listening.

    Raises: ConversationError.
    """
    if not session.is_listening:
        return {}
    match heard.what:
        case "partial":
            session.emit(PartialTranscript(content=heard.content, stable=heard.stable))
        case "final":
            said = Utterance(heard.content[:MAX_CHARS], "voice", heard.id)
            return {"turn": turns.say(said, None)}
        case "barge_in" if heard.step == "interrupted":
            turns.interrupt(None, None)
        case "barge_in":
            session.emit(BargeIn(state=heard.step))
        case "error":
            session.emit(ErrorMessage(code=heard.code, message=heard.content, retryable=heard.retryable))
    return {}
