"""Higgs' voices begin with their anchors, and go on from what they have said: with the tiny checkpoint, and Redis."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

import numpy as np
import pytest
from redis import Redis

from contract import keys
from contract.errors import VoiceUnknown
from contract.job import SpeechJob
from contract.voice import Voice
from tests.workers.test_synthesis import Shelf
from workers.recall import anchors
from workers.recall.anchorage import Anchorage
from workers.recall.said import Memory, read_spoken
from workers.settings import settings
from workers.synthesis import speak
from workers.tts.engine import Spoken

if not find_spec("torch"):
    pytest.skip("NOT TESTED: needs the extra higgs", allow_module_level=True)

from tests.higgs.tiny_checkpoint import write_tiny_checkpoint
from workers.tts.higgs.engine import HiggsEngine
from workers.tts.higgs.prompt import Prompt


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HiggsEngine]:
    import torch

    model, codec = write_tiny_checkpoint(tmp_path_factory.mktemp("higgs"), ends=False)
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUELINE_HIGGS_MODEL", str(model))
        patch.setenv("CUELINE_HIGGS_CODEC", str(codec))
        # Random weights never end a sentence: it is as long as it may be.
        patch.setattr("workers.tts.higgs.engine.most_frames", lambda text: 12 + len(text) // 10)
        patch.setattr(anchors, "MIN_FRAMES", 5)
        settings.cache_clear()
        made = HiggsEngine()
        made.load()
        yield made
        settings.cache_clear()


@pytest.fixture
def anchored(engine: HiggsEngine, redis: Redis) -> HiggsEngine:
    engine.find_anchors_at(Anchorage(redis))
    return engine


def say(engine: HiggsEngine, voice: Voice) -> bytes:
    return b"".join(engine.speak("Hear this.", voice, 7))


def test_a_described_voice_is_cast_once_and_changes_what_is_said(anchored: HiggsEngine, redis: Redis) -> None:
    voice = Voice(description=f"masculine, {uuid.uuid4().hex}")
    first = say(anchored, voice)
    names = redis.keys("cueline:*:anchor")
    assert len(names) == 1
    cast = read_spoken(redis.hget(names[0], "higgs") or "", "higgs")  # type: ignore[arg-type]
    assert (cast.text, len(cast.codes)) == (anchors.LINES["en"], 8)
    assert say(anchored, voice) == first
    anchored.find_anchors_at(Anchorage(redis))  # as another worker
    assert say(anchored, voice) == first
    anchored.anchor_of = lambda voice: None
    assert say(anchored, voice) != first


def test_a_recording_is_spoken_like_until_it_is_deleted(anchored: HiggsEngine, redis: Redis) -> None:
    clip = f"voice_{uuid.uuid4().hex}"
    hum = np.rint(8000 * np.sin(np.arange(24_000) * 0.06)).astype("<i2")
    redis.hset(keys.clip(clip), mapping={"pcm": hum.tobytes(), "text": "A hum."})
    like_it, unlike_it = say(anchored, Voice(clip)), say(anchored, Voice())
    assert like_it
    assert like_it != unlike_it
    assert read_spoken(redis.hget(keys.anchor(clip), "higgs") or "", "higgs").codes.shape == (8, 25)  # type: ignore[arg-type]
    redis.delete(keys.clip(clip), keys.anchor(clip))
    with pytest.raises(VoiceUnknown):
        say(anchored, Voice(clip))


def test_a_sentence_goes_on_from_what_was_said_before(
    anchored: HiggsEngine, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, memory = uuid.uuid4().hex, Memory(redis)
    read: list[list[str]] = []
    assert anchored._opened
    rest = anchored._opened.prompts.rest

    def note(before: Sequence[Spoken], text: str, *, has_description: bool) -> Prompt:
        read.append([spoken.text for spoken in before])
        assert all(spoken.codes.shape[0] == 8 for spoken in before)
        return rest(before, text, has_description=has_description)

    monkeypatch.setattr(anchored._opened.prompts, "rest", note)
    say(anchored, Voice())
    read.clear()
    for sentence, context in enumerate(["talk", "talk", "talk", "talk", ""]):
        job = SpeechJob(session, 0, sentence, 1, f"Hear {sentence}.", Voice(), "Ava", "inbox", "ava", context)
        assert speak(job, anchored, Shelf(), memory=memory) == "spoken"
    assert read == [[], ["Hear 0."], ["Hear 0.", "Hear 1."], ["Hear 1.", "Hear 2."], []]


def test_a_direction_makes_nobody_else_of_the_speaker(anchored: HiggsEngine, redis: Redis) -> None:
    before = set(redis.keys("cueline:*:anchor"))
    for how in ("", "whispering", "out of breath"):
        assert say(anchored, Voice("ada").directed(how))
    assert len(set(redis.keys("cueline:*:anchor")) - before) == 1
