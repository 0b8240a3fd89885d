"""Users: those of a Supabase project, known by the tokens that it signs. Not: passwords, what a user may see.

The project publishes its public keys; nobody but it can sign, so nothing here is a secret and no token is sent away.
Keys are kept and asked for again beside the requests; a key that is new is asked for when its first token comes. Where
the project cannot be asked, who comes is told to come again: never let in, never sent away for good.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
import uuid
from dataclasses import dataclass
from typing import Any

import httpx
import jwt

from api.ending import end_tasks
from api.errors import UsersUnreachable

log = logging.getLogger(__name__)

ALGORITHMS = ("ES256", "RS256")
"""Only such that those who can check a token cannot sign one."""
AUDIENCE = "authenticated"
LEEWAY_S = 10
"""By which the project's clock may differ from ours."""
ANSWER_S = 3.0
FRESH_S, GOOD_S = 600.0, 3600.0
"""After the first, keys are asked for again in the background; after the second they count no more."""
AGAIN_S = 5.0
"""Between two questions, however many tokens come that nobody has signed."""
MAX_BYTES, MAX_KEYS = 65_536, 32
_CLAIMS = ("exp", "sub", "aud", "iss")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who has signed in."""

    id: str
    until: float
    """When the token expires, in seconds since 1970."""


class Users:
    """Of one project."""

    def __init__(self, url: str) -> None:
        self._issuer = f"{url}/auth/v1"
        self._address = f"{self._issuer}/.well-known/jwks.json"
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at = self._asked_at = -math.inf
        self._asking: asyncio.Task[None] | None = None
        self._line = httpx.AsyncClient(timeout=ANSWER_S)

    def start(self) -> None:
        """Ask for the keys before anybody comes."""
        self._ask()

    async def stop(self) -> None:
        """Ask no more."""
        await end_tasks(self._asking)
        await self._line.aclose()

    async def find(self, token: str) -> User | None:
        """Whose token this is; None if the project did not sign it, not for this, or not for now.

        Raises: UsersUnreachable.
        """
        try:
            head = jwt.get_unverified_header(token)
            if head.get("alg") not in ALGORITHMS or not (key := await self._key(str(head.get("kid")))):
                return None
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=AUDIENCE,
                issuer=self._issuer,
                leeway=LEEWAY_S,
                options={"require": list(_CLAIMS)},
            )
            # As Postgres writes it, because row level security compares it with the owner of a row.
            return User(str(uuid.UUID(claims["sub"])), float(claims["exp"]))
        except (jwt.InvalidTokenError, ValueError) as error:
            log.debug("a token is refused: %s", error)
            return None

    async def _key(self, name: str) -> jwt.PyJWK | None:
        if name not in self._keys or self._age() > GOOD_S:
            if self._asking is None and time.monotonic() - self._asked_at > AGAIN_S:
                self._ask()
            if self._asking:
                await asyncio.wait({self._asking})
            if self._read_at < self._asked_at:
                raise UsersUnreachable
        elif self._age() > FRESH_S and time.monotonic() - self._asked_at > AGAIN_S:
            self._ask()
        return self._keys.get(name)

    def _age(self) -> float:
        return time.monotonic() - self._read_at

    def _ask(self) -> None:
        """In the background; once at a time."""
        if self._asking is None:
            self._asked_at = time.monotonic()
            self._asking = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_S), self._line.stream("GET", self._address) as answer:
                answer.raise_for_status()
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > MAX_BYTES:
                        raise ValueError("the list of keys is too long")
            self._keys = _known(json.loads(body))
            self._read_at = time.monotonic()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, ValueError) as error:
            log.warning("the keys of the project's users cannot be had: %s", str(error) or type(error).__name__)
        finally:
            self._asking = None


def _known(body: Any) -> dict[str, jwt.PyJWK]:
    """The keys that are ours to use, by name. Raises: ValueError for what is no list of keys."""
    if not isinstance(body, dict) or not isinstance(body.get("keys"), list):
        raise ValueError("this is no list of keys")
    found = {}
    for fields in body["keys"][:MAX_KEYS]:
        if not isinstance(fields, dict) or fields.get("kty") not in {"EC", "RSA"} or not fields.get("kid"):
            continue
        try:
            key = jwt.PyJWK(fields)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            log.warning("a key of the project makes no sense: %s", error)
            continue
        if key.algorithm_name in ALGORITHMS:
            found[str(fields["kid"])] = key
    return found
