"""Recordings that voices may sound like: what is taken, where it can be used, and that what is deleted is gone."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from redis import Redis

from api.casting.clip_file import LUFS, MAX_S, MIN_S
from api.encoding.encoder import stream_encoder
from api.encoding.riff import wav_head
from api.render.sound.loudness import Loudness
from api.render.sound.trimming import pcm_to_samples
from contract import keys
from contract.audio import SAMPLE_RATE_HZ
from contract.voice import Voice
from tests.fakes import counter_pcm
from tests.harness import Stack, wait_until

WORDS = "The quick brown fox."


def humming(seconds: float, channels: int = 1, level: float = 0.05) -> bytes:
    """s16le at 24 kHz that swells and fades like speech, heard on one channel of several."""
    at = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    mono = level * np.sin(2 * np.pi * 220 * at) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * at))
    samples = np.zeros((len(at), channels))
    samples[:, channels // 2] = mono
    return np.rint(samples * 32_767).astype("<i2").tobytes()


def wav(pcm: bytes, channels: int = 1) -> bytes:
    return wav_head(len(pcm), channels) + pcm


def encode(name: str, pcm: bytes) -> bytes:
    encoder = stream_encoder(name)
    return encoder.write(pcm) + encoder.finish()


def upload(stack: Stack, file: bytes, key: str = "", **fields: str) -> tuple[int, Any]:
    form = {"name": f"Maud {uuid.uuid4().hex[:8]}", "consent": "true", "ref_text": WORDS} | fields
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = httpx.post(
        f"{stack.url}/v1/audio/voices", data=form, files={"audio_sample": file}, headers=headers, timeout=30
    )
    return answer.status_code, answer.json()


def say(stack: Stack, voice: str, text: str = "Like this.", key: str = "") -> httpx.Response:
    asked = {"model": "tts-1", "input": text, "voice": voice, "response_format": "pcm"}
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.post(f"{stack.url}/v1/audio/speech", json=asked, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def clip(stack: Stack) -> Iterator[dict[str, Any]]:
    status, made = upload(stack, wav(bytes(48_000) + humming(4) + bytes(48_000)))
    assert status == 201, made
    yield made
    httpx.delete(f"{stack.url}/v1/audio/voices/{made['id']}")


def recording(stack: Stack, clip: dict[str, Any]) -> bytes:
    """As workers find it."""
    with Redis.from_url(stack.redis_url) as redis:
        found = redis.hgetall(keys.clip(clip["id"]))
        assert 0 < redis.ttl(keys.clip(clip["id"])) <= keys.CLIP_LIFETIME_S
    assert found[b"text"].decode() == WORDS
    return found[b"pcm"]


def test_a_clip_is_kept_without_the_silence_around_it_as_loud_as_speech_is(stack: Stack, clip: dict[str, Any]) -> None:
    assert clip["ref_text"] == WORDS
    assert abs(clip["duration_ms"] - 4000) < 100
    assert clip["consented_at"] >= clip["created_at"] - 1
    assert say(stack, clip["id"]).status_code == 200
    meter = Loudness()
    meter.push(pcm_to_samples(recording(stack, clip)))
    assert abs(meter.finish() - LUFS) < 1
    assert clip in httpx.get(f"{stack.url}/v1/audio/voices").json()["voices"]
    assert any(voice["name"] == clip["id"] for voice in stack.get("/api/voices")[1])


def test_it_is_spoken_like_wherever_a_voice_can_be_named(stack: Stack, clip: dict[str, Any]) -> None:
    for name in (clip["id"], clip["name"]):
        said = say(stack, name)
        assert said.status_code == 200
        assert said.content == recording(stack, clip)
    preview = stack.request("POST", "/api/voices/preview", {"text": "Hear me.", "voice": {"name": clip["id"]}})[1]
    assert preview[44:] == recording(stack, clip)
    fields = {"name": uuid.uuid4().hex[:12], "voice": {"anchor": clip["id"]}}
    character = stack.post("/api/characters", fields)[1]
    assert character["voice"]["anchor"] == clip["id"]
    order = {"script": "ANN: One.\nBEN: Two.", "cast": {"ANN": clip["id"], "BEN": character["name"]}}
    status, render = stack.post("/api/renders", order)
    assert status == 202, render
    for line in (0, 1):
        path = f"/api/renders/{render['id']}/lines/{line}/audio?format=pcm"
        wait_until(lambda path=path: stack.request("GET", path)[0] == 200, "a line")
        assert stack.request("GET", path)[1] == recording(stack, clip)
    stack.request("DELETE", f"/api/renders/{render['id']}")
    stack.request("DELETE", f"/api/characters/{character['id']}")


async def test_a_session_talks_like_it(stack: Stack, clip: dict[str, Any]) -> None:
    async with stack.listen() as client:
        await client.send(type="settings", voice=clip["id"])
        turn = await client.ask("SAY Like this.")
        assert client.pcm(turn) == recording(stack, clip)


def test_what_redis_has_lost_is_handed_over_again(stack: Stack, clip: dict[str, Any]) -> None:
    with Redis.from_url(stack.redis_url) as redis:
        redis.delete(keys.clip(clip["id"]))
    assert say(stack, clip["id"], "After a loss.").content == recording(stack, clip)


@pytest.mark.parametrize("name", ["flac", "mp3", "opus", "aac"])
def test_any_usual_kind_of_file_is_taken(stack: Stack, name: str) -> None:
    status, made = upload(stack, encode(name, humming(4)))
    assert status == 201, made
    assert abs(made["duration_ms"] - 4000) < 150
    httpx.delete(f"{stack.url}/v1/audio/voices/{made['id']}")


def test_eight_channels_become_one(stack: Stack) -> None:
    status, made = upload(stack, wav(humming(4, 8, 0.4), 8))
    assert status == 201, made
    assert say(stack, made["id"]).status_code == 200
    assert np.abs(np.frombuffer(recording(stack, made), "<i2")).max() > 1000
    httpx.delete(f"{stack.url}/v1/audio/voices/{made['id']}")


LIST_OF_ADDRESSES = b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/a.wav\n"


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (wav(bytes(480_000)), "audio_silent"),
        (wav(humming(MIN_S - 1)), "audio_too_short"),
        (wav(humming(MAX_S + 1)), "audio_too_long"),
        (wav_head(None) + humming(600), "audio_too_long"),
        (encode("mp3", humming(90)), "audio_too_long"),
        (wav_head(100) + humming(4), "audio_too_short"),
        (wav(humming(4, 17), 17), "audio_unreadable"),
        (b"", "audio_unreadable"),
        (b"RIFF\0\0\0\0WAVE" + bytes(5000), "audio_unreadable"),
        (LIST_OF_ADDRESSES, "audio_unreadable"),
        (b"OggS" + b"\xff" * 9000, "audio_unreadable"),
        (b"\x1a\x45\xdf\xa3" + b"\xff" * 9000, "audio_unreadable"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_a_file_that_is_no_voice_is_refused_with_the_reason(stack: Stack, file: bytes, code: str) -> None:
    status, answer = upload(stack, file)
    assert (status, answer["error"]["code"]) == (413 if code == "audio_too_long" else 400, code)


def test_what_it_takes_to_keep_one_is_asked_for(stack: Stack, clip: dict[str, Any]) -> None:
    file = wav(humming(4))
    for fields, status, code in (
        ({"consent": "false"}, 400, "consent_missing"),
        ({"consent": ""}, 400, "consent_missing"),
        ({"name": clip["name"].upper()}, 409, "name_taken"),
        ({"name": "nova"}, 409, "name_taken"),
        ({"name": "<|eot_id|>"}, 400, "message_invalid"),
        ({"name": "x" * 65}, 400, "message_invalid"),
        ({"ref_text": "  "}, 400, "clip_untold"),
        ({"ref_text": "x" * 1001}, 400, "message_invalid"),
    ):
        answered, answer = upload(stack, file, **fields)
        assert (answered, answer["error"]["code"]) == (status, code), fields


def test_a_file_that_is_too_large_is_refused_before_it_is_read(stack: Stack) -> None:
    status, answer = upload(stack, bytes(26 * 1024 * 1024))
    assert (status, answer["error"]["code"]) == (413, "audio_too_long")


def test_what_is_deleted_is_gone_everywhere(stack: Stack) -> None:
    clip = upload(stack, wav(humming(4)))[1]
    assert say(stack, clip["id"]).status_code == 200
    assert list((stack.folder / "shelf").rglob(f"{clip['id']}*"))
    answer = httpx.delete(f"{stack.url}/v1/audio/voices/{clip['id']}")
    assert answer.json() == {"id": clip["id"], "object": "audio.voice.deleted", "deleted": True}
    assert not list((stack.folder / "shelf").rglob(f"{clip['id']}*"))
    assert stack.redis_keys(f"cueline:{{{clip['id']}}}*") == []
    assert clip["id"] not in json.dumps(httpx.get(f"{stack.url}/v1/audio/voices").json())
    again = httpx.delete(f"{stack.url}/v1/audio/voices/{clip['id']}")
    assert (again.status_code, again.json()["error"]["code"]) == (404, "clip_unknown")
    said = say(stack, clip["id"], "Once more.")
    assert (said.status_code, said.json()["error"]["code"]) == (400, "voice_unknown")


async def test_a_character_whose_recording_was_deleted_says_so_and_the_talk_goes_on(stack: Stack) -> None:
    clip = upload(stack, wav(humming(4)))[1]
    async with stack.listen() as client:
        await client.send(type="settings", voice=clip["id"])
        await client.ask("SAY Like this.")
        await asyncio.to_thread(httpx.delete, f"{stack.url}/v1/audio/voices/{clip['id']}")
        turn = await client.ask("SAY Not any more.")
        assert client.pcm(turn) == b""
        assert "voice_unknown" in {message["code"] for message in client.messages("error")}
        await client.send(type="settings", voice="")
        turn = await client.ask("SAY As before.")
        assert client.pcm(turn) == counter_pcm("As before.")


def test_a_clip_s_id_as_a_name_is_an_anchor() -> None:
    clip = f"voice_{uuid.uuid4().hex}"
    assert Voice(clip) == Voice(anchor=clip)
    assert Voice.from_dict(Voice(clip).to_dict()) == Voice(clip)
    assert Voice(f"{clip}0").anchor == ""
