"""House: what a route needs of the process, found on the app; and who is asking. Not: any route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Query
from starlette.requests import HTTPConnection

from api.access.access import Access, Asker
from api.admission import Admission
from api.casting.characters import Characters
from api.casting.clips import Clips
from api.inbox import Inbox
from api.listening.files import Files
from api.listening.hearing import Hearing
from api.render.desk import Desk
from api.session.session import Session
from api.session.sessions import Sessions
from api.settings import Llm, Settings
from api.speaking.offers import Offers
from api.speaking.readings import Readings
from api.store.archive import Archive
from api.store.shelf import Shelf
from api.streams import Streams
from api.turn.dispatch import Dispatcher


@dataclass(slots=True)
class House:
    """The parts of one api process."""

    settings: Settings
    llm: Llm
    streams: Streams
    inbox: Inbox
    dispatcher: Dispatcher
    sessions: Sessions
    archive: Archive
    characters: Characters
    access: Access
    admission: Admission
    hearing: Hearing
    files: Files
    readings: Readings
    offers: Offers
    desk: Desk
    shelf: Shelf
    clips: Clips
    is_draining: bool = False
    """Asked to end: what runs is ended or handed over, nothing new comes."""


def find_house(connection: HTTPConnection) -> House:
    """The parts of this process."""
    house: House = connection.app.state.house
    return house


async def find_asker(connection: HTTPConnection) -> Asker:
    """Whose request this is; AccessDenied otherwise."""
    return await find_house(connection).access.asker(connection.headers.get("authorization"))


Ticket = Annotated[str | None, Query(max_length=64)]


async def find_ticket_owner(connection: HTTPConnection, ticket: Ticket = None) -> str:
    """The owner, where a browser can send no header and brings a ticket instead."""
    access = find_house(connection).access
    return (await access.asker(connection.headers.get("authorization"), ticket)).owner


async def find_listener(
    connection: HTTPConnection,
    session_id: Annotated[str, Path()],
    ticket: Ticket = None,
    share: Annotated[str | None, Query(max_length=64)] = None,
) -> Asker:
    """The same for the session in the path, to which a link may lead, and nowhere else."""
    access = find_house(connection).access
    if share is not None:
        return await access.guest(session_id, share)
    return await access.asker(connection.headers.get("authorization"), ticket)


AHouse = Annotated[House, Depends(find_house)]


async def take_room(house: AHouse) -> AsyncIterator[None]:
    """Room for a listener until its answer has been sent to the end; ServerBusy otherwise."""
    with house.admission.listener():
        yield


AnAsker = Annotated[Asker, Depends(find_asker)]
AListener = Annotated[Asker, Depends(find_listener)]


async def find_owner(asker: AnAsker) -> str:
    """To whom belongs what this request is about."""
    return asker.owner


AnOwner = Annotated[str, Depends(find_owner)]
ATicketOwner = Annotated[str, Depends(find_ticket_owner)]


async def find_session(session_id: str, house: AHouse, owner: AnOwner) -> Session:
    """The session in the path, if it is the asker's; SessionUnknown otherwise."""
    return await house.sessions.find(session_id, owner)


async def find_heard_session(session_id: str, house: AHouse, listener: AListener) -> Session:
    """The same for who may bring a ticket or a link."""
    return await house.sessions.find(session_id, listener.owner)


ASession = Annotated[Session, Depends(find_session)]
AHeardSession = Annotated[Session, Depends(find_heard_session)]
