"""Somebody speaks into a reply: it pauses, and goes on or ends."""

from __future__ import annotations

import asyncio

from playwright.async_api import Page, expect

from tests.e2e.between import Between
from tests.e2e.talking import open_page, say, state, until
from tests.harness import Stack

LONG = "SAY 20 " + "This goes on for quite a while. " * 3


async def test_a_reply_that_is_spoken_into_pauses_and_goes_on_where_it_paused(page: Page, stack: Stack) -> None:
    between = Between()
    await between.stand(page)
    await open_page(page, stack)
    await say(page, "SAY This goes on for a while. And so does this.")
    await state(page, "speaking")
    told = len(between.heard("played"))
    between.tell(type="barge_in", state="ducked")
    between.tell(type="barge_in", state="held")
    await expect(page.locator("#state-word")).to_contain_text("has paused")
    await until(lambda: len(between.heard("played")) > told, "how far it was heard")
    held_at = between.heard("played")[-1]
    await expect(page.locator("#caption")).not_to_be_empty()
    said = await page.text_content("#caption-said")
    await asyncio.sleep(0.5)
    assert await page.text_content("#caption-said") == said
    between.tell(type="barge_in", state="resumed")
    await expect(page.locator("#state-word")).to_contain_text("is speaking")
    await state(page, "idle")
    await expect(page.locator("#queue-list [data-status=played]")).to_have_count(2)
    heard = between.heard("played")
    assert held_at["ms"] < max(played["ms"] for played in heard if played["sentence"] == held_at["sentence"])
    assert {played["sentence"]: played["ms"] for played in heard} == {
        told["sentence"]: told["duration_ms"] for told in between.told if told.get("duration_ms")
    }


async def test_a_reply_that_is_cut_while_it_pauses_was_heard_up_to_there(page: Page, stack: Stack) -> None:
    between = Between()
    await between.stand(page)
    await open_page(page, stack)
    await say(page, LONG)
    await state(page, "speaking")
    between.tell(type="barge_in", state="held")
    await expect(page.locator("#state-word")).to_contain_text("has paused")
    await until(lambda: between.heard("played"), "how far it was heard")
    await page.keyboard.press("Escape")
    await state(page, "interrupted")
    await until(lambda: between.heard("interrupt"), "interrupt")
    heard, played = between.heard("interrupt")[0]["heard"], between.heard("played")[-1]
    assert heard == {"sentence": played["sentence"], "ms": played["ms"]}
    await say(page, "SAY It works.")
    await expect(page.locator("#state-word")).to_contain_text("is speaking")
    await expect(page.locator("#queue-list [data-status=played]")).to_have_count(1)
