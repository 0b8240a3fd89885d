"""Access: who may use this server, and from which pages. Not: what they may use it for."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from api.access.shares import Shares
from api.errors import AccessDenied
from api.settings import Settings
from api.streams import Streams

if TYPE_CHECKING:
    from api.access.users import Users

LOCAL_OWNER = "local"
"""Owner of everything that is made by who brings nothing, where that is allowed."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose request this is."""

    owner: str
    """Whose session a guest hears."""
    kind: Literal["local", "key", "user", "guest"] = "local"
    until: float = math.inf
    """When the right to be here ends, in seconds since 1970."""
    share: str = ""
    """Of a guest: the digest of the link."""


class Access:
    """Keys, users, tickets, links and origins."""

    def __init__(self, settings: Settings, streams: Streams) -> None:
        self.shares = Shares(streams)
        self._users = _users_of(settings.supabase_url)
        self._keys = settings.api_keys
        self._is_open = settings.is_open
        self._streams = streams
        self._origins = {origin.rstrip("/").casefold() for origin in settings.allowed_origins}

    def start(self) -> None:
        """Begin to look after keys and links."""
        self.shares.start()
        if self._users:
            self._users.start()

    async def stop(self) -> None:
        """Look no more."""
        await self.shares.stop()
        if self._users:
            await self._users.stop()

    async def asker(self, authorization: str | None, ticket: str | None = None) -> Asker:
        """Whose request this is.

        Raises: AccessDenied, UsersUnreachable, StreamsError.
        """
        if self._is_open and not self._keys and not self._users:
            return Asker(LOCAL_OWNER)
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.casefold() == "bearer" and (found := await self._who_brings(token.strip())):
            return found
        if ticket and (kept := await self._streams.use_ticket(_digest(ticket))):
            return _read(kept)
        if self._is_open and authorization is None and ticket is None:
            return Asker(LOCAL_OWNER)
        raise AccessDenied()

    async def guest(self, session: str, token: str) -> Asker:
        """Who comes by a link to a session, on behalf of whom it belongs to.

        Raises: ShareUnknown, StreamsError.
        """
        digest = await self.shares.find(session, token)
        owner = (await self._streams.load_session(session)).get("owner", "")
        return Asker(owner, "guest", share=digest)

    async def make_ticket(self, asker: Asker) -> str:
        """A ticket that opens one socket or event stream within a minute: for browsers, which can send no header."""
        ticket = secrets.token_urlsafe(32)
        until = asker.until if math.isfinite(asker.until) else 0
        await self._streams.keep_ticket(_digest(ticket), json.dumps([asker.owner, asker.kind, until]))
        return ticket

    def is_known_origin(self, origin: str | None, host: str | None) -> bool:
        """Whether a socket may be opened from a page of `origin`: the server's own pages, and those allowed.

        Programs send no Origin at all and are judged by their key alone.
        """
        if origin is None:
            return True
        if origin.rstrip("/").casefold() in self._origins:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in {"http", "https"} and parts.netloc.casefold() == (host or "").casefold() != ""

    async def _who_brings(self, token: str) -> Asker | None:
        # All of them are looked at, so that time does not tell which.
        if sum(_same(token, known) for known in self._keys):
            return Asker(_digest(token)[:32], "key")
        user = await self._users.find(token) if self._users and token else None
        return Asker(user.id, "user", until=user.until) if user else None


def is_over(asker: Asker) -> bool:
    """Whether the right to be here has ended."""
    return time.time() >= asker.until


def _users_of(url: str) -> Users | None:
    if not url:
        return None
    from api.access.users import Users  # needs the extra

    return Users(url)


def _read(kept: str) -> Asker:
    owner, kind, until = json.loads(kept)
    return Asker(owner, kind, until=until or math.inf)


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode(), known.encode())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
