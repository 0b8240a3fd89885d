"""Clips: each owner's recordings that voices may sound like, kept, handed to workers, deleted. Not: being spoken like.

A clip never changes, so whoever has it has the right one. The Store knows whose it is, the Shelf has its sound, and
Redis has it while jobs name it: workers may be anywhere and reach nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import tempfile
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.admission import refusal
from api.casting.errors import AudioSilent, AudioTooShort, ClipUnknown, TooManyClips
from api.encoding.apart import Refused, read_apart
from api.encoding.riff import HEAD_BYTES, wav_head
from api.errors import AudioTooLong, AudioUnreadable, NameTaken, StoreUnreachable
from api.speaking.voices import OPENAI_VOICES
from api.store.shelf import Shelf
from api.store.store import Owned, Row, Store, StoreError
from api.streams import Streams, StreamsError
from contract.audio import bytes_to_ms
from contract.errors import QueueUnreachable, SpeechError, VoiceUnknown
from contract.voice import Voice

log = logging.getLogger(__name__)

TABLE = "clips"
MAX_CLIPS = 50
"""Of one owner."""
NAME_CHARS, WORDS_CHARS = 64, 1000
ASK_S, FETCH_S = 3.0, 10.0
READ_S = 30.0
AT_ONCE = 2
"""Files that are read at the same time: each is a process that may take a gigabyte."""
MAX_KNOWN = 10_000
_REFUSALS = {kind.code: kind for kind in (AudioUnreadable, AudioTooLong, AudioTooShort, AudioSilent)}
Provide = Callable[[str, Voice], Awaitable[None]]
"""`Clips.provide`, for those who need no more of them."""
TAKEN = "There is a voice of this name already."


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording, and what there is to be known of it."""

    id: str
    name: str
    text: str
    """What is said in it."""
    duration_ms: int
    consented_at: int
    """When its owner said that whoever speaks in it agrees; milliseconds since 1970, as the next."""
    created_at: int

    def to_dict(self) -> dict[str, Any]:
        """As OpenAI's clients know a voice, and what we know besides."""
        return {
            "id": self.id,
            "object": "audio.voice",
            "name": self.name,
            "created_at": self.created_at // 1000,
            "consented_at": self.consented_at // 1000,
            "duration_ms": self.duration_ms,
            "ref_text": self.text,
        }

    def to_offer(self, engine: str = "") -> dict[str, str]:
        """As workers offer voices."""
        return {"name": self.id, "label": self.name, "language": "en-us", "gender": "", "engine": engine}


