"""The page in a real browser: what is heard, sample by sample, and what is shown."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis
from playwright.async_api import Page, WebSocketRoute, expect

from api.turn.spoken import spoken
from tests.conftest import model_env
from tests.fakes import FakeModelServer, counter_pcm
from tests.harness import Stack

FIVE = ("The first is here.", "The second is late too.", "And a third follows.", "Four comes now.", "Five is the last.")
READ_TAP = """() => {
  const samples = globalThis.cuelineTap.flatMap((block) => Array.from(block));
  const bytes = new Uint8Array(Int16Array.from(samples).buffer);
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}"""


@pytest.fixture
async def mortal(page: Page, tmp_path: Path, model: FakeModelServer) -> AsyncIterator[Stack]:
    """A stack of the test's own, to be killed; the browser may complain of that."""
    page.expected_complaints = ("WebSocket", "ERR_CONNECTION", "404")  # type: ignore[attr-defined]
    stack = Stack(tmp_path, env=model_env(model))
    try:
        yield await asyncio.to_thread(stack.start, 1)
    finally:
        await asyncio.to_thread(stack.stop)


async def open_page(page: Page, stack: Stack, query: str = "") -> None:
    await page.goto(stack.url + "/" + query)
    await expect(page.locator("body[data-state=idle]")).to_be_attached()


async def say(page: Page, text: str) -> None:
    await page.fill("#text", text)
    await page.click("#send")


async def state(page: Page, *names: str, timeout_s: float = 20) -> None:
    selector = ", ".join(f"body[data-state={name}]" for name in names)
    await expect(page.locator(selector)).to_be_attached(timeout=timeout_s * 1000)


async def heard(page: Page) -> bytes:
    """Every sample that left the player, silence taken away: the counter signal has no zero in it."""
    raw = base64.b64decode(await page.evaluate(READ_TAP))
    return b"".join(raw[i : i + 2] for i in range(0, len(raw), 2) if raw[i : i + 2] != b"\0\0")


async def test_a_five_sentence_reply_is_heard_sample_by_sample(page: Page, stack: Stack) -> None:
    await open_page(page, stack, "?tap=1")
    await say(page, "SAY 20 " + " ".join(FIVE))
    await state(page, "speaking")
    await state(page, "idle")
    expected = b"".join(counter_pcm(spoken(text)) for text in FIVE)
    got = await heard(page)
    assert len(got) == len(expected)
    assert got == expected


async def test_each_sentence_is_shown_and_goes_through_its_states(page: Page, stack: Stack) -> None:
    await open_page(page, stack)
    await say(page, "SAY 20 " + " ".join(FIVE))
    await expect(page.locator("#queue-list > li")).to_have_count(5)
    await expect(page.locator("#queue-list [data-status=playing]")).to_have_count(1)
    await state(page, "idle")
    await expect(page.locator("#queue-list [data-status=played]")).to_have_count(5)
    for text in ("SAY 20", *FIVE):
        await expect(page.locator("#transcript")).to_contain_text(text)


async def test_escape_silences_and_the_next_turn_works(page: Page, stack: Stack) -> None:
    await open_page(page, stack, "?tap=1")
    await say(page, "SAY 20 " + "This goes on for quite a while. " * 10)
    await state(page, "speaking")
    await page.keyboard.press("Escape")
    await state(page, "idle")
    silent = len(await heard(page))
    assert silent > 0
    await expect(
        page.locator("#queue-list [data-status=interrupted], #queue-list [data-status=skipped]")
    ).not_to_have_count(0)
    await say(page, "SAY It works.")
    await state(page, "speaking")
    await state(page, "idle")
    assert (await heard(page))[silent:] == counter_pcm("It works.")


async def test_a_failed_sentence_is_marked_and_the_others_are_heard(page: Page, stack: Stack) -> None:
    await open_page(page, stack, "?tap=1")
    await say(page, "SAY The first is fine. Now explode right here. The third is fine.")
    await state(page, "speaking")
    await state(page, "idle")
    await expect(page.locator("#queue-list [data-status=failed]")).to_have_count(1)
    await expect(page.locator("#transcript")).to_contain_text("Now explode right here.")
    assert await heard(page) == counter_pcm("The first is fine.") + counter_pcm("The third is fine.")


