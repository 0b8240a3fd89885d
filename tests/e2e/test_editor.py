"""Characters on the page: made, heard, changed, taken in, forgotten; and nothing that was typed is lost."""

from __future__ import annotations

import json

from playwright.async_api import Page, expect

from api.turn.spoken import spoken
from tests.e2e.conftest import Complaints
from tests.e2e.talking import heard, open_page, say, until
from tests.fakes import counter_pcm
from tests.harness import Stack

LONG_NAME = "Ninety bottles of rum " * 10


async def edit(page: Page, name: str) -> None:
    card = page.locator(".card", has=page.get_by_text(name, exact=True))
    await card.hover()
    await card.locator(".edit").click()
    await expect(page.locator("#editor-title")).to_have_text(name)


async def make(page: Page) -> None:
    await page.click("#cast-add")
    await page.click("#cast-new")
    await expect(page.locator("#editor-dialog")).to_be_visible()


async def names(page: Page) -> list[str]:
    return await page.locator(".card-words strong").all_text_contents()


async def test_a_character_is_made_heard_copied_and_forgotten(page: Page, stack: Stack, complaints: Complaints) -> None:
    complaints.expected = ("409",)
    await open_page(page, stack, "?tap=1")
    await make(page)
    await page.click("#editor-save")
    await expect(page.locator("[data-for=name]")).to_have_text("A character needs a name.")
    await page.fill("[name=name]", "<b>Eve</b>")
    await page.click("#editor-save")
    await expect(page.locator("[data-for=name]")).to_contain_text("none of")
    await page.fill("[name=name]", LONG_NAME)
    await page.click("#editor-save")
    await expect(page.locator("[data-for=name]")).to_contain_text("at most 40 letters")
    await page.fill("[name=name]", "Ava")
    await page.click("#editor-save")
    await expect(page.locator("[data-for=name]")).to_have_text("Somebody has this name already.")
    await expect(page.locator("[name=name]")).to_be_focused()
    await page.fill("[name=name]", "Eve & Adam")
    await page.fill("[name=scene]", "a garden")
    await expect(page.locator("#voice-list optgroup option")).to_have_text(["Counter"])
    await page.fill("#voice-search", "klingon")
    await expect(page.locator("#voice-none")).to_be_visible()
    await page.fill("#voice-search", "")
    await page.fill("#preview-text", "How do I sound?")
    await page.click("#editor-preview")
    await expect(page.locator("#editor-preview-word")).to_have_text("Stop")
    await expect(page.locator("#editor-preview-word")).to_have_text("Hear it")
    assert await heard(page) == counter_pcm(spoken("How do I sound?"))
    await page.click("#editor-save")
    await expect(page.locator("#editor-dialog")).to_be_hidden()
    await expect(page.locator(".card")).to_have_count(5)
    await edit(page, "Eve & Adam")
    assert await page.input_value("[name=scene]") == "a garden"
    async with page.expect_download() as found:
        await page.click("#editor-export")
    card = json.loads((await (await found.value).path()).read_text())
    assert card["data"]["name"] == "Eve & Adam"
    await page.click("#editor-duplicate")
    assert await page.input_value("[name=name]") == "Eve & Adam 2"
    await page.click("#editor-save")
    await expect(page.locator(".card")).to_have_count(6)
    for name in ("Eve & Adam", "Eve & Adam 2"):
        await edit(page, name)
        await page.click("#editor-delete")
        await expect(page.locator("#editor-delete")).to_have_text("Delete for good")
        await page.click("#editor-delete")
        await expect(page.locator("#editor-dialog")).to_be_hidden()
    assert await names(page) == ["Ava", "Ben", "Cleo", "Doran"]


async def test_a_changed_built_in_goes_back_to_what_it_was(page: Page, stack: Stack) -> None:
    await open_page(page, stack)
    await edit(page, "Doran")
    await expect(page.locator("#editor-delete")).to_be_hidden()
    await page.fill("[name=name]", "Doran the Grey")
    await page.click("#editor-save")
    await expect(page.locator(".card >> nth=3")).to_contain_text("Doran the Grey")
    await edit(page, "Doran the Grey")
    await expect(page.locator("#editor-delete")).to_have_text("Reset")
    await page.click("#editor-delete")
    await page.click("#editor-delete")
    await expect(page.locator(".card >> nth=3 >> strong")).to_have_text("Doran")