class Clips:
    """Those of every owner."""

    def __init__(self, store: Store, shelf: Shelf, streams: Streams) -> None:
        self._store = store
        self._shelf = shelf
        self._streams = streams
        self._reading = 0
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        """(owner, clip) that the Store has said to be so; it ends when the clip is in Redis no more."""

    async def all(self, owner: str) -> list[Clip]:
        """An owner's, the oldest first. Raises: StoreUnreachable."""
        async with self._asked(owner) as rows:
            return [_read(row) for row in await rows.all(TABLE, {}, ("created_at", "id"))]

    async def check(self, owner: str, name: str) -> None:
        """Whether one more may be kept, under that name. Raises: NameTaken, TooManyClips, StoreUnreachable."""
        own = await self.all(owner)
        if len(own) >= MAX_CLIPS:
            raise TooManyClips
        taken = {clip.name.casefold() for clip in own} | set(OPENAI_VOICES)
        if name.casefold() in taken:
            raise NameTaken(TAKEN)

    async def read(self, data: bytes) -> bytes:
        """Any sound file as s16le mono 24 kHz, without silence around it, as loud as speech is.

        Raises: AudioUnreadable, AudioTooLong, AudioTooShort, AudioSilent, ServerBusy.
        """
        if self._reading >= AT_ONCE:
            raise refusal("clip")
        self._reading += 1
        try:
            return await read_apart("api.casting.clip_file", data, READ_S)
        except TimeoutError as error:
            raise AudioTooLong("The file takes too long to read.") from error
        except Refused as refused:
            raise _REFUSALS.get(refused.code, AudioUnreadable)(refused.text) from refused
        finally:
            self._reading -= 1

    async def add(self, owner: str, name: str, text: str, pcm: bytes) -> Clip:
        """Keep one whose owner has just said that whoever speaks in it agrees.

        Raises: NameTaken, StoreUnreachable, and then nothing is kept.
        """
        now = int(time.time() * 1000)
        clip = Clip(f"voice_{secrets.token_hex(16)}", name, text, bytes_to_ms(len(pcm)), now, now)
        row = {field: getattr(clip, field) for field in Clip.__slots__}
        try:
            await self._keep(owner, clip.id, pcm)
            async with self._asked(owner) as rows:
                if await rows.add(TABLE, row):
                    return clip
        except BaseException:
            await self._clear(owner, clip.id)
            raise
        await self._clear(owner, clip.id)
        raise NameTaken(TAKEN)

    async def delete(self, owner: str, clip: str) -> None:
        """Forget it wherever it is. Raises: ClipUnknown, StoreUnreachable, and then it can be tried again."""
        async with self._asked(owner) as rows:
            if await rows.one(TABLE, clip) is None:
                raise ClipUnknown
        try:
            await self._shelf.remove(owner, [_file(clip)])
        except StoreError as error:
            raise StoreUnreachable from error
        async with self._asked(owner) as rows:
            await rows.remove(TABLE, {"id": clip})
        self._known.pop((owner, clip), None)
        await self._streams.forget_clip(clip)

    async def provide(self, owner: str, voice: Voice) -> None:
        """Have a voice's recording where workers find it, if this owner may have it; a voice without one costs nothing.

        Raises: SpeechError.
        """
        if not voice.anchor:
            return
        try:
            await self._provide(owner, voice.anchor)
        except StreamsError as error:
            raise QueueUnreachable from error
        except (StoreError, StoreUnreachable, TimeoutError, OSError) as error:
            log.warning("a recorded voice cannot be had: %s", error)
            raise SpeechError("The recording of this voice cannot be reached at the moment.") from error

    async def _provide(self, owner: str, clip: str) -> None:
        if (owner, clip) in self._known and await self._streams.renew_clip(clip):
            return
        row = await self._row(owner, clip)
        if not await self._streams.renew_clip(clip):
            await self._streams.put_clip(clip, await self._fetch(owner, clip), row["text"])
            try:
                await self._row(owner, clip)
            except VoiceUnknown:
                await self._streams.forget_clip(clip)  # it was deleted meanwhile
                raise
        self._known[owner, clip] = None
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    async def _row(self, owner: str, clip: str) -> Row:
        async with self._asked(owner) as rows:
            if row := await rows.one(TABLE, clip):
                return row
        raise VoiceUnknown("The recording of this voice was deleted, or is not yours.")

    async def _keep(self, owner: str, clip: str, pcm: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="cueline-") as folder:
            path = Path(folder) / "clip.wav"
            await asyncio.to_thread(path.write_bytes, wav_head(len(pcm)) + pcm)
            try:
                async with asyncio.timeout(FETCH_S):
                    await self._shelf.put(owner, _file(clip), path, "audio/wav")
            except (StoreError, TimeoutError) as error:
                raise StoreUnreachable from error

    async def _fetch(self, owner: str, clip: str) -> bytes:
        with tempfile.TemporaryDirectory(prefix="cueline-") as folder:
            path = Path(folder) / "clip.wav"
            async with asyncio.timeout(FETCH_S):
                if not await self._shelf.fetch(owner, _file(clip), path):
                    raise VoiceUnknown("The recording of this voice is lost.")
            return (await asyncio.to_thread(path.read_bytes))[HEAD_BYTES:]

    async def _clear(self, owner: str, clip: str) -> None:
        """A file that no row names."""
        try:
            async with asyncio.timeout(ASK_S):
                await self._shelf.remove(owner, [_file(clip)])
        except (StoreError, TimeoutError) as error:
            log.warning("a recording that nobody has is left: %s", error)

    @asynccontextmanager
    async def _asked(self, owner: str) -> AsyncIterator[Owned]:
        try:
            async with asyncio.timeout(ASK_S):
                yield Owned(self._store, owner)
        except (StoreError, TimeoutError) as error:
            raise StoreUnreachable from error


async def no_clips(owner: str, voice: Voice) -> None:
    """Where nobody keeps recordings: a voice that is to sound like one cannot be had."""
    if voice.anchor:
        raise VoiceUnknown("There are no recorded voices here.")


def _file(clip: str) -> str:
    return f"clips/{clip}.wav"


def _read(row: Row) -> Clip:
    return Clip(*(row[field] for field in Clip.__slots__))
