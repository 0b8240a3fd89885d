"""What is shown: sentences and their states, words as words, the box one types in."""

from __future__ import annotations

import asyncio
import struct

from playwright.async_api import BrowserContext, Page, WebSocketRoute, expect

from tests.e2e.between import Between
from tests.e2e.conftest import Complaints
from tests.e2e.talking import FIVE, heard, jobs, open_page, say, state
from tests.fakes import counter_pcm
from tests.harness import Stack


async def test_text_is_never_markup(page: Page, stack: Stack) -> None:
    await open_page(page, stack)
    hostile = "<img src=x onerror=document.title='broken'> <b>bold</b>"
    await say(page, f"SAY {hostile} and words.")
    await state(page, "speaking")
    await state(page, "idle")
    await expect(page.locator("#transcript")).to_contain_text(hostile)
    assert await page.locator("#transcript img, #transcript b").count() == 0
    assert await page.title() == "Cueline"


async def test_a_message_that_is_too_long_stays_in_the_box(page: Page, stack: Stack) -> None:
    await open_page(page, stack)
    await say(page, "x" * 70_000)
    await expect(page.locator("#toasts [data-code=text_too_long]")).to_contain_text("at most 4000 characters")
    assert len(await page.input_value("#text")) == 70_000
    await say(page, "SAY It works.")
    await state(page, "speaking")
    await state(page, "idle")