async def test_what_was_typed_survives_an_absent_server_a_reload_and_a_deletion(
    page: Page, stack: Stack, complaints: Complaints
) -> None:
    complaints.expected = ("ERR_FAILED", "404")
    await open_page(page, stack)
    await make(page)
    await page.fill("[name=name]", "Frieda")
    await page.fill("[name=persona]", "You are Frieda and forget nothing.")
    await page.route("**/api/characters", lambda route: route.abort())
    await page.click("#editor-save")
    await expect(page.locator("#editor-failure")).to_contain_text("What you typed is kept")
    await page.unroute("**/api/characters")
    await page.reload()
    await expect(page.locator(".card")).to_have_count(4)
    await make(page)
    await expect(page.locator("#editor-restored")).to_be_visible()
    assert await page.input_value("[name=persona]") == "You are Frieda and forget nothing."
    await page.click("#editor-save")
    await expect(page.locator(".card")).to_have_count(5)
    await edit(page, "Frieda")
    frieda = next(one["id"] for one in stack.get("/api/characters")[1] if one["name"] == "Frieda")
    assert stack.request("DELETE", f"/api/characters/{frieda}")[0] == 204
    await page.fill("[name=persona]", "You are Frieda, again.")
    await page.click("#editor-save")
    await expect(page.locator("#editor-failure")).to_contain_text("deleted meanwhile")
    await page.click("#editor-save")
    await expect(page.locator("#editor-dialog")).to_be_hidden()
    again = next(one for one in stack.get("/api/characters")[1] if one["name"] == "Frieda")
    assert again["persona"] == "You are Frieda, again."
    assert stack.request("DELETE", f"/api/characters/{again['id']}")[0] == 204


async def test_cards_are_taken_in_and_what_is_none_is_told_in_place(
    page: Page, stack: Stack, complaints: Complaints
) -> None:
    complaints.expected = ("400", "422")
    await open_page(page, stack)
    card = {"spec": "chara_card_v2", "data": {"name": "Gus<script>", "description": "Sails.", "first_mes": "Ahoy!"}}
    await page.set_input_files(
        "#cast-file",
        [
            {"name": "gus.json", "mimeType": "application/json", "buffer": json.dumps(card).encode()},
            {"name": "bad.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\nnothing"},
            {"name": "big.png", "mimeType": "image/png", "buffer": b"\0" * (8 * 1024 * 1024 + 1)},
        ],
    )
    await expect(page.locator("#cast-failure")).to_contain_text("bad.png: ")
    await expect(page.locator("#cast-failure")).to_contain_text("big.png is too large")
    await expect(page.locator(".card")).to_have_count(5)
    await page.click("[data-code=card_taken] button >> nth=0")
    assert await page.input_value("[name=greeting]") == "Ahoy!"
    await page.click("#editor-delete")
    await page.click("#editor-delete")
    await until(lambda: len(stack.get("/api/characters")[1]) == 4, "Gus to be gone")


async def test_a_character_that_is_deleted_in_the_middle_of_a_talk_leaves_it(page: Page, stack: Stack) -> None:
    gone = stack.post("/api/characters", {"name": "Zoe"})[1]["id"]
    await open_page(page, stack)
    await page.click(".card-choose >> text=Zoe")
    await expect(page.locator("#cast-list strong")).to_have_text("Zoe")
    await edit(page, "Zoe")
    await page.click("#editor-delete")
    await page.click("#editor-delete")
    await expect(page.locator("#editor-dialog")).to_be_hidden()
    assert stack.request("GET", f"/api/characters/{gone}")[0] == 404
    await say(page, "SAY Somebody is here.")
    await expect(page.locator(".reply .words")).to_have_text("Somebody is here.")
    await page.click("#menu-button")
    await page.click("[data-action=anew]")
    await expect(page.locator("#cast-list strong")).to_have_text("Ava")
    await say(page, "SAY And here.")
    await expect(page.locator(".reply .who").last).to_have_text("Ava")
    await expect(page.locator(".toast.error")).to_have_count(0)
