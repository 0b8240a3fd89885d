"""Waking: a session that Redis has forgotten goes on with what is at rest. Not: what that is (store/archive.py)."""

from __future__ import annotations

import time

from api.errors import SessionUnknown
from api.events import Status
from api.store.archive import Archive
from api.streams import Streams


async def wake(streams: Streams, archive: Archive, session: str, owner: str) -> dict[str, str]:
    """Tell Redis what there is of a session; what Redis knows of it then.

    Raises: SessionUnknown, StoreUnreachable, StreamsError.
    """
    kept = await archive.find(session, owner)
    if kept is None:
        raise SessionUnknown
    fields = {"owner": owner, "next_turn": str(kept.turns), "character": kept.character, **kept.playbill}
    # Numbers of events never come back: a listener of yesterday names one of its own. Seconds grow faster than talk.
    event = int(time.time())
    first = Status(status="idle").to_json(session, f"{event}-0")
    await streams.wake_session(session, fields, [said.to_dict() for said in kept.messages], event, first)
    return await streams.load_session(session)
