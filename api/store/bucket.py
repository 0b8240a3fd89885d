"""Bucket: a Shelf in Supabase Storage, for the processes of any number of machines. Not: which files there are.

The bucket is private (supabase/migrations): the server puts files there with its secret key, and who may hear one is
given an address that works for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from storage3 import AsyncStorageClient
from storage3.exceptions import StorageApiError

from api.store.shelf import SHOWN_S, place
from api.store.store import StoreDown, StoreRefused

BUCKET = "audio"
ANSWER_S = 30.0
CONNECT_S = 3.0
AT_ONCE = 500
"""Files that are forgotten with one question."""
LISTED = 1000
_REFUSALS = {"400", "413", "415"}
_NO_BUCKET = "Bucket not found"


class BucketShelf:
    """Reached when it is first asked."""

    is_elsewhere = True

    def __init__(self, url: str, key: str) -> None:
        self.name = f"Supabase Storage, {urlsplit(url).netloc.rpartition('@')[2]}, bucket {BUCKET}"
        self._line = httpx.AsyncClient(timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S))
        headers = {"apikey": key, "authorization": f"Bearer {key}"}
        self._files = AsyncStorageClient(f"{url}/storage/v1/", headers, http_client=self._line).from_(BUCKET)

    async def put(self, owner: str, name: str, path: Path, media_type: str) -> None:
        """Keep a copy."""
        async with _asked():
            with await asyncio.to_thread(path.open, "rb") as file:
                await self._files.upload(place(owner, name), file, {"content-type": media_type, "upsert": "true"})

    async def find(self, owner: str, name: str, ttl_s: int = SHOWN_S, download: str = "") -> Path | str | None:
        """Always an address."""
        try:
            async with _asked():
                signed = await self._files.create_signed_url(place(owner, name), ttl_s, {"download": download or False})
        except _NotThere:
            return None
        return signed["signedURL"]

    async def fetch(self, owner: str, name: str, path: Path) -> bool:
        """Copy it, a piece at a time."""
        if not (address := await self.find(owner, name)):
            return False
        async with _asked(), self._line.stream("GET", str(address)) as answer:
            answer.raise_for_status()
            with await asyncio.to_thread(path.open, "wb") as file:
                async for piece in answer.aiter_bytes():
                    await asyncio.to_thread(file.write, piece)
        return True

    async def remove(self, owner: str, names: Iterable[str]) -> None:
        """Forget files."""
        places = [place(owner, name) for name in names]
        for first in range(0, len(places), AT_ONCE):
            async with _asked():
                await self._files.remove(places[first : first + AT_ONCE])

    async def names(self, owner: str, folder: str) -> list[str]:
        """What the folder holds."""
        async with _asked():
            found = await self._files.list(place(owner, folder), {"limit": LISTED})
        return [f"{folder}/{one['name']}" for one in found]

    async def close(self) -> None:
        """Close the connections."""
        await self._line.aclose()


class _NotThere(StoreRefused):
    """There is no such file."""


@asynccontextmanager
async def _asked() -> AsyncIterator[None]:
    """What the server, the line or the disk says against it in the words of store.py."""
    try:
        yield
    except StorageApiError as error:
        # The code of the answer is 400 for almost everything; what it is about stands in its body.
        if _NO_BUCKET in error.message:
            raise StoreDown(f"it has no bucket {BUCKET!r}: apply supabase/migrations") from error
        if str(error.status) == "404":
            raise _NotThere from error
        raise (StoreRefused if str(error.status) in _REFUSALS else StoreDown)(error.message) from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise StoreDown(str(error) or type(error).__name__) from error
