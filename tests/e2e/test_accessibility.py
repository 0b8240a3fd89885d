"""The page for everybody: axe finds nothing in it, the keyboard is enough, and it can hold still."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.test_page import FIVE, open_page, say, state
from tests.harness import Stack

AXE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN_AXE = """async (tags) => {
  const { violations } = await axe.run(document, { runOnly: tags });
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`));
}"""
LONG = "SAY 20 " + "This goes on for quite a while. " * 10
FOCUSED = "document.activeElement.id || document.activeElement.tagName"


@pytest.fixture
async def looked_at(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A page of one width and one colour scheme with axe in it; only here the content policy steps aside for axe."""
    if not AXE.exists():
        if os.environ.get("CI"):
            pytest.fail("axe-core is not installed: npm ci")
        pytest.skip("NO AXE: the page was not looked at for accessibility (npm ci)")
    width, scheme = request.param
    context = await browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True
    )
    page = await context.new_page()
    await page.add_init_script(path=AXE)
    yield page
    await context.close()


LOOKS = pytest.mark.parametrize(
    "looked_at", [(width, scheme) for width in (1440, 390) for scheme in ("light", "dark")], indirect=True, ids=str
)


async def violations(page: Page) -> list[str]:
    found: list[str] = await page.evaluate(RUN_AXE, TAGS)
    return found


@LOOKS
async def test_axe_finds_nothing_before_the_talk(looked_at: Page, stack: Stack) -> None:
    await open_page(looked_at, stack)
    assert await violations(looked_at) == []


@LOOKS
async def test_axe_finds_nothing_while_five_sentences_are_spoken(looked_at: Page, stack: Stack) -> None:
    await open_page(looked_at, stack)
    await say(looked_at, "SAY 20 " + " ".join(FIVE))
    await expect(looked_at.locator("#queue-list [data-status=played]")).not_to_have_count(0)
    await expect(looked_at.locator("#queue-list > li")).to_have_count(5)
    assert await violations(looked_at) == []
    if await looked_at.locator("#queue-button").is_visible():
        await looked_at.click("#queue-button")
        await expect(looked_at.locator("#queue-dialog")).to_be_visible()
        assert await violations(looked_at) == []
    await expect(looked_at.locator("body")).to_have_attribute("data-state", "speaking")


@LOOKS
async def test_axe_finds_nothing_after_a_cut_and_a_failure(looked_at: Page, stack: Stack) -> None:
    await open_page(looked_at, stack)
    await say(looked_at, LONG)
    await state(looked_at, "speaking")
    await looked_at.keyboard.press("Escape")
    await state(looked_at, "idle")
    assert await violations(looked_at) == []
    await say(looked_at, "SAY The first is fine. Now explode right here. The third is fine.")
    await expect(looked_at.locator(".toast.error[role=alert]")).to_be_visible()
    await expect(looked_at.locator("#queue-list [data-status=failed]")).to_have_count(1)
    assert await violations(looked_at) == []


async def test_the_keyboard_alone_is_enough(page: Page, stack: Stack) -> None:
    await open_page(page, stack)
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip-link")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#text")).to_be_focused()
    await page.keyboard.type(LONG)
    await page.keyboard.press("Tab")
    await expect(page.locator("#send")).to_be_focused()
    await page.keyboard.press("Enter")
    await state(page, "speaking")
    assert await walk(page, backwards=True) == ["volume", "interrupt", "queue-list", "transcript"]
    assert await walk(page) == ["interrupt", "volume", "text", "send"]
    await page.focus("#interrupt")
    await page.keyboard.press("Enter")
    await state(page, "idle")
    await page.focus("#text")
    await page.keyboard.type(LONG)
    await page.keyboard.press("Enter")
    await state(page, "speaking")
    await page.keyboard.press("Escape")
    await state(page, "idle")


async def walk(page: Page, *, backwards: bool = False) -> list[str]:
    """What Tab reaches between the text box and the conversation, in order."""
    await page.focus("#text" if backwards else "#queue-list")
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
    await expect(page.locator("#queue-list [data-status=played]")).not_to_have_count(0)
    level = "getComputedStyle(document.getElementById('meter'), '::before').transform"
    assert (await page.evaluate(level) != "none") == moves
