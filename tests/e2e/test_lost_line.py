"""The page loses its line at the worst moments; after that everything has been heard, once."""

from __future__ import annotations

import asyncio
import re
import time

import redis
from playwright.async_api import Browser, Page, expect

from api.turn.spoken import spoken
from tests.e2e.between import Between
from tests.e2e.conftest import Complaints
from tests.e2e.talking import heard, jobs, open_page, say, state
from tests.fakes import counter_pcm
from tests.harness import Stack, wait_until

SENTENCES = ("The first is late here.", "The second is late too.", "And a third follows.")


class Line:
    """A TCP line to the api that breaks when told words pass down it."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self.breaks_at = b""
        self.breaks = 0

    async def start(self) -> asyncio.Server:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self.server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, up_writer}
        await asyncio.gather(self._pump(reader, up_writer), self._pump(up_reader, writer, is_down=True))
        self._writers -= {writer, up_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_down: bool = False) -> None:
        try:
            while data := await reader.read(65536):
                if is_down and self.breaks_at and self.breaks_at in data:
                    self.breaks_at = b""
                    self.breaks += 1
                    for other in list(self._writers):
                        other.transport.abort()
                    return
                writer.write(data)
                await writer.drain()
        except OSError:
            return
        finally:
            writer.close()


class Behind:
    """The stack as the page sees it through the line."""

    def __init__(self, line: Line) -> None:
        self.url = line.url


async def test_a_line_that_breaks_before_the_first_sound_loses_nothing(
    browser: Browser, complaints: Complaints, stack: Stack
) -> None:
    complaints.expected = ("WebSocket", "ERR_")
    words = (b'"final_transcript"', b'"type":"sentence"', b'"tts_start"')
    await asyncio.gather(*(break_at(place, browser, complaints, stack) for place in words))
    assert complaints.unexpected == []


async def break_at(words: bytes, browser: Browser, complaints: Complaints, stack: Stack) -> None:
    line = Line(stack.port)
    server = await line.start()
    context = await browser.new_context()
    page = complaints.watch(await context.new_page())
    await open_page(page, Behind(line), "?tap=1")  # type: ignore[arg-type]
    await say(page, "SAY It works.")
    await state(page, "speaking")
    await state(page, "idle")
    line.breaks_at = words
    await say(page, "SAY 20 " + " ".join(SENTENCES))
    for name in ("offline", "speaking", "idle"):
        await state(page, name)
    assert line.breaks == 1
    expected = ["It works.", *(spoken(text) for text in SENTENCES)]
    assert await heard(page) == b"".join(counter_pcm(text) for text in expected)
    await expect(jobs(page, "played")).to_have_count(3)
    assert await page.locator("#transcript .user").count() == 2
    await context.close()
    server.close()


async def test_a_server_that_comes_back_is_found_without_a_reload(page: Page, mortal: Stack) -> None:
    await open_page(page, mortal)
    assert mortal.api
    await asyncio.to_thread(mortal.api.kill)
    await state(page, "offline")
    await expect(page.locator("#banner")).to_be_visible()
    mortal.start_api()
    await state(page, "idle", timeout_s=30)
    await say(page, "SAY Here again.")
    await state(page, "speaking")
    await state(page, "idle")


async def test_what_sounds_can_be_cut_while_the_server_is_away(page: Page, mortal: Stack) -> None:
    await open_page(page, mortal, "?tap=1")
    await say(page, "SAY " + "This goes on for quite a while. " * 12)
    await state(page, "speaking")
    await expect(jobs(page, "ready")).not_to_have_count(0)
    assert mortal.api
    await asyncio.to_thread(mortal.api.kill)
    await state(page, "offline")
    await expect(jobs(page, "playing")).to_have_count(1)
    await expect(page.locator("#interrupt")).to_be_enabled()
    await page.keyboard.press("Escape")
    await expect(jobs(page, "playing")).to_have_count(0)
    await expect(page.locator("#interrupt")).to_be_disabled()
    silent = len(await heard(page))
    mortal.start_api()
    await state(page, "idle", timeout_s=30)
    assert len(await heard(page)) == silent
    await say(page, "SAY It works.")
    await state(page, "speaking")
    await state(page, "idle")
    assert (await heard(page))[silent:] == counter_pcm("It works.")


async def test_a_talk_that_the_server_forgot_is_closed(page: Page, mortal: Stack) -> None:
    await open_page(page, mortal)
    await say(page, "SAY " + "This goes on for quite a while. " * 30)
    await state(page, "speaking")
    await expect(jobs(page)).to_have_count(30)
    assert mortal.api
    await asyncio.to_thread(mortal.api.kill)
    store = redis.Redis.from_url(mortal.redis_url)
    store.delete(*store.scan_iter("cueline:*"))
    store.close()
    for path in mortal.folder.glob("store.sqlite*"):
        path.unlink()
    mortal.start_api()
    await expect(page.locator("#transcript")).to_contain_text("A new conversation begins here", timeout=30000)
    await state(page, "idle")
    await expect(page.locator("#transcript [data-status=playing], #queue-list [data-status=playing]")).to_have_count(0)
    await expect(page.locator("#transcript .sentence:not([data-status=played])")).not_to_have_count(0)
    await expect(page.locator("#queue-badge")).to_be_hidden()
    await expect(page.locator("#interrupt")).to_be_disabled()


async def test_a_restart_lets_what_came_be_heard(page: Page, mortal: Stack) -> None:
    await open_page(page, mortal, "?tap=1")
    await say(page, "SAY 60 " + "This goes on for quite a while. " * 12)
    await state(page, "speaking")
    assert mortal.api
    await asyncio.to_thread(mortal.api.kill)
    mortal.start_api()
    await expect(page.locator("#toasts [data-code=server_restarted]")).to_be_visible(timeout=30000)
    await state(page, "idle", timeout_s=40)
    await expect(jobs(page, "played")).not_to_have_count(0)
    for status in ("queued", "synthesizing", "ready", "playing", "interrupted"):
        await expect(jobs(page, status)).to_have_count(0)
    await expect(page.locator("#queue-badge")).to_be_hidden()
    await say(page, "SAY Here again.")
    await state(page, "speaking")
    await state(page, "idle")


async def test_a_server_that_restarts_is_no_alarm_as_long_as_it_is_short(page: Page, stack: Stack) -> None:
    between = Between()
    await between.stand(page)
    await open_page(page, stack)
    await page.evaluate(
        "globalThis.alarms = []; new MutationObserver(() => alarms.push(document.getElementById('banner').hidden))"
        ".observe(document.getElementById('banner'), { attributes: true })"
    )
    between.tell(type="error", code="session_moved", message="Another process has this session now.")
    await between.close(1012)
    await asyncio.to_thread(wait_until, lambda: between.sockets == 2, "another line", 3)
    await state(page, "idle")
    assert False not in await page.evaluate("alarms")
    await expect(page.locator(".toast")).to_have_count(0)


async def test_a_full_server_is_waited_for_as_long_as_it_asked(page: Page, stack: Stack) -> None:
    between = Between()
    await between.stand(page)
    await open_page(page, stack)
    between.tell(type="error", code="server_busy", message="The server is full.", retryable=True, retry_after_s=2)
    closed = time.monotonic()
    await between.close(1013)
    await expect(page.locator("#banner")).to_contain_text(re.compile(r"Trying again( in \d s)? …"))
    await asyncio.to_thread(wait_until, lambda: between.sockets == 2, "another line")
    assert between.joined[1] - closed >= 2
    await state(page, "idle")
    await expect(page.locator("#banner")).to_be_hidden()