async def test_text_is_never_markup(page: Page, stack: Stack) -> None:
    await open_page(page, stack)
    hostile = "<img src=x onerror=document.title='broken'> <b>bold</b>"
    await say(page, f"SAY {hostile} and words.")
    await state(page, "speaking")
    await state(page, "idle")
    await expect(page.locator("#transcript")).to_contain_text(hostile)
    assert await page.locator("#transcript img, #transcript b").count() == 0
    assert await page.title() == "Cueline"


async def test_a_reload_rejoins_the_conversation(page: Page, stack: Stack) -> None:
    await open_page(page, stack)
    await say(page, "SAY Remember this line.")
    await state(page, "speaking")
    await state(page, "idle")
    await page.reload()
    await state(page, "idle")
    await expect(page.locator("#transcript")).to_contain_text("Remember this line.")
    await say(page, "SAY And this one.")
    await state(page, "speaking")
    await state(page, "idle")
    await expect(page.locator("#transcript")).to_contain_text("And this one.")


async def test_a_reload_goes_on_where_the_ear_was(page: Page, stack: Stack) -> None:
    await open_page(page, stack, "?tap=1")
    await say(page, "SAY " + " ".join(FIVE))
    await expect(page.locator("#queue-list > li").nth(2)).to_have_attribute("data-status", "playing")
    before = await heard(page)
    await page.reload()
    await expect(page.locator("#state-word")).to_contain_text("Sound is off")
    await expect(page.locator("#queue-list [data-status=played]")).to_have_count(2)
    await page.click("#state-word")
    await state(page, "speaking")
    await state(page, "idle")
    await expect(page.locator("#queue-list [data-status=played]")).to_have_count(5)
    after = await heard(page)
    whole = b"".join(counter_pcm(spoken(text)) for text in FIVE)
    assert whole.endswith(after)
    assert len(whole) <= len(before) + len(after) + 4800
    await page.reload()
    await state(page, "idle")
    await expect(page.locator("#queue-list [data-status=played]")).to_have_count(5)
    await expect(page.locator("#state-word")).to_have_text("Ready")


async def test_sound_that_waits_for_a_touch_can_be_cut(page: Page, stack: Stack) -> None:
    await page.set_viewport_size({"width": 320, "height": 700})
    await open_page(page, stack, "?tap=1")
    await say(page, "SAY " + " ".join(FIVE))
    await state(page, "speaking")
    await page.reload()
    await expect(page.locator("#state-word")).to_contain_text("Sound is off")
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    await page.keyboard.press("Escape")
    await expect(page.locator("#state-word")).to_have_text("Ready")
    await expect(page.locator("#interrupt")).to_be_disabled()
    await say(page, "SAY It works.")
    await state(page, "speaking")
    await state(page, "idle")
    assert await heard(page) == counter_pcm("It works.")


async def test_what_was_cut_stays_cut_after_a_reload(page: Page, stack: Stack) -> None:
    await open_page(page, stack, "?tap=1")
    await say(page, "SAY " + " ".join(FIVE))
    await expect(page.locator("#queue-list > li").nth(1)).to_have_attribute("data-status", "playing")
    await page.keyboard.press("Escape")
    await state(page, "idle")
    await page.reload()
    await state(page, "idle")
    await expect(page.locator("#queue-list [data-status=skipped]")).to_have_count(3)
    await expect(page.locator("#queue-list [data-status=played]")).to_have_count(1)
    await expect(page.locator("#state-word")).to_have_text("Ready")


async def test_a_server_that_comes_back_is_found_without_a_reload(page: Page, mortal: Stack) -> None:
    await open_page(page, mortal)
    assert mortal.api
    await asyncio.to_thread(mortal.api.kill)
    await state(page, "offline")
    await expect(page.locator("#banner")).to_be_visible()
    mortal.start_api()
    await state(page, "idle", timeout_s=30)
    await say(page, "SAY Here again.")
    await state(page, "speaking")
    await state(page, "idle")


async def test_a_message_that_is_too_long_stays_in_the_box(page: Page, stack: Stack) -> None:
    await open_page(page, stack)
    await say(page, "x" * 70_000)
    await expect(page.locator("#toasts [data-code=text_too_long]")).to_contain_text("at most 4000 characters")
    assert len(await page.input_value("#text")) == 70_000
    await say(page, "SAY It works.")
    await state(page, "speaking")
    await state(page, "idle")


