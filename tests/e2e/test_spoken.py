"""A whole spoken turn: a voice at the microphone, the real recognizer, a reply that is heard."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.async_api import expect

from tests.conftest import model_env
from tests.e2e.between import Between
from tests.e2e.conftest import Complaints
from tests.e2e.room import open_room
from tests.e2e.talking import open_page, say, state, until
from tests.fakes import FakeModelServer
from tests.harness import Stack, wait_until
from tests.speaking import FIRST, silence, spoken

STORY = "SAY 10 " + "A ship went over the water, and nobody knew where it came from. " * 4
SETTINGS = "{turnTaking: '%s', language: 'en', echoCancellation: false}"
"""There is no echo in this room; a canceller that finds none takes away what is said instead."""


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory, model: FakeModelServer) -> Iterator[Stack]:
    """A Cueline with the toy recognizer."""
    if find_spec("faster_whisper") is None:
        pytest.skip("NOT TESTED: listening needs the extra whisper (make .venv/.dev installs it)")
    model.meant = {"what time please": "SAY It is noon.", "story please": STORY, "stop music": "SAY It has ended."}
    env = {**model_env(model), "CUELINE_STT_ENGINE": "whisper"}
    running = Stack(tmp_path_factory.mktemp("hearing"), engine="espeak", env=env)
    try:
        running.start_redis()
        running.start_recognizer()
        running.start_worker()
        running.start_api()
        running.wait_until_ready()
        wait_until(lambda: can_hear(running), "a recognizer", 60)
        yield running
    finally:
        model.meant = {}
        running.stop()


def can_hear(stack: Stack) -> bool:
    return any(stack.redis_json(name).get("state") == "ready" for name in stack.redis_keys("cueline:recognizer:*"))


async def enter(room: Any, stack: Stack, complaints: Complaints, way: str) -> tuple[Any, Between]:
    """A page in the room, its microphone still off."""
    page = complaints.watch(await room.new_page())
    between = Between(lends_ears=False)
    await between.stand(page)
    await page.add_init_script(f"localStorage.setItem('cueline.settings', JSON.stringify({SETTINGS % way}))")
    await open_page(page, stack)
    return page, between


def pauses(frames: list[tuple[float, bytes]]) -> list[int]:
    """Before which frames nothing was sent for half a second."""
    return [number for number in range(1, len(frames)) if frames[number][0] - frames[number - 1][0] > 0.5]


async def test_what_is_said_is_read_answered_aloud_and_listened_to_again(
    hearing: Stack, tmp_path: Path, complaints: Complaints
) -> None:
    sound = np.concatenate([silence(600), spoken("what time please"), silence(500)])
    async with open_room(sound, tmp_path / "voice.wav") as room:
        page, between = await enter(room, hearing, complaints, "automatic")
        await page.click("#mic")
        await state(page, "listening")
        await state(page, "thinking", "speaking")
        await expect(page.locator(".user:not(.partial) .words")).to_have_text("what time please")
        await expect(page.locator("#caption")).to_contain_text("It is noon.")
        await state(page, "listening")
        await expect(page.locator(".reply [data-status=played]")).to_have_text("It is noon.")
        await until(lambda: pauses(between.frames), "the microphone again")
        again = pauses(between.frames)
        assert len(again) == 1, "it rested while the reply was heard, and only then"
        assert struct.unpack_from("<II", between.frames[again[0]][1])[1] & FIRST
        await expect(page.locator(".user")).to_have_count(1)
        await page.click("#latency-details summary")
        await expect(page.locator("#latency-rows")).to_contain_text("Your words understood")
    assert complaints.unexpected == []


async def test_who_speaks_into_a_reply_cuts_it_and_is_answered(
    hearing: Stack, tmp_path: Path, complaints: Complaints
) -> None:
    # The microphone opens, and with it the sound begins, only when the reply is heard: however slow the machine is.
    sound = np.concatenate([silence(1500), spoken("stop music"), silence(500)])
    async with open_room(sound, tmp_path / "voice.wav") as room:
        page, between = await enter(room, hearing, complaints, "barge")
        await say(page, "story please")
        await state(page, "speaking")
        await page.click("#mic")
        await expect(page.locator(".turn[data-end=cut] .reply")).to_have_count(1, timeout=15000)
        await expect(page.locator(".user:not(.partial) .words")).to_have_text(["story please", "stop music"])
        await expect(page.locator(".reply [data-status=played]").last).to_have_text("It has ended.")
        told = [message["state"] for message in between.told if message["type"] == "barge_in"]
        assert told[0] == "ducked"
        assert "resumed" not in told
    assert complaints.unexpected == []
