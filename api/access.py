"""Access: who may use this server, and from which pages. Not: what they may use it for."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from urllib.parse import urlsplit

from api.errors import AccessDenied
from api.settings import Settings
from api.streams import Streams

LOCAL_OWNER = "local"
"""Owner of everything where access is off."""


class Access:
    """Keys, tickets and origins."""

    def __init__(self, settings: Settings, streams: Streams) -> None:
        self._keys = settings.api_keys
        self._streams = streams
        self._origins = {origin.rstrip("/").casefold() for origin in settings.allowed_origins}

    async def owner(self, authorization: str | None, ticket: str | None = None) -> str:
        """Whose request this is.

        Raises: AccessDenied.
        """
        if not self._keys:
            return LOCAL_OWNER
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.casefold() == "bearer" and any(_same(key.strip(), known) for known in self._keys):
            return _digest(key.strip())[:32]
        if ticket and (owner := await self._streams.use_ticket(_digest(ticket))):
            return owner
        raise AccessDenied()

    async def make_ticket(self, owner: str) -> str:
        """A ticket that opens one socket or event stream within a minute: for browsers, which can send no header."""
        ticket = secrets.token_urlsafe(32)
        await self._streams.keep_ticket(_digest(ticket), owner)
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


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode(), known.encode())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
