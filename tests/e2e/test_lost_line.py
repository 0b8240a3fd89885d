"""The page loses its line at the worst moments; after that everything has been heard, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from api.turn.spoken import spoken
from tests.e2e.test_page import heard, open_page, say, state
from tests.fakes import counter_pcm
from tests.harness import Stack

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


@pytest.fixture
async def line(stack: Stack) -> AsyncIterator[Line]:
    made = Line(stack.port)
    server = await made.start()
    yield made
    server.close()


class Behind:
    """The stack as the page sees it through the line."""

    def __init__(self, line: Line) -> None:
        self.url = line.url


@pytest.mark.parametrize("words", [b'"final_transcript"', b'"type":"sentence"', b'"tts_start"'])
async def test_a_line_that_breaks_before_the_first_sound_loses_nothing(page: Page, line: Line, words: bytes) -> None:
    page.expected_complaints = ("WebSocket", "ERR_")  # type: ignore[attr-defined]
    await open_page(page, Behind(line), "?tap=1")  # type: ignore[arg-type]
    await say(page, "SAY It works.")
    await state(page, "speaking")
    await state(page, "idle")
    line.breaks_at = words
    await say(page, "SAY 20 " + " ".join(SENTENCES))
    await state(page, "offline")
    await state(page, "speaking")
    await state(page, "idle")
    assert line.breaks == 1
    expected = ["It works.", *(spoken(text) for text in SENTENCES)]
    assert await heard(page) == b"".join(counter_pcm(text) for text in expected)
    await expect(page.locator("#queue-list [data-status=played]")).to_have_count(3)
    assert await page.locator("#transcript .user").count() == 2
