"""A voice begins with the same seconds of speech on every worker: cloned from a recording, or cast once."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace

import numpy as np
import pytest
from redis import Redis

from contract import keys
from contract.errors import EngineFailed, VoiceUnknown
from contract.voice import Voice
from workers.recall import anchors as module
from workers.recall.anchorage import Anchorage, Samples
from workers.recall.anchors import LINES, MAX_FRAMES, MIN_FRAMES, TRIES, Anchors, who
from workers.streams import connect
from workers.tts.engine import Codes, Spoken


class Studio:
    """A codec and a cast as simple as can be, which count what they are asked for."""

    def __init__(self) -> None:
        self.casts: list[tuple[str, str, str, int]] = []
        self.encoded = 0
        self.frames = [100]
        """Of each take, in turn; the last for all that follow."""
        self.error: EngineFailed | None = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.is_casting = threading.Event()

    def encode(self, samples: Samples) -> Codes:
        self.encoded += 1
        return np.full((8, len(samples) // 960), int(np.abs(samples).max() * 1000), np.uint16)

    def cast(self, text: str, description: str, scene: str, seed: int) -> Spoken:
        self.casts.append((text, description, scene, seed))
        self.is_casting.set()
        assert self.may_go_on.wait(10)
        if self.error:
            raise self.error
        frames = self.frames[min(len(self.casts), len(self.frames)) - 1]
        return Spoken(text, np.full((8, frames), seed % 1024, np.uint16))

    def anchors(self, redis: Redis) -> Anchors:
        """One worker's."""
        return Anchors(Anchorage(redis), "higgs", self.encode, self.cast, {"ada": "feminine, bright"})


@pytest.fixture
def studio() -> Studio:
    return Studio()


def described(**changes: str) -> Voice:
    return replace(Voice(description=f"feminine, {uuid.uuid4().hex}"), **changes)


def put_clip(redis: Redis, seconds: float = 4) -> str:
    clip = f"voice_{uuid.uuid4().hex}"
    pcm = np.full(int(seconds * 24_000), 16_384, "<i2").tobytes()
    redis.hset(keys.clip(clip), mapping={"pcm": pcm, "text": "What she says."})
    return clip


def test_a_recording_is_encoded_once_for_all_workers(redis: Redis, studio: Studio) -> None:
    clip = put_clip(redis)
    first, second = studio.anchors(redis), studio.anchors(redis)
    for worker in (first, first, second):
        found = worker.of(Voice(clip))
        assert found is not None
        assert (found.text, found.codes.shape, int(found.codes[0, 0])) == ("What she says.", (8, 100), 500)
    assert studio.encoded == 1
    assert 0 < redis.ttl(keys.anchor(clip)) <= keys.ANCHOR_LIFETIME_S
    assert redis.memory_usage(keys.anchor(clip), samples=0) < keys.MAX_BYTES["anchor"]


def test_a_recording_that_was_deleted_is_refused_even_by_who_remembers_it(redis: Redis, studio: Studio) -> None:
    clip, worker = put_clip(redis), studio.anchors(redis)
    assert worker.of(Voice(clip))
    redis.delete(keys.clip(clip), keys.anchor(clip))
    for _ in range(2):
        with pytest.raises(VoiceUnknown):
            worker.of(Voice(clip))


def test_who_is_described_is_cast_once_with_a_seed_of_its_own(redis: Redis, studio: Studio) -> None:
    voice = described(scene="A kitchen.")
    first, second = studio.anchors(redis), studio.anchors(redis)
    heard = [worker.of(voice) for worker in (first, second, first)]
    assert [spoken.text for spoken in heard if spoken] == [LINES["en"]] * 3
    assert {spoken.codes.tobytes() for spoken in heard if spoken} == {heard[0].codes.tobytes()}  # type: ignore[union-attr]
    assert [cast[:3] for cast in studio.casts] == [(LINES["en"], voice.description, "A kitchen.")]
    redis.delete(*redis.keys("cueline:*:anchor"))
    again = Studio()
    again.anchors(redis).of(voice)
    assert again.casts == studio.casts


