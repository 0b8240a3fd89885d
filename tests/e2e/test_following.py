"""The transcript stays where the talk is, and leaves alone whoever reads elsewhere."""

from __future__ import annotations

import struct
from functools import partial

import pytest_asyncio
from playwright.async_api import Page, expect

from tests.e2e.between import Between
from tests.e2e.talking import open_page, say
from tests.fakes import counter_pcm
from tests.harness import Stack

SENTENCE = "This one has exactly fifty characters, count them."
IS_SEEN = """(element) => {
  const log = document.getElementById('transcript').getBoundingClientRect();
  const box = element.getBoundingClientRect();
  return box.bottom > log.top && box.top < log.bottom;
}"""
SETTLED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest_asyncio.fixture(loop_scope="session")
async def between(page: Page, stack: Stack) -> Between:
    """The server's words are the test's."""
    made = Between()
    await made.stand(page)
    await open_page(page, stack)
    return made


def tell_reply(between: Between, turn: int, sentences: int, asked: str = "What?") -> None:
    between.tell(type="final_transcript", turn=turn, content=asked, source="text")
    between.tell(type="turn", turn=turn, state="started", character="Ava")
    for number in range(sentences):
        between.tell(type="llm_response", turn=turn, content=SENTENCE + " ", character="Ava")
        between.tell(type="sentence", turn=turn, sentence=number, text=SENTENCE, character="Ava", state="queued")


def speak(between: Between, turn: int, sentence: int, text: str) -> None:
    pcm = counter_pcm(text)
    between.send(struct.pack("<IIIHBB", turn, sentence, 0, 1, 1, 1) + pcm)


async def is_seen(page: Page, selector: str) -> bool:
    await page.evaluate(SETTLED)
    return bool(await page.locator(selector).evaluate(IS_SEEN))


async def test_the_voice_is_followed_and_who_reads_ahead_is_left_alone(page: Page, between: Between) -> None:
    await page.click("#state-word")
    tell_reply(between, 0, 60)
    speak(between, 0, 0, "half a second")
    speak(between, 0, 1, "as long as this test may take" * 40)
    playing = "#transcript [data-sentence='1'][data-status=playing]"
    await expect(page.locator(playing)).to_have_count(1)
    assert await is_seen(page, playing), "the sentence that is spoken, not the newest one"
    await expect(page.locator("#jump")).to_be_hidden()
    await page.locator("#transcript").evaluate("(transcript) => { transcript.scrollTop = 1e6; }")
    await expect(page.locator("#jump")).to_be_visible()
    between.tell(type="llm_response", turn=0, content="And more.", character="Ava")
    await expect(page.locator("#transcript .reply")).to_contain_text("And more.")
    assert not await is_seen(page, playing), "who reads ahead is not called back"
    await page.click("#jump")
    assert await is_seen(page, playing)
    await expect(page.locator("#jump")).to_be_hidden()


async def test_a_long_message_does_not_end_the_following(page: Page, between: Between) -> None:
    """The box shrinks while words are added, and the browser scrolls for it."""
    await page.set_viewport_size({"width": 390, "height": 844})
    for turn in range(8):
        tell_reply(between, turn, 4)
        between.tell(type="turn", turn=turn, state="ended", reason="complete")
    await expect(page.locator("#transcript .sentence")).to_have_count(32)
    words = "These are a great many words of my own. " * 40
    for turn in range(8, 14):
        between.answers["chat"] = partial(tell_reply, between, turn, 4, words)
        await say(page, words)
        await expect(page.locator(f".turn[data-turn='{turn}'] .sentence")).to_have_count(4)
        between.tell(type="turn", turn=turn, state="ended", reason="complete")
        assert await is_seen(page, f".turn[data-turn='{turn}'] .sentence >> nth=-1")
        await expect(page.locator("#jump")).to_be_hidden()


async def test_a_sentence_is_found_from_its_place_in_the_queue(page: Page, between: Between) -> None:
    tell_reply(between, 0, 60)
    await expect(page.locator("#queue-list .job")).to_have_count(60)
    first = "#transcript [data-sentence='0']"
    assert not await is_seen(page, first)
    await page.click("#queue-list .job-text >> nth=0")
    assert await is_seen(page, first)
    await expect(page.locator("#jump")).to_be_visible()
    await page.click("#queue-list .job-text >> nth=-1")
    assert await is_seen(page, "#transcript [data-sentence='59']")
    await expect(page.locator("#jump")).to_be_hidden()
