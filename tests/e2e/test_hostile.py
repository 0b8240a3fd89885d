"""Bad input: nothing breaks, nothing is taken for markup, nothing runs over the edge."""

from __future__ import annotations

import struct

from playwright.async_api import BrowserContext, Page, expect

from tests.e2e.between import Between
from tests.e2e.conftest import Complaints
from tests.e2e.talking import heard, jobs, open_page, say, state
from tests.fakes import counter_pcm
from tests.harness import Stack

MARKUP = "<img src=x onerror=document.title='broken'><b>Eve</b>"
COLOURS = ["red;background:url(//x)", "#zzz", 7, None]


async def mock(page: Page, stack: Stack) -> Between:
    between = Between()
    await between.stand(page)
    await open_page(page, stack, "?tap=1")
    return between


def frame(turn: int, sentence: int, part: int, pcm: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack("<IIIHBB", turn, sentence, part, 1, flags, 1) + pcm


async def fits(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


async def test_a_name_with_markup_in_it_is_a_name(page: Page, stack: Stack) -> None:
    cast = [
        {"id": f"e{n}", "name": MARKUP + "x" * 60, "voice": {"description": MARKUP * 5}, "colour": colour}
        for n, colour in enumerate(COLOURS)
    ]
    await page.route("**/api/characters", lambda route: route.fulfill(json=cast))
    between = await mock(page, stack)
    await expect(page.locator("#others-list .card")).to_have_count(4)
    between.tell(type="final_transcript", turn=0, content=MARKUP, source="text")
    between.tell(type="turn", turn=0, state="started", character=MARKUP)
    between.tell(type="llm_response", turn=0, content=MARKUP, is_complete=True, character=MARKUP)
    between.tell(
        type="sentence", turn=0, sentence=0, text=MARKUP, character=MARKUP, state="done", worker=MARKUP, duration_ms=99
    )
    between.tell(type="error", code="engine_failed", message=MARKUP, turn=0, sentence=0)
    between.tell(type="error", code=MARKUP, message=MARKUP, turn=0)
    between.tell(type="gap", what="messages", message=MARKUP)
    await expect(page.locator(".toast")).not_to_have_count(0)
    await expect(jobs(page)).to_have_count(1)
    await page.click(".job-text")
    await expect(page.locator("#transcript .reply")).to_contain_text(MARKUP)
    for width in (320, 1440):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await fits(page)
    assert await page.locator("body :is(img:not(.brand img), b, script)").count() == 0
    assert await page.title() == "Cueline"


async def test_a_reply_of_10_000_characters_is_shown_and_followed(page: Page, stack: Stack) -> None:
    between = await mock(page, stack)
    sentence = "This one has exactly fifty characters, count them."
    between.tell(type="turn", turn=0, state="started", character="Ava")
    for number in range(200):
        between.tell(type="llm_response", turn=0, content=sentence + " ", character="Ava")
        between.tell(type="sentence", turn=0, sentence=number, text=sentence, character="Ava", state="queued")
    between.tell(type="llm_response", turn=0, content=" ".join([sentence] * 200), is_complete=True, character="Ava")
    await expect(page.locator("#transcript .sentence")).to_have_count(200)
    await expect(jobs(page)).to_have_count(200)
    await expect(page.locator("#queue-summary")).to_have_text("200 to go")
    at_end = "(log => log.scrollHeight - log.scrollTop - log.clientHeight)(document.getElementById('transcript'))"
    assert await page.evaluate(at_end) < 80
    assert await fits(page)


async def test_500_messages_leave_a_page_that_works(page: Page, stack: Stack) -> None:
    between = await mock(page, stack)
    for turn in range(250):
        between.tell(type="final_transcript", turn=turn, content=f"Question {turn}", source="text")
        between.tell(type="turn", turn=turn, state="started", character="Ava")
        between.tell(type="llm_response", turn=turn, content="Answer.", is_complete=True, character="Ava")
        between.tell(
            type="sentence", turn=turn, sentence=0, text="Answer.", character="Ava", state="done", duration_ms=9
        )
        between.tell(type="turn", turn=turn, state="ended", reason="complete")
    await expect(page.locator("#transcript")).to_contain_text("Question 249", timeout=20000)
    assert await page.locator("#transcript .turn").count() <= 200
    assert await page.locator("#queue-list > details").count() <= 40
    assert await page.locator("#queue-list > details[open]").count() == 3
    await state(page, "idle")


async def test_frames_of_old_turns_twice_and_with_holes_do_not_disturb_the_rest(page: Page, stack: Stack) -> None:
    between = await mock(page, stack)
    await say(page, "SAY It works.")
    await state(page, "speaking")
    await state(page, "idle")
    pcm = counter_pcm("abc")
    between.tell(type="turn", turn=5, state="started", character="Ava")
    for number in range(3):
        between.tell(type="sentence", turn=5, sentence=number, text=f"Piece {number}.", character="Ava", state="queued")
    between.send(frame(0, 0, 0, pcm))
    between.send(b"")
    between.send(b"\0" * 17)
    between.send(frame(5, 0, 0, pcm))
    between.send(frame(5, 0, 0, pcm))
    between.send(frame(5, 2, 1, pcm, flags=1))
    between.send(frame(5, 1, 0, pcm))
    between.send(frame(4, 0, 0, pcm))
    between.tell(type="turn", turn=5, state="ended", reason="complete")
    await state(page, "speaking")
    await state(page, "idle")
    assert await heard(page) == counter_pcm("It works.") + pcm + pcm
    await expect(page.locator("#queue-list [data-status=playing]")).to_have_count(0)


async def test_what_can_no_longer_be_had_is_said_once_and_quietly(page: Page, stack: Stack) -> None:
    between = await mock(page, stack)
    await page.click("#state-word")
    pcm = counter_pcm("abc")
    between.tell(type="turn", turn=0, state="started", character="Ava")
    for number in range(4):
        between.tell(type="sentence", turn=0, sentence=number, text=f"Piece {number}.", character="Ava", state="done")
    between.send(frame(0, 0, 0, pcm, flags=1))
    between.tell(
        type="gap", what="audio", turn=0, sentence=2, part=0, message="Some of the sound is gone.", event="9-0"
    )
    between.send(frame(0, 2, 0, pcm, flags=1))
    await expect(page.locator(".toast[data-code=gap]")).to_have_text("Some of the sound is gone.Close")
    await expect(jobs(page, "missed")).to_have_count(1)
    await expect(jobs(page, "played")).to_have_count(2)
    between.tell(type="gap", what="audio", turn=0, message="The rest is gone.", event="10-0")
    between.tell(type="turn", turn=0, state="ended", reason="complete")
    await expect(jobs(page, "missed")).to_have_count(2)
    await state(page, "idle")
    assert await heard(page) == pcm + pcm


async def test_a_browser_that_stores_nothing_is_good_enough(
    context: BrowserContext, stack: Stack, complaints: Complaints
) -> None:
    page = complaints.watch(await context.new_page())
    await page.add_init_script(
        "for (const name of ['localStorage', 'sessionStorage'])"
        " Object.defineProperty(globalThis, name, { get() { throw new DOMException('no', 'SecurityError'); } });"
    )
    await open_page(page, stack)
    await page.click("#settings-button")
    await page.check("[name=theme][value=dark]")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.keyboard.press("Escape")
    await say(page, "SAY It works.")
    await state(page, "speaking")
    await state(page, "idle")
    assert complaints.unexpected == []