def test_another_description_scene_or_language_is_somebody_else(redis: Redis, studio: Studio) -> None:
    voice, worker = described(), studio.anchors(redis)
    others = [voice, replace(voice, description=voice.description + " and old"), replace(voice, scene="A hall.")]
    others += [replace(voice, language="de")]
    for other in others:
        worker.of(other)
    assert len({cast[3] for cast in studio.casts}) == len(others)
    for same in (replace(voice, rate=1.4), replace(voice, language="en-gb"), replace(voice, pitch=0.9)):
        worker.of(same)
    worker.of(replace(voice, description=voice.description + "; whispering, out of breath"))
    assert len(studio.casts) == len(others)


def test_the_engine_s_own_voices_are_cast_and_who_is_nobody_has_no_anchor(redis: Redis, studio: Studio) -> None:
    worker = studio.anchors(redis)
    assert worker.of(Voice("ada"))
    assert studio.casts[0][1] == "feminine, bright"
    assert worker.of(Voice("ada", description="; angrily"))
    assert worker.of(Voice("default")) is None
    assert len(studio.casts) == 1
    assert who("; angrily") == ""


def test_two_workers_do_not_cast_twice(redis: Redis, studio: Studio) -> None:
    voice = described()
    studio.may_go_on.clear()
    found: list[Spoken | None] = []
    workers = [studio.anchors(redis), studio.anchors(redis)]
    threads = [threading.Thread(target=lambda worker=worker: found.append(worker.of(voice))) for worker in workers * 3]
    for thread in threads:
        thread.start()
    assert studio.is_casting.wait(10)
    studio.may_go_on.set()
    for thread in threads:
        thread.join(20)
    assert len(studio.casts) == 1
    assert len(found) == 6
    assert all(found)
    assert redis.keys("cueline:*:casting") == []


def test_a_worker_that_died_while_casting_is_not_waited_for_for_ever(
    redis: Redis, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_S", 0.2)
    voice = described()
    studio.anchors(redis).of(voice)
    for key in redis.keys("cueline:*:anchor"):
        redis.delete(key)
        redis.set(keys.casting(key.decode().split("{")[1].split("}")[0]), "dead", ex=60)
    assert studio.anchors(redis).of(voice) is None
    redis.delete(*redis.keys("cueline:*:casting"))
    assert studio.anchors(redis).of(voice)


def test_a_take_that_is_a_mishap_is_taken_again(redis: Redis, studio: Studio) -> None:
    studio.frames = [MIN_FRAMES - 1, MAX_FRAMES + 1, 80]
    found = studio.anchors(redis).of(described())
    assert found is not None
    assert found.codes.shape == (8, 80)
    seeds = [cast[3] for cast in studio.casts]
    assert seeds == [seeds[0] + number for number in range(TRIES)]


@pytest.mark.parametrize("error", [None, EngineFailed("No room.")])
def test_who_cannot_be_cast_speaks_without_an_anchor_and_is_not_tried_each_time(
    redis: Redis, studio: Studio, error: EngineFailed | None
) -> None:
    studio.error, studio.frames = error, [1]
    voice, worker = described(), studio.anchors(redis)
    assert [worker.of(voice), worker.of(voice)] == [None, None]
    assert len(studio.casts) == (1 if error else TRIES)
    assert redis.keys("cueline:*:casting") == []


def test_what_is_no_anchor_is_made_anew(redis: Redis, studio: Studio) -> None:
    clip = put_clip(redis)
    redis.hset(keys.anchor(clip), "higgs", "rubbish")
    assert studio.anchors(redis).of(Voice(clip))
    assert studio.encoded == 1


def test_without_redis_a_voice_is_cast_for_this_worker_alone(studio: Studio) -> None:
    voice, worker = described(), studio.anchors(connect("redis://127.0.0.1:1/0"))
    assert worker.of(voice)
    assert worker.of(voice)
    assert len(studio.casts) == 1
