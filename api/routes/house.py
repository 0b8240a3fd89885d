"""House: what a route needs of the process, found on the app; and who is asking. Not: any route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import HTTPConnection

from api.access import Access
from api.inbox import Inbox
from api.sessions import Sessions
from api.settings import Llm, Settings
from api.streams import Streams
from api.turn.dispatch import Dispatcher
from api.turn.session import Session


@dataclass(slots=True)
class House:
    """The parts of one api process."""

    settings: Settings
    llm: Llm
    streams: Streams
    inbox: Inbox
    dispatcher: Dispatcher
    sessions: Sessions
    access: Access
    sockets: int = 0


def find_house(connection: HTTPConnection) -> House:
    """The parts of this process."""
    house: House = connection.app.state.house
    return house


async def find_owner(connection: HTTPConnection) -> str:
    """Whose request this is; AccessDenied otherwise."""
    return await find_house(connection).access.owner(connection.headers.get("authorization"))


async def find_listener(connection: HTTPConnection, ticket: Annotated[str | None, Query(max_length=64)] = None) -> str:
    """The same where a browser can send no header, and brings a ticket instead."""
    return await find_house(connection).access.owner(connection.headers.get("authorization"), ticket)


AHouse = Annotated[House, Depends(find_house)]
AnOwner = Annotated[str, Depends(find_owner)]


async def find_session(session_id: str, house: AHouse, owner: AnOwner) -> Session:
    """The session in the path, if it is the asker's; SessionUnknown otherwise."""
    return await house.sessions.find(session_id, owner)


async def find_heard_session(session_id: str, house: AHouse, owner: Annotated[str, Depends(find_listener)]) -> Session:
    """The same for who may bring a ticket."""
    return await house.sessions.find(session_id, owner)


ASession = Annotated[Session, Depends(find_session)]
AHeardSession = Annotated[Session, Depends(find_heard_session)]
