"""The microphone: what leaves the page, when, and what a person is told when nothing does."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.e2e.between import Between
from tests.e2e.conftest import Complaints
from tests.e2e.room import open_room
from tests.e2e.talking import open_page, say, state, until
from tests.harness import Stack

RATE = 24_000
FIRST, LAST, SPEAKER = 1 << 9, 1 << 10, 1 << 11
LONG = "SAY 20 " + "This goes on for quite a while. " * 3


def spoken_wave() -> np.ndarray[Any, np.dtype[np.float64]]:
    """Two seconds of silence, then a tone that rises: every tenth of a second is like no other."""
    at = np.arange(6 * RATE) / RATE
    return np.concatenate([np.zeros(2 * RATE), 0.4 * np.sin(2 * np.pi * (200 * at + 100 * at * at))])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def room(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """A browser in which somebody speaks into the microphone, again and again."""
    sound = spoken_wave() * 32767
    async with open_room(
        sound.astype("<i2"), tmp_path_factory.mktemp("room") / "voice.wav", is_repeated=True
    ) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def speaker(room: Browser, complaints: Complaints) -> AsyncIterator[Page]:
    """A page whose microphone hears the wave."""
    context = await room.new_context(viewport={"width": 1440, "height": 900})
    yield complaints.watch(await context.new_page())
    await context.close()
    assert complaints.unexpected == []


async def choose(page: Page, **settings: Any) -> None:
    """As a person who was here before."""
    script = f"localStorage.setItem('cueline.settings', JSON.stringify({settings!r}))"
    await page.add_init_script(script.replace("True", "true").replace("False", "false"))


async def listen(page: Page, stack: Stack, **settings: Any) -> Between:
    between = Between()
    await between.stand(page)
    if settings:
        await choose(page, **settings)
    await open_page(page, stack)
    return between


def flags_of(frame: bytes) -> int:
    flags: int = struct.unpack_from("<II", frame)[1]
    return flags


async def test_what_is_said_reaches_the_server_in_frames_of_20_ms(speaker: Page, stack: Stack) -> None:
    between = await listen(speaker, stack, echoCancellation=False)
    await speaker.click("#mic")
    await state(speaker, "listening")
    await until(lambda: len(between.frames) >= 200, "four seconds of voice")
    frames = [frame for _, frame in between.frames]
    assert {len(frame) for frame in frames} == {8 + 2 * 480}
    assert [bool(flags_of(frame) & FIRST) for frame in frames] == [True] + [False] * (len(frames) - 1)
    times = [struct.unpack_from("<I", frame)[0] for frame in frames]
    assert times == sorted(times)
    assert not [told for told in between.told if told["type"] == "error" and told["code"] == "message_invalid"]
    heard = np.frombuffer(b"".join(frame[8:] for frame in frames), "<i2") / 32768
    assert likeness(heard[-RATE:], spoken_wave()) > 0.95


def likeness(heard: Any, wave_: Any) -> float:
    """The best normalised correlation of the last second with any place of the wave."""
    size = 1 << (len(wave_) + len(heard)).bit_length()
    product = np.fft.irfft(np.fft.rfft(wave_, size) * np.conj(np.fft.rfft(heard, size)), size)[
        : len(wave_) - len(heard)
    ]
    energy = np.cumsum(np.concatenate([[0.0], wave_**2]))
    power = (energy[len(heard) :] - energy[: -len(heard)])[: len(product)]
    return float(np.max(np.abs(product) / np.sqrt(power * np.sum(heard**2) + 1e-9)))


async def test_nothing_leaves_while_a_character_speaks_and_it_begins_again_by_itself(
    speaker: Page, stack: Stack
) -> None:
    between = await listen(speaker, stack)
    await speaker.click("#mic")
    await state(speaker, "listening")
    await until(lambda: len(between.frames) > 5, "voice")
    await say(speaker, LONG)
    await state(speaker, "speaking")
    sent = len(between.frames)
    await expect(speaker.locator("#queue-list [data-status=played]")).to_have_count(2, timeout=15000)
    assert len(between.frames) == sent
    await state(speaker, "listening")
    await until(lambda: len(between.frames) > sent + 5, "voice again")
    assert flags_of(between.frames[sent][1]) & FIRST
    await speaker.click("#mic")
    await state(speaker, "idle")
    await until(lambda: between.heard("stop"), "stop")
    silent = len(between.frames)
    await say(speaker, "SAY It works.")
    await state(speaker, "speaking")
    await state(speaker, "idle")
    await asyncio.sleep(0.4)
    assert len(between.frames) == silent, "who switched it off is not listened to again"


async def test_who_barges_in_is_heard_while_a_character_speaks(speaker: Page, stack: Stack) -> None:
    between = await listen(speaker, stack, turnTaking="barge")
    await speaker.click("#mic")
    await state(speaker, "listening")
    await say(speaker, LONG)
    await state(speaker, "speaking")
    sent = len(between.frames)
    await until(lambda: len(between.frames) > sent + 10, "voice while speaking")
    await state(speaker, "speaking")
    loud = [flags_of(frame) for _, frame in between.frames[sent:] if flags_of(frame) & SPEAKER]
    assert len(loud) > 8
    assert max(flags >> 16 & 0xFF for flags in loud) > 150, "the counter signal is loud"
    assert not flags_of(between.frames[0][1]) & SPEAKER, "before the reply nothing sounds"
    await speaker.fill("#volume", "0.1")
    await until(lambda: 0 < flags_of(between.frames[-1][1]) >> 16 & 0xFF < 190, "a softer loudspeaker")


async def test_push_to_talk_sends_only_while_held_and_takes_the_word(speaker: Page, stack: Stack) -> None:
    between = await listen(speaker, stack, turnTaking="push")
    await expect(speaker.locator("#mic")).to_have_text("Hold to talk")
    await say(speaker, LONG)
    await state(speaker, "speaking")
    assert between.frames == []
    await speaker.focus("#transcript")
    await speaker.keyboard.down("Space")
    await state(speaker, "listening")
    assert between.heard("interrupt")[0]["heard"]["ms"] > 0
    await until(lambda: len(between.frames) > 20, "voice")
    await speaker.keyboard.up("Space")
    await state(speaker, "idle")
    await until(lambda: flags_of(between.frames[-1][1]) & LAST, "the end of the words")
    assert len(between.frames[-1][1]) == 8
    sent = len(between.frames)
    await asyncio.sleep(0.5)
    assert len(between.frames) == sent
    button = await speaker.locator("#mic").bounding_box()
    assert button
    await speaker.mouse.move(button["x"] + 30, button["y"] + 20)
    await speaker.mouse.down()
    await until(lambda: len(between.frames) > sent + 5, "voice by the button")
    await speaker.mouse.up()
    await state(speaker, "idle")


async def test_what_is_understood_is_shown_as_it_comes(speaker: Page, stack: Stack) -> None:
    between = await listen(speaker, stack)
    await speaker.click("#mic")
    await state(speaker, "listening")
    between.tell(type="partial_transcript", content="Good mor", stable="Good ")
    await expect(speaker.locator(".partial .unstable")).to_have_text("mor")
    between.tell(type="partial_transcript", content="Good morning", stable="Good morning")
    await expect(speaker.locator(".partial .words")).to_have_text("Good morning")
    between.tell(type="final_transcript", content="Good morning.", source="voice", turn=0)
    await expect(speaker.locator(".user .words")).to_have_text("Good morning.")
    await expect(speaker.locator(".partial")).to_have_count(0)
    between.tell(type="turn", turn=0, state="started", character="Ava")
    await state(speaker, "thinking")
    between.tell(type="turn", turn=0, state="ended", reason="complete")
    await state(speaker, "listening")
    between.tell(type="partial_transcript", content="hm")
    between.tell(type="final_transcript", content="", source="voice", turn=1)
    await expect(speaker.locator(".user")).to_have_count(1)


async def test_a_server_without_ears_is_told_kindly_and_text_goes_on(speaker: Page, stack: Stack) -> None:
    between = Between(lends_ears=False)
    await between.stand(speaker)
    await open_page(speaker, stack)
    await speaker.click("#mic")
    await expect(speaker.locator("[data-code=mic_unavailable]")).to_contain_text("does not listen: start it")
    await expect(speaker.locator("#mic")).to_have_text("Start listening")
    await state(speaker, "idle")
    await speaker.click("#settings-button")
    await speaker.check("[name=turnTaking][value=push]")
    await speaker.keyboard.press("Escape")
    await speaker.click("#mic")
    await expect(speaker.locator("#mic")).to_have_text("Hold to talk")
    await until(lambda: len(between.heard("start")) == 2, "the second question")
    await expect(speaker.locator("[data-code=mic_unavailable]")).to_have_count(1)
    await expect(speaker.locator(".toast.error")).to_have_count(0)
    await say(speaker, "SAY It works.")
    await state(speaker, "speaking")
    await state(speaker, "idle")
    assert between.frames == []


async def test_a_microphone_that_is_unplugged_is_told(speaker: Page, stack: Stack) -> None:
    await speaker.add_init_script(
        "const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
        "navigator.mediaDevices.getUserMedia = async (wanted) => {"
        " const stream = await open(wanted); globalThis.testTrack = stream.getAudioTracks()[0]; return stream; };"
    )
    between = await listen(speaker, stack)
    await speaker.click("#mic")
    await state(speaker, "listening")
    await until(lambda: between.frames, "voice")
    await speaker.evaluate("testTrack.dispatchEvent(new Event('ended'))")
    await expect(speaker.locator("[data-code=mic_lost]")).to_contain_text("unplugged")
    await state(speaker, "idle")
    sent = len(between.frames)
    await speaker.click("[data-code=mic_lost] button >> nth=0")
    await state(speaker, "listening")
    await until(lambda: len(between.frames) > sent, "voice again")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        ("NotAllowedError", "mic_refused", "Allow it"),
        ("NotFoundError", "mic_none", "no microphone"),
        ("NotReadableError", "mic_in_use", "another program"),
    ],
)
async def test_why_there_is_no_microphone_is_told(page: Page, stack: Stack, error: str, code: str, words: str) -> None:
    await page.add_init_script(
        f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('no', '{error}'); }};"
    )
    await listen(page, stack)
    await page.click("#mic")
    await expect(page.locator(f"[data-code={code}]")).to_contain_text(words)
    await expect(page.locator("#mic")).to_have_text("Start listening")
    await state(page, "idle")


async def test_a_line_that_comes_back_is_asked_to_listen_again(speaker: Page, stack: Stack) -> None:
    between = await listen(speaker, stack)
    await speaker.click("#mic")
    await state(speaker, "listening")
    await between.close(1012)
    await until(lambda: between.sockets == 2, "another line")
    await state(speaker, "listening")
    sent = len(between.frames)
    await until(lambda: len(between.frames) > sent + 5, "voice again")
    assert len(between.heard("start")) == 2
    await expect(speaker.locator("#banner")).to_be_hidden()


async def test_what_another_page_has_stopped_is_stopped_here(speaker: Page, stack: Stack) -> None:
    between = await listen(speaker, stack)
    await speaker.click("#mic")
    await state(speaker, "listening")
    for _ in range(3):
        between.tell(type="error", code="audio_unexpected", message="Audio was sent, but nobody is listening.")
    await expect(speaker.locator(".toast")).to_have_count(1)
    await expect(speaker.locator("[data-code=mic_elsewhere]")).to_contain_text("stopped listening")
    await state(speaker, "idle")
    await speaker.click("[data-code=mic_elsewhere] button >> nth=0")
    await state(speaker, "listening")
    assert len(between.heard("start")) == 2


async def test_a_page_without_https_says_so_and_stays_of_use(
    browser: Browser, context: BrowserContext, stack: Stack, complaints: Complaints
) -> None:
    page = complaints.watch(await context.new_page())
    await page.add_init_script(
        "Object.defineProperty(globalThis, 'isSecureContext', { value: false });delete globalThis.AudioWorkletNode;"
    )
    await open_page(page, stack)
    await expect(page.locator("#notice")).to_contain_text("Voice needs https:// or localhost")
    await page.set_viewport_size({"width": 320, "height": 640})
    box = await page.locator("#notice").bounding_box()
    await page.click("#notice-more")
    opened = await page.locator("#notice").bounding_box()
    assert box and opened and opened["height"] > box["height"], "a phone shows the rest of it when asked"
    await page.click("#notice-more")
    await page.click("#mic")
    await expect(page.locator("[data-code=mic_insecure]")).to_be_visible()
    await say(page, "SAY It is written.")
    await expect(page.locator("#transcript")).to_contain_text("It is written.")
    await state(page, "idle")
    await expect(page.locator("#queue-list [data-status=silent]")).to_have_count(1)
    await expect(page.locator("#queue-list [data-status=skipped]")).to_have_count(0)
    await page.click(".reply .tool.again")
    await expect(page.locator("[data-code=sound_missing]")).to_contain_text("download")
    assert complaints.unexpected == []


async def test_another_way_of_taking_turns_is_told_and_the_listening_goes_on(speaker: Page, stack: Stack) -> None:
    between = await listen(speaker, stack)
    await speaker.click("#mic")
    await state(speaker, "listening")
    await speaker.click("#settings-button")
    await speaker.check("[name=turnTaking][value=barge]")
    await until(lambda: len(between.heard("start")) == 2, "another start")
    await state(speaker, "listening")
    await speaker.select_option("[name=language]", "de")
    await until(lambda: len(between.heard("start")) == 3, "another start")
    await state(speaker, "listening")
    assert [start["turn_taking"] for start in between.heard("start")] == ["automatic", "barge_in", "barge_in"]
    assert [start.get("language") for start in between.heard("start")] == [None, None, "de"]
    assert between.heard("stop") == []


async def test_what_cannot_be_understood_is_told_and_what_was_typed_stays(speaker: Page, stack: Stack) -> None:
    between = await listen(speaker, stack)
    await speaker.click("#mic")
    await state(speaker, "listening")
    between.tell(type="partial_transcript", content="Good", stable="")
    await expect(speaker.locator(".partial .unstable")).to_have_text("Good")
    between.tell(type="partial_transcript", content="", stable="")
    between.tell(type="error", code="recognizer_lost", message="Nobody could listen. Say it again.", retryable=True)
    await expect(speaker.locator("[data-code=recognizer_lost]")).to_contain_text("Say it again")
    await expect(speaker.locator(".toast.error")).to_have_count(0)
    await expect(speaker.locator(".user")).to_have_count(0)
    await state(speaker, "listening")