async def test_a_message_that_breaks_the_line_is_given_back_and_not_sent_again(page: Page, stack: Stack) -> None:
    """A server that names no limit and closes with 1009 instead."""

    def without_limit(route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        route.on_message(server.send)
        server.on_message(lambda text: route.send(text.replace("limits", "hints") if isinstance(text, str) else text))

    await page.route_web_socket(lambda url: "/ws" in url, without_limit)
    await open_page(page, stack)
    await say(page, "x" * 70_000)
    await expect(page.locator("#toasts [data-code=text_too_long]")).to_be_visible()
    await state(page, "idle")
    assert len(await page.input_value("#text")) == 70_000
    await say(page, "SAY It works.")
    await state(page, "speaking")
    await state(page, "idle")


async def test_what_sounds_can_be_cut_while_the_server_is_away(page: Page, mortal: Stack) -> None:
    await open_page(page, mortal, "?tap=1")
    await say(page, "SAY " + "This goes on for quite a while. " * 12)
    await state(page, "speaking")
    await expect(page.locator("#queue-list [data-status=ready]")).not_to_have_count(0)
    assert mortal.api
    await asyncio.to_thread(mortal.api.kill)
    await state(page, "offline")
    await expect(page.locator("#queue-list [data-status=playing]")).to_have_count(1)
    await expect(page.locator("#interrupt")).to_be_enabled()
    await page.keyboard.press("Escape")
    await expect(page.locator("#queue-list [data-status=playing]")).to_have_count(0)
    await expect(page.locator("#interrupt")).to_be_disabled()
    silent = len(await heard(page))
    mortal.start_api()
    await state(page, "idle", timeout_s=30)
    assert len(await heard(page)) == silent
    await say(page, "SAY It works.")
    await state(page, "speaking")
    await state(page, "idle")
    assert (await heard(page))[silent:] == counter_pcm("It works.")


async def test_a_talk_that_the_server_forgot_is_closed(page: Page, mortal: Stack) -> None:
    await open_page(page, mortal)
    await say(page, "SAY " + "This goes on for quite a while. " * 12)
    await state(page, "speaking")
    assert mortal.api
    await asyncio.to_thread(mortal.api.kill)
    store = redis.Redis.from_url(mortal.redis_url)
    store.delete(*store.scan_iter("cueline:*"))
    store.close()
    mortal.start_api()
    await expect(page.locator("#transcript")).to_contain_text("A new conversation begins here", timeout=30000)
    await state(page, "idle")
    await expect(page.locator("#transcript [data-status=playing], #queue-list [data-status=playing]")).to_have_count(0)
    await expect(page.locator("#transcript .sentence:not([data-status=played])")).not_to_have_count(0)
    await expect(page.locator("#queue-badge")).to_be_hidden()
    await expect(page.locator("#interrupt")).to_be_disabled()


async def test_a_restart_lets_what_came_be_heard(page: Page, mortal: Stack) -> None:
    await open_page(page, mortal, "?tap=1")
    await say(page, "SAY 60 " + "This goes on for quite a while. " * 12)
    await state(page, "speaking")
    assert mortal.api
    await asyncio.to_thread(mortal.api.kill)
    mortal.start_api()
    await expect(page.locator("#toasts [data-code=server_restarted]")).to_be_visible(timeout=30000)
    await state(page, "idle", timeout_s=40)
    await expect(page.locator("#queue-list [data-status=played]")).not_to_have_count(0)
    await expect(
        page.locator("#queue-list > li:not([data-status=played], [data-status=skipped], [data-status=failed])")
    ).to_have_count(0)
    await expect(page.locator("#queue-badge")).to_be_hidden()
    await say(page, "SAY Here again.")
    await state(page, "speaking")
    await state(page, "idle")


@pytest.mark.parametrize("width", [320, 390, 900, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nothing_runs_over_the_edge(page: Page, stack: Stack, width: int, scheme: str) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    await open_page(page, stack)
    await say(
        page, "SAY A line. Averyveryverylongwordthatcannotbebrokenanywhereatallwithoutbeingcutinpieces" + "x" * 60
    )
    await state(page, "speaking")
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
