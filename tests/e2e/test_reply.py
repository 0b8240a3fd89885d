"""One reply of five sentences, spoken once: each test looks at another side of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from api.turn.spoken import spoken
from tests.e2e.conftest import Complaints
from tests.e2e.talking import FIVE, heard, jobs, open_page, say, state
from tests.fakes import counter_pcm
from tests.harness import Stack

WATCH = """addEventListener('DOMContentLoaded', () => {
  const caption = document.getElementById('caption');
  globalThis.captions = [];
  new MutationObserver(() => {
    if (caption.textContent && captions.at(-1) !== caption.textContent) captions.push(caption.textContent);
  }).observe(caption, { subtree: true, childList: true, characterData: true });
  globalThis.statuses = [];
  const keep = ({ target }) => { if (target.className === 'job') statuses.push(target.dataset.status); };
  new MutationObserver((changes) => changes.forEach(keep))
    .observe(document.getElementById('queue-list'), { subtree: true, attributeFilter: ['data-status'] });
});"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def told(browser: Browser, stack: Stack) -> AsyncIterator[Page]:
    """A page on which five sentences have been spoken."""
    complaints = Complaints()
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    page = complaints.watch(await context.new_page())
    await page.add_init_script(WATCH)
    await open_page(page, stack, "?tap=1")
    await say(page, "SAY 20 " + " ".join(FIVE))
    await state(page, "thinking")
    await state(page, "speaking")
    await expect(jobs(page, "playing")).to_have_count(1)
    await state(page, "idle")
    yield page
    await context.close()
    assert complaints.unexpected == []


async def test_every_sample_is_heard_once_and_in_order(told: Page) -> None:
    expected = b"".join(counter_pcm(spoken(text)) for text in FIVE)
    got = await heard(told)
    assert len(got) == len(expected)
    assert got == expected


async def test_each_sentence_is_shown_and_goes_through_its_states(told: Page) -> None:
    await expect(jobs(told)).to_have_count(5)
    await expect(jobs(told, "played")).to_have_count(5)
    seen = await told.evaluate("statuses")
    assert seen.count("playing") == seen.count("played") == 5
    assert {"synthesizing", "ready"} <= set(seen)
    for text in ("SAY 20", *FIVE):
        await expect(told.locator("#transcript")).to_contain_text(text)
    await expect(told.locator("#transcript .sentence[data-status=played]")).to_have_count(5)


async def test_the_caption_says_every_sentence_in_order(told: Page) -> None:
    assert await told.evaluate("captions") == list(FIVE)
    await expect(told.locator("#caption")).to_be_empty()


async def test_the_way_to_the_first_sound_is_told(told: Page) -> None:
    await expect(told.locator("#latency-details summary")).to_contain_text("First sound after")
    await told.click("#latency-details summary")
    for words in ("First word of the reply", "First audio received", "Sound kept in hand"):
        await expect(told.locator("#latency-rows")).to_contain_text(words)
