"""What every test of the page does: open it, say something, wait for a state, read what was heard."""

from __future__ import annotations

import asyncio
import base64
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Locator, Page

from tests.harness import Stack, wait_until

FIVE = ("The first is here.", "The second is late too.", "And a third follows.", "Four comes now.", "Five is the last.")
SEEN: weakref.WeakKeyDictionary[Page, tuple[str, int]] = weakref.WeakKeyDictionary()
LOOK_AGAIN_S = 0.03
KEEP_STATES = """addEventListener('DOMContentLoaded', () => {
  const { dataset } = document.documentElement;
  const keep = () => { dataset.states += ` ${document.body.dataset.state}`; };
  dataset.states = performance.timeOrigin;
  keep();
  new MutationObserver(keep).observe(document.body, { attributes: true, attributeFilter: ['data-state'] });
});"""
READ_TAP = """() => {
  const samples = globalThis.cuelineTap.flatMap((block) => Array.from(block));
  const bytes = new Uint8Array(Int16Array.from(samples).buffer);
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}"""


async def open_page(page: Page, stack: Stack, query: str = "") -> None:
    await page.add_init_script(KEEP_STATES)
    await page.goto(stack.url + "/" + query)
    await state(page, "idle")


async def say(page: Page, text: str) -> None:
    await page.fill("#text", text)
    await page.click("#send")


async def state(page: Page, *names: str, timeout_s: float = 20) -> None:
    """Wait until the page is in one of those states, or has been since the last one waited for: a short one counts."""
    document, seen = SEEN.get(page, ("", 0))
    past: list[str] = []
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                here, *past = (await page.locator("html").get_attribute("data-states") or "").split(" ")
                seen = seen if here == document else 0
                document = here
                since = [place for place in range(seen, len(past)) if past[place] in names]
                if since or (past[-1:] and past[-1] in names):
                    SEEN[page] = (document, since[0] + 1 if since else len(past))
                    return
                await asyncio.sleep(LOOK_AGAIN_S)
    except TimeoutError:
        pytest.fail(f"waited {timeout_s} s in vain for {names}; since {seen} of {past}")


async def until(check: Callable[[], Any], what: str) -> None:
    await asyncio.to_thread(wait_until, check, what)


async def heard(page: Page) -> bytes:
    """Every sample that left the player, silence taken away: the counter signal has no zero in it."""
    raw = base64.b64decode(await page.evaluate(READ_TAP))
    return b"".join(raw[i : i + 2] for i in range(0, len(raw), 2) if raw[i : i + 2] != b"\0\0")


def jobs(page: Page, status: str = "") -> Locator:
    """The sentences in the voice queue's newest turn, all or those of one status."""
    return page.locator("#queue-list > :last-child .job" + (f"[data-status={status}]" if status else ""))
