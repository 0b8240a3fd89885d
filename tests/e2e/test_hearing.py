"""What is heard, sample by sample, whatever happens in between."""

from __future__ import annotations

from playwright.async_api import Page, expect

from api.turn.spoken import spoken
from tests.e2e.between import Between
from tests.e2e.talking import FIVE, heard, jobs, open_page, say, state
from tests.fakes import counter_pcm
from tests.harness import Stack

LONGER = "This one is longer than the others, so that there is time to do something meanwhile."
KEEP_HEARD = """addEventListener('pagehide', () => {
  const samples = (globalThis.cuelineTap ?? []).flatMap((block) => [...block]);
  if (samples.length) sessionStorage.testHeard = samples.filter(Boolean).length;
});"""
"""How many samples had been heard when the page went."""


async def test_escape_silences_and_the_next_turn_works(page: Page, stack: Stack) -> None:
    await open_page(page, stack, "?tap=1")
    await say(page, "SAY 20 " + "This goes on for quite a while. " * 10)
    await state(page, "speaking")
    await expect(page.locator("#caption-said")).not_to_be_empty()
    await page.keyboard.press("Escape")
    await state(page, "idle")
    silent = len(await heard(page))
    assert silent > 0
    await expect(jobs(page, "interrupted")).to_have_count(1)
    await say(page, "SAY It works.")
    await state(page, "speaking")
    await state(page, "idle")
    assert (await heard(page))[silent:] == counter_pcm("It works.")


async def test_escape_silences_within_10_ms_of_sound_and_says_what_was_heard(page: Page, stack: Stack) -> None:
    between = Between()
    await between.stand(page)
    await open_page(page, stack, "?tap=1")
    text = "This goes on for quite a while and does not want to end by itself at all."
    await say(page, f"SAY {text}")
    await expect(page.locator("#caption-said")).not_to_be_empty()
    await page.keyboard.press("Escape")
    await state(page, "interrupted")
    await state(page, "idle")
    got = await heard(page)
    (said,) = between.heard("interrupt")
    whole = counter_pcm(text)
    exact = next(place for place in range(0, len(got), 2) if got[place : place + 2] != whole[place : place + 2])
    assert (len(got) - exact) // 2 <= 240, "after the word to stop there are 10 ms of fading sound, no more"
    assert said["turn"] == 0 and said["heard"]["sentence"] == 0
    rendered_ms = len(got) / 2 / 24
    assert 0 <= rendered_ms - said["heard"]["ms"] <= 200, "what was heard is what was rendered, less the way to the ear"


async def test_a_failed_sentence_is_marked_and_the_others_are_heard(page: Page, stack: Stack) -> None:
    await open_page(page, stack, "?tap=1")
    await say(page, "SAY The first is fine. Now explode right here. The third is fine.")
    await state(page, "speaking")
    await state(page, "idle")
    await expect(jobs(page, "failed")).to_have_count(1)
    await expect(page.locator("#transcript")).to_contain_text("Now explode right here.")
    assert await heard(page) == counter_pcm("The first is fine.") + counter_pcm("The third is fine.")


async def test_a_reload_goes_on_where_the_ear_was(page: Page, stack: Stack) -> None:
    await page.add_init_script(KEEP_HEARD)
    await open_page(page, stack, "?tap=1")
    texts = (*FIVE[:2], LONGER, *FIVE[3:])
    await say(page, "SAY " + " ".join(texts))
    await expect(jobs(page).nth(2)).to_have_attribute("data-status", "playing")
    await page.reload()
    before = int(await page.evaluate("sessionStorage.testHeard"))
    await expect(page.locator("#state-word")).to_contain_text("Sound is off")
    await expect(jobs(page, "played")).to_have_count(2)
    await page.click("#state-word")
    await state(page, "speaking")
    await state(page, "idle")
    await expect(jobs(page, "played")).to_have_count(5)
    after = await heard(page)
    whole = b"".join(counter_pcm(spoken(text)) for text in texts)
    assert whole.endswith(after)
    assert before > 0 and len(whole) <= 2 * before + len(after) + 4800
    await page.reload()
    await state(page, "idle")
    await expect(jobs(page, "played")).to_have_count(5)
    await expect(page.locator("#state-word")).to_have_text("Ready")
    await expect(page.locator("#transcript")).to_contain_text(FIVE[0])
    await say(page, "SAY And this one.")
    await state(page, "speaking")
    await state(page, "idle")
    await expect(page.locator("#transcript .reply")).to_have_count(2)


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
    await say(page, "SAY " + " ".join((FIVE[0], LONGER, *FIVE[2:])))
    await expect(page.locator("#caption-said")).to_contain_text("This one")
    await page.keyboard.press("Escape")
    await state(page, "idle")
    await page.reload()
    await state(page, "idle")
    await expect(jobs(page, "skipped")).to_have_count(3)
    await expect(jobs(page, "played")).to_have_count(1)
    await expect(page.locator("#state-word")).to_have_text("Ready")
