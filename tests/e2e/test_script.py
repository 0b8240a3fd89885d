"""The script page: written, cast, rendered, heard, changed line by line, taken along; and nothing typed is lost."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from playwright.async_api import Page, expect

from api.render.pieces import pieces
from tests.api.render.test_books import book
from tests.e2e.conftest import Complaints
from tests.e2e.talking import heard
from tests.fakes import counter_pcm
from tests.harness import Stack, wait_until

PLAY = "Ava: The harbour is quiet.\nBen: Is there tea?\n[pause 100ms]\nStranger: Three kinds <b>of tea</b>."


@pytest.fixture(autouse=True)
def nothing_rendered(stack: Stack) -> None:
    """What other files have had rendered is not ours."""
    for shown in stack.get("/api/renders")[1]:
        stack.request("DELETE", f"/api/renders/{shown['id']}")


async def open_script(page: Page, stack: Stack) -> None:
    await page.goto(stack.url + "/batch.html?tap=1")
    await expect(page.locator("#connection-word")).to_have_text("Online")


async def paste(page: Page, text: str, how: str = "replace") -> None:
    await page.click("#paste-script")
    await page.fill("#paste-text", text)
    await page.click(f"[data-take={how}]")


def lines(page: Page, state: str = "") -> Any:
    return page.locator(".line" + (f"[data-state={state}]" if state else ""))


async def render(page: Page, count: int) -> None:
    await page.click("#render-all")
    await expect(lines(page, "ready")).to_have_count(count, timeout=20_000)
    await expect(page.locator("body")).to_have_attribute("data-render", "done")


async def test_a_script_is_cast_rendered_heard_changed_and_taken_along(
    page: Page, stack: Stack, complaints: Complaints
) -> None:
    complaints.expected = ("404",)
    await open_script(page, stack)
    await page.click("#paste-script")
    await page.fill("#paste-text", PLAY)
    await expect(page.locator("#paste-summary")).to_have_text("3 lines: Ava (1), Ben (1), Stranger (1)")
    await page.click("[data-take=replace]")
    await expect(lines(page, "draft")).to_have_count(3)
    await page.fill("#script-title", "A quiet harbour")
    await page.click("#render-all")
    await expect(page.locator("#script-failure")).to_contain_text("Nobody speaks Stranger yet")
    await page.locator(".role", has_text="Stranger").locator("select").select_option("cleo")
    await render(page, 3)
    await expect(page.locator("#script-words")).to_have_text("3 of 3 lines ready")
    await page.click("#play-all")
    await expect(lines(page, "playing")).to_have_count(1)
    await expect(lines(page, "playing")).to_have_count(0, timeout=20_000)
    texts = ["The harbour is quiet.", "Is there tea?", "Three kinds <b>of tea</b>."]
    assert await heard(page) == b"".join(counter_pcm(piece) for text in texts for piece in pieces(text, "en-us"))
    starts = stack.started()
    await page.fill(".line-text >> nth=1", "Is there any coffee?")
    await expect(lines(page, "changed")).to_have_count(1)
    await expect(page.locator("#render-word")).to_have_text("Render 1")
    await page.locator(".line >> nth=1").locator(".line-again").click()
    await expect(lines(page, "ready")).to_have_count(3, timeout=20_000)
    assert stack.started() - starts == {"Is there any coffee?": 1}, "only that line was made"
    # A line more is another render.
    await page.click("#add-line")
    await page.keyboard.type("No, only tea.")
    await render(page, 4)
    told = {"line": 1, "state": "done", "duration_ms": 840, "cached": True, "sha256": "x", "peaks": [-9, 9]}
    body = f"event: line\nid: 1\ndata: {json.dumps(told)}\n\n"
    await page.route("**/events", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    await page.reload()
    await expect(page.locator(".line >> nth=1 >> .note")).to_have_text("0.8 s · from the cache")
    await page.unroute("**/events")
    await page.reload()
    await expect(lines(page, "ready")).to_have_count(4, timeout=20_000)
    await expect(page.locator("#script-title")).to_have_value("A quiet harbour")
    for file, begins in (("wav", b"RIFF"), ("flac", b"fLaC"), ("project", b"{")):
        await page.click("#download-button")
        async with page.expect_download() as found:
            await page.click(f"[data-file={file}]")
        download = await found.value
        assert download.suggested_filename.startswith("A quiet harbour.")
        assert (await download.path()).read_bytes().startswith(begins)
    assert await page.locator(".line b, .role b").count() == 0
    for render_ in stack.get("/api/renders")[1]:
        assert render_["lines"] == 4, "the render before is forgotten"
        stack.request("DELETE", f"/api/renders/{render_['id']}")
    await page.reload()
    await expect(lines(page, "draft")).to_have_count(4)


async def test_a_file_is_read_dropped_and_rendered_and_what_was_rendered_is_opened_again(
    page: Page, stack: Stack, complaints: Complaints
) -> None:
    complaints.expected = ("400",)
    await open_script(page, stack)
    await page.click("#paste-script")
    await page.set_input_files("#paste-file", files=[{"name": "no.epub", "mimeType": "", "buffer": b"PK\x03\x04"}])
    await expect(page.locator("#paste-failure")).to_contain_text("no.epub: This is no EPUB")
    epub = book("<body><h1>The <b>Pier</b></h1><p>It was early.</p></body>", "<body><h1>Later</h1><p>Now.</p></body>")
    await page.set_input_files("#paste-file", files=[{"name": "tale.epub", "mimeType": "", "buffer": epub}])
    await expect(page.locator("#paste-summary")).to_have_text("tale.epub, 4 lines: Narrator (4)")
    await page.click("[data-take=replace]")
    await expect(page.locator("#script-title")).to_have_value("A Tale & more")
    await render(page, 4)
    first = stack.get("/api/renders")[1][0]
    assert stack.get(f"/api/renders/{first['id']}")[1]["chapters"] == ["The Pier", "Later"]
    # Another one, dropped on the page, and rendered as it is.
    await page.evaluate(
        """text => {
            const dropped = new DataTransfer();
            dropped.items.add(new File([text], 'talk.srt'));
            const drop = (name) => new DragEvent(name, { dataTransfer: dropped, bubbles: true, cancelable: true });
            document.body.dispatchEvent(drop('dragover'));
            document.body.dispatchEvent(drop('drop'));
        }""",
        "1\n00:00:01,000 --> 00:00:02,000\nAVA: Good morning.\n",
    )
    await expect(page.locator("#paste-summary")).to_have_text("talk.srt, 1 line: AVA (1)")
    await page.click("#paste-render")
    rows = page.locator("#renders-list .talk-row")
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("1 line · done", timeout=20_000)
    await expect(rows.nth(1)).to_contain_text("Open now")
    await rows.first.locator(".talk-more").click()
    async with page.expect_download() as found:
        await rows.first.get_by_role("button", name="Download as wav").click()
    assert (await (await found.value).path()).read_bytes().startswith(b"RIFF")
    await rows.first.locator(".talk-open").click()
    await expect(lines(page, "ready")).to_have_count(1)
    await expect(page.locator(".line-text >> nth=0")).to_have_value("Good morning.")
    await page.click("[data-code=undo] button >> nth=0")
    await expect(lines(page, "ready")).to_have_count(4, timeout=20_000)
    await page.click("#renders-button")
    await rows.first.locator(".talk-more").click()
    await rows.first.get_by_role("button", name="Delete").click()
    await rows.first.get_by_role("button", name="Undo").click()
    await rows.first.get_by_role("button", name="Delete").click()
    await page.click("#renders-close")
    await asyncio.to_thread(wait_until, lambda: len(stack.get("/api/renders")[1]) == 1, "one render")
    await expect(lines(page, "ready")).to_have_count(4)
    stack.request("DELETE", f"/api/renders/{first['id']}")


async def test_what_fails_is_told_in_its_line_and_tried_again(page: Page, stack: Stack) -> None:
    await open_script(page, stack)
    await paste(page, "Ava: This one is fine.\nAva: Now explode right here.")
    await page.click("#render-all")
    await expect(lines(page, "failed")).to_have_count(1, timeout=20_000)
    await expect(lines(page, "ready")).to_have_count(1)
    await expect(lines(page, "failed").locator(".note")).not_to_be_empty()
    await expect(page.locator("#script-words")).to_contain_text("1 failed")
    await page.fill(".line-text >> nth=1", "Now it is calm.")
    await render(page, 2)
    for one in stack.get("/api/renders")[1]:
        stack.request("DELETE", f"/api/renders/{one['id']}")


async def test_nothing_that_was_typed_is_lost_and_the_keyboard_is_enough(
    page: Page, stack: Stack, complaints: Complaints
) -> None:
    complaints.expected = ("ERR_FAILED",)
    await open_script(page, stack)
    await page.fill(".line-speaker", "Ava")
    await page.focus(".line-text")
    await page.keyboard.type("The first.")
    await page.keyboard.press("Enter")
    await page.keyboard.type("The second.")
    await expect(page.locator(".line-speaker >> nth=1")).to_have_value("Ava")
    await page.locator(".line-more >> nth=1").press("Enter")
    await page.locator(".line >> nth=1").get_by_role("button", name="Move up").press("Enter")
    await expect(page.locator(".line-text >> nth=0")).to_have_value("The second.")
    await page.locator(".line >> nth=0").get_by_role("button", name="Delete").press("Enter")
    await expect(lines(page)).to_have_count(1)
    await page.click("[data-code=undo] button >> nth=0")
    await expect(lines(page)).to_have_count(2)
    await page.route("**/api/renders", lambda route: route.abort())
    await page.click("#render-all")
    await expect(page.locator("#script-failure")).to_contain_text("cannot be reached")
    await page.reload()
    await expect(page.locator(".line-text >> nth=0")).to_have_value("The second.")
    stored = json.loads(await page.evaluate("localStorage.getItem('cueline.script')"))
    assert [line["text"] for line in stored["lines"]] == ["The second.", "The first."]
    for width, height in ((320, 640), (390, 844), (900, 700), (1440, 900)):
        await page.set_viewport_size({"width": width, "height": height})
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
