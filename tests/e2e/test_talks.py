"""The conversations there have been: listed, searched, gone on with, renamed, taken along, deleted."""

from __future__ import annotations

import time

from playwright.async_api import BrowserContext, Page, expect

from tests.e2e.between import Between
from tests.e2e.conftest import Complaints
from tests.e2e.talking import open_page, say, state, until
from tests.harness import Stack

WORD = "zugzwang"


async def list_talks(page: Page) -> None:
    await page.click("#talks-button")
    await expect(page.locator(".talk-row, #talks-status:not(:empty)").first).to_be_visible()


async def search(page: Page, words: str) -> None:
    await page.fill("#talks-search", words)
    await expect(page.locator("#talks-status")).not_to_be_empty()


async def test_a_talk_of_before_is_found_gone_on_with_renamed_and_deleted(
    page: Page, context: BrowserContext, stack: Stack, complaints: Complaints
) -> None:
    complaints.expected = ("404",)
    await open_page(page, stack)
    await say(page, f"SAY A {WORD} is a move.")
    await state(page, "speaking")
    await state(page, "idle")
    session = await page.evaluate("sessionStorage.getItem('cueline.session')")
    # Redis forgets it, as after a day.
    stack.forget_session(session)
    later = complaints.watch(await context.new_page())
    await open_page(later, stack)
    await list_talks(later)
    await search(later, f"{WORD} is")
    await expect(later.locator(".talk-row")).to_have_count(1)
    await later.click(".talk-open")
    await expect(later.locator(".reply .words")).to_have_text(f"A {WORD} is a move.")
    await expect(later.locator(".divider")).to_have_count(0)
    await expect(later.locator(".toast")).to_have_count(0)
    await state(later, "idle")
    await say(later, "SAY It goes on.")
    await expect(later.locator("#queue-list [data-turn='1'] [data-status=played]")).to_have_count(1)
    await expect(later.locator(".turn")).to_have_count(2)
    await list_talks(later)
    await expect(later.locator(".talk-row[aria-current]")).to_contain_text("2 turns")
    await search(later, WORD)
    await later.click(".talk-more")
    async with later.expect_download() as found:
        await later.click(".talk-files >> text=md")
    assert WORD in (await (await found.value).path()).read_text()
    await later.click(".talk-strip >> text=Rename")
    await later.keyboard.type("Chess <i>words</i>")
    await later.keyboard.press("Escape")
    await expect(later.locator("#talks-dialog")).to_be_visible()
    await later.click(".talk-strip >> text=Rename")
    await later.keyboard.type("Chess <i>words</i>")
    await later.keyboard.press("Enter")
    await expect(later.locator(".talk-open strong")).to_have_text("Chess <i>words</i>")
    await later.click(".talk-more")
    await later.click(".talk-strip >> text=Delete")
    await later.click(".talk-row >> text=Undo")
    await expect(later.locator(".talk-open strong")).to_have_text("Chess <i>words</i>")
    assert stack.get(f"/api/sessions/{session}")[0] == 200
    await later.click(".talk-more")
    await later.click(".talk-strip >> text=Delete")
    await later.keyboard.press("Escape")
    await until(lambda: stack.get(f"/api/sessions/{session}")[0] == 404, "it to be gone")
    await state(later, "idle")
    await later.close()


async def test_a_thousand_talks_are_listed_and_a_store_that_is_down_is_told(
    page: Page, stack: Stack, complaints: Complaints
) -> None:
    complaints.expected = ("503",)
    now = int(time.time() * 1000)
    many = [
        {
            "id": f"t{n}",
            "title": "<b>x</b>" * 25,
            "character": "gone",
            "turns": n + 1,
            "updated_at": now - n * 3_600_000,
        }
        for n in range(1000)
    ]
    await page.route("**/api/sessions?search=", lambda route: route.fulfill(json=many))
    between = Between()
    await between.stand(page)
    await open_page(page, stack)
    await list_talks(page)
    await expect(page.locator(".talk-row")).to_have_count(60)
    await page.click(".more-talks")
    await expect(page.locator(".talk-row")).to_have_count(260)
    for width in (320, 1440):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    away = {"code": "store_unreachable", "message": "The store is away."}
    await page.route("**/api/sessions/t0", lambda route: route.fulfill(status=503, json=away))
    await page.click(".talk-more >> nth=0")
    await page.click(".talk-strip >> text=Rename")
    await page.keyboard.type("Mine")
    await page.keyboard.press("Enter")
    await expect(page.locator(".talk-rename .failure-note")).to_have_text("The store is away.")
    assert await page.input_value(".talk-rename input") == "Mine"
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await expect(page.locator("#talks-dialog")).to_be_hidden()
    between.tell(type="saving", state="behind")
    await expect(page.locator("#saving")).to_have_text("Not saved yet")
    between.tell(type="saving", state="saved")
    await expect(page.locator("#saving")).to_be_hidden()
