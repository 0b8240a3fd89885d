"""The page for everybody: axe finds nothing in it, the keyboard is enough, and it can hold still."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.e2e.talking import jobs, open_page, say, state
from tests.harness import Stack

AXE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN_AXE = """async (tags) => {
  const { violations } = await axe.run(document, { runOnly: tags });
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`));
}"""
LONG = "SAY 20 " + "This goes on for quite a while. " * 30
"""Longer than four pages at once can be looked at, however slow the machine is; nobody hears it to its end."""
FOCUSED = "document.activeElement.id || document.activeElement.tagName"


Looked = Callable[[Page], Awaitable[None]]


@pytest_asyncio.fixture(loop_scope="session")
async def look(browser: Browser) -> AsyncIterator[Callable[[Looked], Awaitable[None]]]:
    """Does the same on a wide and a narrow page, light and dark, at once; only here the policy steps aside for axe."""
    if not AXE.exists():
        if os.environ.get("CI"):
            pytest.fail("axe-core is not installed: npm ci")
        pytest.skip("NO AXE: the page was not looked at for accessibility (npm ci)")
    contexts: list[BrowserContext] = []

    async def look_at(width: int, scheme: Literal["light", "dark"], doing: Looked) -> None:
        context = await browser.new_context(
            viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True
        )
        contexts.append(context)
        page = await context.new_page()
        await page.add_init_script(path=AXE)
        await doing(page)

    async def everywhere(doing: Looked) -> None:
        schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
        await asyncio.gather(*(look_at(width, scheme, doing) for width in (1440, 390) for scheme in schemes))

    yield everywhere
    for context in contexts:
        await context.close()


async def clean(page: Page) -> None:
    assert await page.evaluate(RUN_AXE, TAGS) == [], page.viewport_size


async def test_axe_finds_nothing_before_the_talk_nor_in_what_opens(look: Any, stack: Stack) -> None:
    async def doing(page: Page) -> None:
        await open_page(page, stack)
        await expect(page.locator(".card")).not_to_have_count(0)
        await clean(page)
        for opener, opened in (
            ("#settings-button", "#settings-dialog"),
            ("#menu-button", "#talk-menu"),
            ("#talks-button", "#talks-dialog"),
            ("[data-action=share]", "#share-dialog"),
        ):
            if opener == "[data-action=share]":
                await page.click("#menu-button")
            await page.click(opener)
            await expect(page.locator(opened)).to_be_visible()
            await clean(page)
            await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await expect(page.locator("#help-dialog")).to_be_visible()
        await clean(page)
        await page.keyboard.press("Escape")
        if await page.locator("#cast-button").is_visible():
            await page.click("#cast-button")
            await expect(page.locator("#cast-dialog")).to_be_visible()
            await clean(page)
        await page.click(".add >> nth=0")
        await page.click(".more-tools >> nth=0")
        await clean(page)
        await page.click(".more-tools >> nth=0")
        await page.hover("#others-list .card >> nth=0")
        await page.click("#others-list .edit >> nth=0")
        await expect(page.locator("#voice-list option").first).to_be_attached()
        await page.fill("[name=name]", "")
        await page.click("#editor-save")
        await expect(page.locator("[data-for=name]")).to_be_visible()
        await clean(page)

    await look(doing)


async def test_axe_finds_nothing_on_the_script_page(look: Any, stack: Stack) -> None:
    script = "Ava: One line is ready.\nBen: Please explode.\nSomebody: This one is nobody's."

    async def doing(page: Page) -> None:
        await page.goto(stack.url + "/batch.html")
        await expect(page.locator("#connection-word")).to_have_text("Online")
        await clean(page)
        await page.click("#paste-script")
        await page.fill("#paste-text", script)
        await clean(page)
        await page.click("[data-take=replace]")
        await page.click("#render-all")
        await expect(page.locator("#script-failure")).to_be_visible()
        await page.locator(".role", has_text="Somebody").locator("select").select_option("cleo")
        await page.click("#render-all")
        await expect(page.locator(".line[data-state=failed]")).to_have_count(1, timeout=30_000)
        await expect(page.locator(".line[data-state=ready]")).to_have_count(2, timeout=30_000)
        await page.fill(".line-text >> nth=2", "Changed.")
        await page.click(".line-more >> nth=0")
        await clean(page)
        await page.click("#download-button")
        await clean(page)
        await page.keyboard.press("Escape")
        await page.click("#renders-button")
        await page.locator("#renders-list .talk-more").first.click()
        await clean(page)

    await look(doing)
    for one in stack.get("/api/renders")[1]:
        stack.request("DELETE", f"/api/renders/{one['id']}")


async def test_axe_finds_nothing_while_sentences_are_spoken(look: Any, stack: Stack) -> None:
    async def doing(page: Page) -> None:
        await open_page(page, stack)
        await say(page, LONG)
        await expect(page.locator("#caption-said")).not_to_be_empty()
        await clean(page)
        await page.click("#latency-details summary")
        await clean(page)
        if await page.locator("#queue-button").is_visible():
            await page.click("#queue-button")
            await expect(page.locator("#queue-dialog")).to_be_visible()
        await page.click(".job-text >> nth=0")
        await clean(page)
        await expect(page.locator("body")).to_have_attribute("data-state", "speaking")

    await look(doing)


async def test_axe_finds_nothing_after_a_cut_and_a_failure(look: Any, stack: Stack) -> None:
    async def doing(page: Page) -> None:
        await open_page(page, stack)
        await say(page, LONG)
        await state(page, "speaking")
        await page.keyboard.press("Escape")
        await state(page, "interrupted")
        await state(page, "idle")
        await clean(page)
        await say(page, "SAY The first is fine. Now explode right here. The third is fine.")
        await expect(page.locator(".toast.error[role=alert]")).to_be_visible()
        await expect(jobs(page, "failed")).to_have_count(1)
        await say(page, "REFUSE")
        await expect(page.locator(".failure")).to_be_visible()
        await clean(page)

    await look(doing)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nothing_runs_over_the_edge(page: Page, stack: Stack, scheme: Literal["light", "dark"]) -> None:
    """Widths and heights of real screens; what is said never hides what is being said now."""
    await page.emulate_media(color_scheme=scheme)
    await open_page(page, stack)
    await say(page, "SAY A line. Averyveryverylongwordthatcannotbebrokenanywhereatallwithoutharm" + "x" * 160)
    await state(page, "speaking")
    for width, height in ((320, 640), (390, 844), (390, 480), (900, 700), (1440, 900)):
        await page.set_viewport_size({"width": width, "height": height})
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert await page.evaluate("document.body.scrollHeight - innerHeight") <= 0
        transcript = await page.locator("#transcript").bounding_box()
        caption = await page.locator("#caption").bounding_box()
        assert transcript and caption
        assert transcript["height"] > 120
        assert transcript["y"] >= caption["y"] + caption["height"], "the caption is not cut"


async def test_the_keyboard_alone_is_enough(page: Page, stack: Stack) -> None:
    await open_page(page, stack)
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip-link")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#text")).to_be_focused()
    await page.keyboard.insert_text(LONG)
    await page.keyboard.press("Tab")
    await expect(page.locator("#send")).to_be_focused()
    await page.keyboard.press("Enter")
    await state(page, "speaking")
    assert await walk(page, backwards=True) == ["volume", "mute", "interrupt", "mic"]
    assert await walk(page) == ["interrupt", "mute", "volume", "text"]
    await page.focus("#interrupt")
    await page.keyboard.press("Enter")
    await state(page, "idle")
    await page.focus("#text")
    await page.keyboard.insert_text(LONG)
    await page.keyboard.press("Enter")
    await state(page, "speaking")
    await page.keyboard.press("Escape")
    await state(page, "idle")


async def walk(page: Page, *, backwards: bool = False) -> list[str]:
    """What Tab reaches in the bar at the bottom, in order."""
    await page.focus("#text" if backwards else "#mic")
    reached: list[str] = []
    for _ in range(4):
        await page.keyboard.press("Shift+Tab" if backwards else "Tab")
        reached.append(await page.evaluate(FOCUSED))
    return reached


async def test_the_focus_is_always_seen(page: Page, stack: Stack) -> None:
    await open_page(page, stack)
    for _ in range(6):
        await page.keyboard.press("Tab")
        outline = await page.evaluate("getComputedStyle(document.activeElement).outline")
        assert "solid" in outline, await page.evaluate(FOCUSED)
        assert "3px" in outline, await page.evaluate(FOCUSED)


@pytest.mark.parametrize(("motion", "moves"), [("reduce", False), ("no-preference", True)])
async def test_the_page_holds_still_for_who_asks(page: Page, stack: Stack, motion: str, moves: bool) -> None:
    await page.emulate_media(reduced_motion=motion)  # type: ignore[arg-type]
    await open_page(page, stack)
    await say(page, "NEVER")
    await state(page, "thinking")
    assert await page.evaluate("document.getAnimations().length > 0") == moves
    await page.keyboard.press("Escape")
    await say(page, LONG)
    await state(page, "speaking")
    await expect(page.locator("#caption-said")).not_to_be_empty()
    level = "getComputedStyle(document.getElementById('meter'), '::before').transform"
    assert (await page.evaluate(level) != "none") == moves
