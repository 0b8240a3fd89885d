"""A real browser on the real page. Without chromium these tests are skipped, loudly; in CI they fail."""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.conftest import model_env
from tests.fakes import FakeModelServer
from tests.harness import Stack

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One browser for all tests of the page, so one event loop too."""
    for item in items:
        if HERE in item.path.parents and inspect.iscoroutinefunction(getattr(item, "function", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI"):
            pytest.fail(f"no browser at {CHROMIUM}: apt-get install chromium")
        pytest.skip(f"NO BROWSER at {CHROMIUM}: the page was not tested (apt-get install chromium)")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        await launched.close()


class Complaints:
    """What pages write to their console as an error."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.expected: tuple[str, ...] = ()

    def watch(self, page: Page) -> Page:
        """Listen from now on."""
        page.on("console", lambda message: self.texts.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.texts.append(str(error)))
        return page

    @property
    def unexpected(self) -> list[str]:
        return [text for text in self.texts if not any(part in text for part in self.expected)]


@pytest.fixture
def complaints() -> Complaints:
    """Shared by the pages of a test; a test that kills servers says what it expects."""
    return Complaints()


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser of one's own: its storage, its permissions."""
    made = await browser.new_context(viewport={"width": 1440, "height": 900})
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext, complaints: Complaints) -> AsyncIterator[Page]:
    """A page; whatever it writes to its console as an error fails the test."""
    opened = complaints.watch(await context.new_page())
    yield opened
    await opened.close()
    assert complaints.unexpected == []


@pytest.fixture(scope="module")
def killed_often(tmp_path_factory: pytest.TempPathFactory, model: FakeModelServer) -> Iterator[Stack]:
    """A stack whose api is killed and started again, test after test."""
    stack = Stack(tmp_path_factory.mktemp("mortal"), env=model_env(model))
    try:
        yield stack.start(workers=1)
    finally:
        stack.stop()


@pytest.fixture
def mortal(complaints: Complaints, killed_often: Stack) -> Stack:
    """That stack, alive; the browser may complain of its death."""
    complaints.expected = ("WebSocket", "ERR_CONNECTION", "404")
    killed_often.wait_until_ready()
    return killed_often
