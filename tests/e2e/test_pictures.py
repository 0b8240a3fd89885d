"""Every screen at every width, light and dark: nothing runs over the edge, and build/pictures shows how it looks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, Page, expect

from tests.e2e.conftest import Complaints
from tests.e2e.talking import FIVE, jobs, open_page, say, state
from tests.harness import ROOT, Stack

SIZES = ((320, 640), (390, 844), (900, 700), (1440, 900))
FOLDER = ROOT / "build/pictures"
OVER = "[document.documentElement.scrollWidth - innerWidth, document.body.scrollHeight - innerHeight]"
Scheme = Literal["light", "dark"]


async def take(page: Page, name: str, folder: Path, sizes: Sequence[tuple[int, int]] = SIZES) -> None:
    for width, height in sizes:
        await page.set_viewport_size({"width": width, "height": height})
        assert max(await page.evaluate(OVER)) <= 0, (name, width)
        await page.screenshot(path=folder / f"{name}-{width}.png")


async def walk(browser: Browser, stack: Stack, complaints: Complaints, scheme: Scheme) -> None:
    folder = FOLDER / scheme
    folder.mkdir(parents=True, exist_ok=True)
    context = await browser.new_context(color_scheme=scheme, reduced_motion="reduce")
    page = complaints.watch(await context.new_page())
    await open_page(page, stack)
    await expect(page.locator(".card")).not_to_have_count(0)
    await take(page, "first", folder)
    await say(page, "SAY Good morning. " + " ".join(FIVE) + " It goes on, and on, and on for a long while." * 9)
    await expect(jobs(page).nth(1)).to_have_attribute("data-status", "playing")
    await take(page, "speaking", folder)
    await page.keyboard.press("Escape")
    await state(page, "idle")
    await say(page, "SAY The first is fine. Now explode right here.")
    await expect(jobs(page, "failed")).to_have_count(1)
    await say(page, "REFUSE")
    await expect(page.locator(".failure")).to_be_visible()
    await take(page, "errors", folder)
    await page.click("#settings-button")
    await take(page, "settings", folder)
    await page.keyboard.press("Escape")
    await page.focus("#transcript")
    await page.keyboard.press("?")
    await take(page, "help", folder, SIZES[::3])
    await page.keyboard.press("Escape")
    await page.click("#talks-button")
    await expect(page.locator(".talk-row")).not_to_have_count(0)
    await take(page, "talks", folder, SIZES[1::2])
    await page.keyboard.press("Escape")
    await page.click("#others-list .add >> nth=0")
    await page.click(".more-tools >> nth=0")
    await take(page, "group", folder, SIZES[3:])
    await page.hover("#others-list .card >> nth=0")
    await page.click("#others-list .edit >> nth=0")
    await take(page, "editor", folder, SIZES[1::2])
    await page.keyboard.press("Escape")
    await page.set_viewport_size({"width": 390, "height": 844})
    for sheet in ("queue", "cast"):
        await page.click(f"#{sheet}-button")
        await page.screenshot(path=folder / f"{sheet}-390.png")
        await page.keyboard.press("Escape")
    await page.goto(stack.url + "/batch.html")
    await page.click("#example")
    await expect(page.locator(".role")).to_have_count(4)
    await take(page, "script", folder)
    await context.close()


async def test_every_screen_fits_and_can_be_looked_at(browser: Browser, stack: Stack, complaints: Complaints) -> None:
    await asyncio.gather(*(walk(browser, stack, complaints, scheme) for scheme in ("light", "dark")))
    assert complaints.unexpected == []
    assert len(list(FOLDER.glob("*/*.png"))) >= 2 * (5 * len(SIZES) + 9)
