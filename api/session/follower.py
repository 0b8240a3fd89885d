"""Follower: keeps a session up to date that another process holds, until it is held here. Not: the claims."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from api.errors import HolderSilent, SessionUnknown
from api.events import AnyClientMessage
from api.session.neighbours import Answer, NeighbourSilent
from api.session.tail import Tail
from api.streams import StreamsError

if TYPE_CHECKING:
    from api.session.holdings import Holdings
    from api.session.session import Session
    from api.session.voiced import Voiced

log = logging.getLogger(__name__)

FOLLOW_S = 0.03
"""How often a followed session is looked at while somebody listens."""
SETTLE_S = 0.25
"""How often a followed session's holder is asked for."""
ASK_S = 2.0
"""How often that holder is asked to let the session go to where it is listened to."""
FORWARD_S = 5.0
"""How long a message may take to reach whoever holds the session: longer than it takes to notice that nobody does."""
FORGOTTEN_S = 3.0
"""A session that Redis has known nothing of for this long is gone: whoever holds it would have written it again."""


async def forward(session: Session, message: AnyClientMessage | Voiced, holdings: Holdings) -> Answer | None:
    """Have the holder hear what a client says; None as soon as the session is held here, or is no more.

    Raises: HolderSilent, ConversationError.
    """
    deadline = time.monotonic() + FORWARD_S
    while session.turns is None and not session.is_closed:
        try:
            return await holdings.hand_on(session, message)
        except NeighbourSilent as error:
            if time.monotonic() > deadline:
                raise HolderSilent from error
        await asyncio.sleep(SETTLE_S)
        session.used_at = time.monotonic()
        with suppress(StreamsError, SessionUnknown):
            await holdings.settle(session, ask=True)
    return None


async def follow(session: Session, tail: Tail, holdings: Holdings) -> None:
    """Until the session is held here, or is no more."""
    settled_at = known_at = time.monotonic()
    asked_at = settled_at - ASK_S
    while session.turns is None and not session.is_closed:
        has_news = False
        try:
            has_news = await tail.step()
            if (now := time.monotonic()) - settled_at > SETTLE_S:
                settled_at, asks = now, now - asked_at > ASK_S
                asked_at = now if asks else asked_at
                await holdings.settle(session, ask=asks)
                known_at = now
        except SessionUnknown:
            if time.monotonic() - known_at > FORGOTTEN_S:
                holdings.on_forgotten(session)
                return
        except StreamsError as error:
            log.warning("a session cannot be followed: %s", error)
            await asyncio.sleep(SETTLE_S)
        except Exception:  # whoever listens must not wait for ever for what one odd record holds up
            log.exception("a session is followed with difficulty")
            await asyncio.sleep(SETTLE_S)
        if not has_news:
            await asyncio.sleep(FOLLOW_S)
