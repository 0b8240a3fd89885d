"""A recorded voice is its owner's, whole or not there, in every Store; workers get it from whichever process."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.casting.clips import Clips
from api.casting.errors import ClipUnknown
from api.errors import NameTaken, StoreUnreachable
from api.store.shelf import FolderShelf
from api.store.store import Store
from contract.errors import SpeechError, VoiceUnknown
from contract.voice import Voice
from tests.fakes import UnpluggedStore

PCM = b"\1\2" * 96_000


class Blobs:
    """What Redis has, in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[bytes, str]] = {}

    async def renew_clip(self, clip: str) -> bool:
        return clip in self.kept

    async def put_clip(self, clip: str, pcm: bytes, text: str) -> None:
        self.kept[clip] = (pcm, text)

    async def forget_clip(self, clip: str) -> None:
        self.kept.pop(clip, None)


@pytest.fixture
def blobs() -> Blobs:
    return Blobs()


@pytest.fixture
def plug(store: Store) -> UnpluggedStore:
    return UnpluggedStore(store)


@pytest.fixture
def clips(plug: UnpluggedStore, blobs: Blobs, tmp_path: Path) -> Clips:
    return Clips(plug, FolderShelf(tmp_path / "shelf"), blobs)  # type: ignore[arg-type]


async def test_it_is_its_owner_s_and_nobody_else_s(clips: Clips, blobs: Blobs) -> None:
    clip = await clips.add("ann", "Maud", "What she says.", PCM)
    assert await clips.all("ann") == [clip]
    assert await clips.all("bob") == []
    for _ in range(2):  # the second time the workers have it already
        await clips.provide("ann", Voice(clip.id))
        assert blobs.kept == {clip.id: (PCM, "What she says.")}
        with pytest.raises(VoiceUnknown):
            await clips.provide("bob", Voice(clip.id))
    with pytest.raises(ClipUnknown):
        await clips.delete("bob", clip.id)
    await clips.provide("bob", Voice("default"))
    await clips.delete("ann", clip.id)
    assert (await clips.all("ann"), blobs.kept) == ([], {})
    with pytest.raises(VoiceUnknown):
        await clips.provide("ann", Voice(clip.id))


async def test_a_name_is_taken_once_and_leaves_no_file(clips: Clips, tmp_path: Path) -> None:
    await clips.add("ann", "Maud", "One.", PCM)
    with pytest.raises(NameTaken):
        await clips.add("ann", "Maud", "Two.", PCM)
    await clips.add("bob", "Maud", "Three.", PCM)
    assert len([path for path in (tmp_path / "shelf").rglob("*") if path.is_file()]) == 2


async def test_while_the_store_is_down_who_is_known_to_the_workers_speaks_on(
    clips: Clips, plug: UnpluggedStore, blobs: Blobs
) -> None:
    clip = await clips.add("ann", "Maud", "One.", PCM)
    await clips.provide("ann", Voice(clip.id))
    plug.is_plugged = False
    await clips.provide("ann", Voice(clip.id))
    blobs.kept.clear()
    with pytest.raises(SpeechError) as told:
        await clips.provide("ann", Voice(clip.id))
    assert not isinstance(told.value, VoiceUnknown)
    with pytest.raises(StoreUnreachable):
        await clips.delete("ann", clip.id)
    with pytest.raises(StoreUnreachable):
        await clips.add("ann", "Ben", "Two.", PCM)
    plug.is_plugged = True
    await clips.provide("ann", Voice(clip.id))
    assert clip.id in blobs.kept
