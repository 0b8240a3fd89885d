"""Several characters in one talk: each name where it belongs, and everybody who listens hears the same."""

from __future__ import annotations

from playwright.async_api import BrowserContext, Page, expect

from api.turn.spoken import spoken
from tests.e2e.conftest import Complaints
from tests.e2e.talking import heard, jobs, open_page, say, state
from tests.fakes import counter_pcm
from tests.harness import Stack

ALL = ["Ava", "Ben", "Cleo", "Doran"]
COLOURS = ["#a23b7a", "#2f6f3e", "#8a4b12", "#2d5d8a"]
WATCH = """addEventListener('DOMContentLoaded', () => {
  globalThis.speakers = [];
  const word = document.getElementById('state-word');
  new MutationObserver(() => {
    const name = / is speaking$/.test(word.textContent) ? word.textContent.split(' ')[0] : '';
    const colour = word.style.getPropertyValue('--who');
    if (name && speakers.at(-1)?.[0] !== name) speakers.push([name, colour]);
  }).observe(word, { childList: true, characterData: true, subtree: true });
});"""


async def add(page: Page, *names: str) -> None:
    for name in names:
        await page.get_by_role("button", name=f"Add {name} to the talk").click()
        await expect(page.locator("#cast-list")).to_contain_text(name)


async def in_talk(page: Page, *names: str) -> None:
    await expect(page.locator("#cast-list strong")).to_have_text(list(names))


async def test_four_characters_hold_a_conversation_and_each_name_is_right(page: Page, stack: Stack) -> None:
    await page.add_init_script(WATCH)
    await open_page(page, stack)
    await in_talk(page, "Ava")
    await add(page, *ALL[1:])
    await page.check("[name=order][value=list]")
    # Not `check`: what is told of the first choice may come between this one and the look at it, for a moment.
    await page.click("[name=answers][value='3']", force=True)
    await expect(page.locator("[name=answers][value='3']")).to_be_checked()
    await say(page, "SAY SAY SAY SAY It is noon.")
    await state(page, "speaking")
    await state(page, "idle")
    await expect(page.locator(".reply .who")).to_have_text(ALL)
    await expect(page.locator("#queue-list .speaker")).to_have_text(ALL)
    await expect(jobs(page, "played")).to_have_count(4)
    assert await page.evaluate("speakers") == [[name, colour] for name, colour in zip(ALL, COLOURS, strict=True)]
    await page.reload()
    await expect(page.locator(".reply .who")).to_have_text(ALL)
    await in_talk(page, *ALL)


async def test_a_cast_is_arranged_by_keyboard_and_kept_for_the_next_talk(page: Page, stack: Stack) -> None:
    await open_page(page, stack)
    await page.click(".card-choose >> text=Ben")
    await in_talk(page, "Ben")
    await add(page, "Cleo", "Doran")
    await page.get_by_role("button", name="What to do with Doran").press("Enter")
    up = page.get_by_role("button", name="Move Doran up")
    await up.press("Enter")
    await in_talk(page, "Ben", "Doran", "Cleo")
    await expect(up).to_be_focused()
    await page.get_by_role("button", name="Leave Ben out").press("Enter")
    await expect(page.locator(".muted-card")).to_contain_text("Ben")
    await page.check("[name=order][value=list]")
    await say(page, "SAY Who is there?")
    await expect(page.locator(".reply .who >> nth=0")).to_have_text("Doran")
    await page.click(".card-choose >> text=Cleo")
    await say(page, "SAY It is you.")
    await expect(page.locator(".turn:last-of-type .reply .who >> nth=0")).to_have_text("Cleo")
    await page.click("#menu-button")
    await page.click("[data-action=anew]")
    await expect(page.locator(".divider")).to_be_visible()
    await in_talk(page, "Ben", "Doran", "Cleo")
    await page.get_by_role("button", name="What to do with Ben").click()
    await page.get_by_role("button", name="Remove", exact=True).click()
    await in_talk(page, "Doran", "Cleo")


async def test_who_joins_in_the_middle_of_a_reply_hears_it_from_its_start(
    page: Page, context: BrowserContext, stack: Stack, complaints: Complaints
) -> None:
    words = [f"This is sentence number {number}." for number in range(6)]
    await open_page(page, stack, "?tap=1")
    await say(page, "SAY 60 " + " ".join(words))
    await expect(jobs(page, "played")).not_to_have_count(0)
    session = await page.evaluate("sessionStorage.getItem('cueline.session')")
    late = complaints.watch(await context.new_page())
    await late.goto(f"{stack.url}/?session={session}&tap=1")
    await late.click("#state-word")
    await expect(jobs(late, "playing")).to_have_count(1)
    await expect(jobs(page, "played")).to_have_count(6, timeout=20_000)
    await expect(jobs(late, "played")).to_have_count(6, timeout=20_000)
    assert await heard(late) == await heard(page) == b"".join(counter_pcm(spoken(text)) for text in words)
    await expect(late.locator("#transcript")).to_contain_text(words[-1])
    assert "session=" not in late.url
    await late.close()


async def test_what_holds_for_this_talk_is_set_for_everybody_in_it(
    page: Page, context: BrowserContext, stack: Stack
) -> None:
    await open_page(page, stack)
    session = await page.evaluate("sessionStorage.getItem('cueline.session')")
    await page.click("#settings-button")
    await page.fill("#tuning-speed", "1.5")
    await page.select_option("#tuning-voice", "default")
    await page.keyboard.press("Escape")
    other = await context.new_page()
    await other.goto(f"{stack.url}/?session={session}")
    await state_of(other, "idle")
    await other.click("#settings-button")
    await expect(other.locator("#tuning-speed-out")).to_have_text("1.50 ×")
    await expect(other.locator("#tuning-voice")).to_have_value("default")
    await other.close()


async def state_of(page: Page, name: str) -> None:
    await expect(page.locator("body")).to_have_attribute("data-state", name)


async def test_a_guest_hears_and_reads_and_cannot_speak(
    page: Page, context: BrowserContext, stack: Stack, complaints: Complaints
) -> None:
    complaints.expected = ("404", "403", "401")
    await open_page(page, stack, "?tap=1")
    await page.click("#menu-button")
    await page.click("[data-action=share]")
    await page.click("#share-make")
    await expect(page.locator("#share-until")).to_contain_text("It holds until")
    link = await page.input_value("#share-link")
    await page.keyboard.press("Escape")
    guest = complaints.watch(await context.new_page())
    await guest.goto(link + "&tap=1")
    await state_of(guest, "idle")
    await expect(guest.locator("#guest-note")).to_contain_text("listening as a guest")
    for hidden in ("#text", "#mic", "#talks-button", "#cast-add", "#interrupt"):
        await expect(guest.locator(hidden)).to_be_hidden()
    await guest.click("#state-word")
    await say(page, "SAY Both hear this.")
    await expect(jobs(page, "played")).to_have_count(1)
    await expect(jobs(guest, "played")).to_have_count(1)
    await guest.keyboard.press("Escape")
    assert await heard(guest) == await heard(page) == counter_pcm("Both hear this.")
    await page.click("#menu-button")
    await page.click("[data-action=share]")
    await page.click("#share-revoke")
    await expect(page.locator("#share-news")).to_contain_text("No link opens")
    await expect(guest.locator("#banner")).to_contain_text("expired or was taken back", timeout=10_000)
    await guest.close()
