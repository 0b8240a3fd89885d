"""Stage and Parts: where a turn is heard, and what it needs of the process it runs in. Not: the turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from api.admission import Admission
from api.casting.clips import Provide, no_clips
from api.characters import Cast
from api.ensemble.playbill import Playbill
from api.events import ServerMessage
from api.inbox import Inbox
from api.speaking.lexicon import Lexicon
from api.streams import Streams
from api.turn.dispatch import Dispatcher
from api.turn.tokens import Model
from contract.chunk import Chunk


class Stage(Protocol):
    """Where a turn is heard and seen: its session."""

    id: str
    owner: str
    playbill: Playbill
    """Who takes part, and how it is set now."""

    def emit(self, message: ServerMessage) -> None:
        """To everybody, and mirrored."""

    def play(self, chunk: Chunk) -> None:
        """To everybody who listens."""

    def silence(self, turn: int) -> None:
        """Let no more sound of a turn out."""


@dataclass(slots=True)
class Parts:
    """What every turn needs of the process it runs in."""

    streams: Streams
    inbox: Inbox
    dispatcher: Dispatcher
    model: Model
    admission: Admission
    cast: Cast = field(default_factory=Cast)
    lexicon: Lexicon = field(default_factory=Lexicon)
    """How words are said."""
    provide: Provide = no_clips
    """Has the recording of an owner's voice where workers find it."""