async def test_a_message_that_breaks_the_line_is_given_back_and_not_sent_again(page: Page, stack: Stack) -> None:
    """A server that names no limit and closes with 1009 instead."""

    def without_limit(route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        route.on_message(server.send)
        server.on_message(lambda text: route.send(text.replace("limits", "hints") if isinstance(text, str) else text))

    await page.route_web_socket(lambda url: "/ws" in url, without_limit)
    await open_page(page, stack)
    await say(page, "x" * 70_000)
    await expect(page.locator("#toasts [data-code=text_too_long]")).to_be_visible()
    await state(page, "idle")
    assert len(await page.input_value("#text")) == 70_000
    await say(page, "SAY It works.")
    await state(page, "speaking")
    await state(page, "idle")


async def test_a_turn_is_heard_once_more_from_the_log(page: Page, complaints: Complaints, stack: Stack) -> None:
    await open_page(page, stack, "?tap=1")
    first = "The first is so long that it can be looked at in three places."
    await say(page, f"SAY 20 {first} {FIVE[1]}")
    await state(page, "speaking")
    await state(page, "idle")
    once = await heard(page)
    await page.click(".reply .tool.again")
    await expect(page.locator("#state-word")).to_have_text("Ava, once more")
    await expect(page.locator("#transcript .again-now")).to_have_text(first)
    await expect(page.locator("#caption")).to_have_text(first)
    await state(page, "idle")
    assert await heard(page) == once + once
    await page.click(".reply .tool.again")
    await state(page, "speaking")
    await page.keyboard.press("Escape")
    await state(page, "idle")
    await expect(page.locator("#transcript .again-now")).to_have_count(0)
    complaints.expected = ("410",)
    gone = {"code": "audio_gone", "message": "x"}
    await page.route("**/turns/0/audio*", lambda route: route.fulfill(status=410, json=gone))
    await page.click(".reply .tool.again")
    await expect(page.locator(".toast[data-code=audio_gone]")).to_contain_text("no longer kept")


async def test_words_and_sound_can_be_taken_along(page: Page, stack: Stack, context: BrowserContext) -> None:
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    await open_page(page, stack)
    await say(page, "SAY Take this along.")
    await state(page, "speaking")
    await state(page, "idle")
    await page.click(".reply .tool.copy")
    assert await page.evaluate("navigator.clipboard.readText()") == "Take this along."
    for action, ends in (("text", "Ava: Take this along.\n"), ("json", '"text": "Take this along."')):
        await page.click("#menu-button")
        async with page.expect_download() as found:
            await page.click(f"[data-action={action}]")
        assert ends in (await (await found.value).path()).read_text()
    async with page.expect_download() as found:
        await page.click(".reply .tool.download")
    sound = (await (await found.value).path()).read_bytes()
    assert sound[:4] == b"RIFF"
    assert sound[44:] == counter_pcm("Take this along.")


async def test_a_reload_tells_no_trouble_twice_and_shows_it_where_it_was(page: Page, stack: Stack) -> None:
    await open_page(page, stack)
    await say(page, "SAY The first is fine. Now explode right here. The third is fine.")
    await expect(page.locator(".toast.error")).to_have_count(1)
    await state(page, "idle")
    await say(page, "REFUSE")
    await expect(page.locator("#transcript .failure")).to_contain_text("refused")
    await state(page, "idle")
    await page.reload()
    await state(page, "idle")
    await expect(page.locator("#transcript .failure")).to_contain_text("refused")
    await expect(page.locator("#queue-list .job[data-status=failed] .note")).not_to_be_empty()
    await expect(page.locator(".toast")).to_have_count(0)
    assert await page.locator("#transcript .reply").count() == 1, "a reply that never came has no empty place"
    await page.click("#transcript .failure button")
    await expect(page.locator("#transcript .user")).to_have_count(3)


async def test_a_new_conversation_keeps_the_old_words_and_counts_from_the_start(page: Page, stack: Stack) -> None:
    await open_page(page, stack)
    await say(page, "SAY " + " ".join(FIVE))
    await state(page, "speaking")
    await page.click("#menu-button")
    await page.click("[data-action=anew]")
    await expect(page.locator(".divider")).to_have_text("A new conversation begins here")
    await expect(page.locator("#queue-list > details")).to_have_count(0)
    await state(page, "idle")
    await say(page, "SAY It works.")
    await expect(page.locator("#queue-list [data-turn='0'] [data-status=played]")).to_have_count(1)
    await expect(page.locator("#transcript")).to_contain_text(FIVE[0])
    await page.click(".tool.again >> nth=0")
    await expect(page.locator(".toast[data-code=audio_gone]")).to_be_visible()


async def test_one_s_own_long_words_show_their_beginning(page: Page, stack: Stack) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await open_page(page, stack)
    await say(page, "NEVER " + "These are a great many words of my own. " * 40)
    bubble = page.locator(".user")
    await expect(bubble.locator(".more")).to_be_visible()
    box = await bubble.bounding_box()
    assert box and box["height"] < 320
    await bubble.locator(".more").click()
    await expect(bubble.locator(".more")).to_have_text("Show less")
    box = await bubble.bounding_box()
    assert box and box["height"] > 800
    await page.keyboard.press("Escape")


async def test_old_turns_fold_and_a_sentence_tells_how_it_was_made(page: Page, stack: Stack) -> None:
    await open_page(page, stack)
    for number in range(4):
        await say(page, f"SAY Number {number}.")
        await expect(page.locator(f"#queue-list [data-turn='{number}'] [data-status=played]")).to_have_count(1)
    await expect(page.locator("#queue-list > details[open]")).to_have_count(3)
    first = page.locator("#queue-list > details >> nth=0")
    await expect(first.locator(".turn-line")).to_contain_text("1 sentence, 0.4 s, first sound")
    await expect(first.locator(".turn-line")).to_contain_text("0 underruns")
    await page.click("#queue-list > :last-child .job-text")
    for words in ("Worker", "speech", "Attempt", "Waited", "First audio"):
        await expect(page.locator("#queue-list > :last-child .job-details")).to_contain_text(words)


async def test_who_answers_can_be_chosen(page: Page, stack: Stack) -> None:
    await open_page(page, stack)
    await page.click(".card-choose:has(strong:text-is('Ben'))")
    await expect(page.locator(".card-choose[aria-pressed=true]")).to_contain_text("Ben")
    await say(page, "SAY From Ben.")
    await state(page, "speaking")
    await expect(page.locator(".card[aria-current]")).to_contain_text("Ben")
    await expect(page.locator("#state-word")).to_have_text("Ben is speaking")
    await state(page, "idle")
    await page.click(".card-choose >> text=Ava")
    await say(page, "SAY From Ava.")
    await expect(page.locator("#transcript .reply .who >> nth=1")).to_have_text("Ava")


async def test_keys_do_what_the_help_says_and_can_be_switched_off(page: Page, stack: Stack) -> None:
    await open_page(page, stack)
    await page.keyboard.press("?")
    await expect(page.locator("#help-dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("t")
    await expect(page.locator("#text")).to_be_focused()
    await page.keyboard.type("q?c")
    assert await page.input_value("#text") == "q?c"
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.focus("#transcript")
    await page.keyboard.press("q")
    await expect(page.locator("#queue-dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("c")
    await expect(page.locator("#cast-dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.click("#settings-button")
    await page.uncheck("[name=shortcuts]")
    await page.keyboard.press("Escape")
    await page.focus("#transcript")
    await page.keyboard.press("?")
    await expect(page.locator("#help-dialog")).to_be_hidden()


async def test_the_voice_that_is_missing_is_said(page: Page, stack: Stack) -> None:
    answer = {"status": "not ready", "reason": "No speech worker is running yet."}
    await page.route("**/readyz", lambda route: route.fulfill(status=200, json=answer))
    await open_page(page, stack)
    await expect(page.locator("#voice-notice")).to_contain_text("No speech worker is running yet.")
    await page.unroute("**/readyz")
    await expect(page.locator("#voice-notice")).to_be_hidden()


async def test_an_engine_slower_than_speech_is_said_and_waited_for(page: Page, stack: Stack) -> None:
    between = Between()
    await between.stand(page)
    await open_page(page, stack)
    await page.click("#state-word")
    between.tell(type="turn", turn=0, state="started", character="Ava")
    between.tell(type="sentence", turn=0, sentence=0, text="Slow.", character="Ava", state="speaking", attempt=2)
    await expect(jobs(page).locator(".note")).to_contain_text("try 2")
    for part in range(6):
        between.send(struct.pack("<IIIHBB", 0, 0, part, 2, int(part == 5), 1) + counter_pcm("xxxxxx")[: 2 * 6000])
        await asyncio.sleep(0.3)
    between.tell(type="turn", turn=0, state="ended", reason="complete")
    await expect(page.locator("#queue-holding")).to_be_visible()
    await expect(page.locator("#queue-holding")).to_contain_text("slower than real time")


async def test_what_is_told_covers_no_words_on_a_phone_and_is_seen_above_a_dialog(page: Page, stack: Stack) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await open_page(page, stack)
    for number in range(2):
        await say(page, f"REFUSE {number}")
        await expect(page.locator("#transcript .failure")).to_have_count(number + 1)
    await say(page, "x" * 5000)
    toast = page.locator("[data-code=text_too_long]")
    await expect(toast).to_be_visible()
    box, log = await toast.bounding_box(), await page.locator("#transcript").bounding_box()
    assert box and log and box["y"] >= log["y"] + log["height"]
    await page.click("#settings-button")
    await page.evaluate("() => { AudioContext.prototype.setSinkId = async () => { throw new Error('gone'); }; }")
    await page.evaluate("document.querySelector('[name=speaker]').append(new Option('Gone', 'gone'))")
    await page.select_option("[name=speaker]", "gone")
    await page.click("#settings-dialog [data-code=speaker_gone] button")
    await page.keyboard.press("Escape")
    await page.click("[data-code=text_too_long] button")
    await expect(page.locator(".toast")).to_have_count(0)


async def test_gaps_in_the_sound_are_counted_and_shown(page: Page, stack: Stack) -> None:
    between = Between()
    await between.stand(page)
    await open_page(page, stack)
    await page.click("#state-word")
    between.answers["chat"] = lambda: between.tell(type="turn", turn=0, state="started", character="Ava")
    await say(page, "Well?")
    between.tell(type="sentence", turn=0, sentence=0, text="Slow.", character="Ava", state="speaking")
    for part in range(3):
        between.send(struct.pack("<IIIHBB", 0, 0, part, 1, int(part == 2), 1) + counter_pcm("x" * 20))
        if part < 2:
            await expect(page.locator("#underruns")).to_have_text(f", {part + 1} underrun{'s' * part}")
    between.tell(type="turn", turn=0, state="ended", reason="complete")
    await expect(page.locator("#queue-list .turn-state")).to_have_text("2 underruns")


async def test_sound_that_the_system_takes_away_waits_and_goes_on(page: Page, stack: Stack) -> None:
    await page.add_init_script(
        "const Real = AudioContext; globalThis.AudioContext = new Proxy(Real, {"
        " construct: (made, given) => (globalThis.testContext = Reflect.construct(made, given)) });"
    )
    await open_page(page, stack, "?tap=1")
    await say(page, "SAY " + " ".join(FIVE[:3]))
    await expect(jobs(page).nth(1)).to_have_attribute("data-status", "playing")
    await page.evaluate("testContext.suspend()")
    await expect(page.locator("#state-word")).to_contain_text("Sound is off")
    await expect(page.locator("[data-code=sound_blocked]")).to_be_visible()
    await page.click("#meter")
    await expect(page.locator("#state-word")).to_have_text("Ava is speaking")
    await expect(page.locator("[data-code=sound_blocked]")).to_have_count(0)
    await state(page, "idle")
    assert await heard(page) == b"".join(counter_pcm(text) for text in FIVE[:3])
