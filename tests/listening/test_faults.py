"""A recognizer that is killed, missing, broken or stuck costs a sentence of excuse, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from redis import Redis

from tests.conftest import model_env
from tests.fakes import FakeModelServer
from tests.harness import Stack, wait_until
from tests.listening.conftest import recognizers
from tests.speaking import Microphone, silence, spoken

pytestmark = pytest.mark.skipif(find_spec("faster_whisper") is None, reason="NOT TESTED: needs the extra whisper")


@pytest.fixture(scope="module")
def deaf(tmp_path_factory: pytest.TempPathFactory, model: FakeModelServer) -> Iterator[Stack]:
    """A Cueline that is meant to listen, and has no recognition worker."""
    env = {**model_env(model), "CUELINE_STT_ENGINE": "whisper", "CUELINE_STT_LANGUAGE": "en"}
    running = Stack(tmp_path_factory.mktemp("deaf"), engine="espeak", env=env)
    try:
        yield running.start(workers=1)
    finally:
        running.stop()


@pytest.fixture
def deafened(deaf: Stack) -> Iterator[Stack]:
    """The same; whatever a test lets it hear with is gone afterwards."""
    others = len(deaf.workers)
    yield deaf
    for recognizer in deaf.workers[others:]:
        recognizer.kill()
    del deaf.workers[others:]
    with Redis.from_url(deaf.redis_url) as redis:
        # A killed one is believed to live for some seconds more.
        for name in deaf.redis_keys("cueline:recognizer:*"):
            redis.delete(name)


async def say(stack: Stack, text: str, timeout_s: float = 20) -> str:
    """What is understood, or the code of the error."""
    async with stack.listen() as client:
        await client.send(type="start")
        await client.until("status", status="listening")
        await Microphone(client, speed=4).send(silence(250), spoken(text), silence(900))
        async with asyncio.timeout(timeout_s):
            while True:
                got = await client.receive(timeout_s)
                if isinstance(got, dict) and got["type"] == "error":
                    assert got["message"].endswith(".")
                    await client.ask("SAY Typing goes on.")
                    return str(got["code"])
                if isinstance(got, dict) and got["type"] == "final_transcript":
                    return str(got["content"])


async def refusal(stack: Stack) -> str:
    async with stack.listen() as client:
        await client.send(type="start")
        error = await client.until("error", code="listening_unavailable")
        assert not client.messages("status", status="listening")
        await client.ask("SAY Typing goes on.")
        return str(error["message"])


async def test_without_a_worker_a_person_is_told_so(deafened: Stack) -> None:
    assert "No recognition worker" in await refusal(deafened)


async def test_without_a_model_a_person_is_told_how_to_get_one(deafened: Stack, tmp_path: Path) -> None:
    deafened.start_recognizer({"CUELINE_WHISPER_MODEL": str(tmp_path / "nothing")})
    wait_until(lambda: deafened.redis_keys("cueline:recognizer:*"), "the worker")
    wait_until(
        lambda: "problem" in deafened.redis_json(deafened.redis_keys("cueline:recognizer:*")[0]),
        "what is wrong with it",
    )
    assert "CUELINE_WHISPER_MODEL" in await refusal(deafened)


async def test_a_recognizer_that_dies_is_replaced_by_another_in_the_middle(deafened: Stack) -> None:
    first = deafened.start_recognizer({"CUELINE_STT_ENGINE": "tests.fakes:HangingRecognizer"})
    wait_until(lambda: recognizers(deafened), "the first")

    async def kill_when_busy() -> None:
        started = deafened.folder / "hanging"
        await asyncio.to_thread(wait_until, started.exists, "a job")
        first.kill()
        deafened.start_recognizer()

    killing = asyncio.create_task(kill_when_busy())
    assert await say(deafened, "hello story", 30) == "hello story"
    await killing


async def test_a_recognizer_that_raises_says_so_and_listening_goes_on(deafened: Stack) -> None:
    deafened.start_recognizer({"CUELINE_STT_ENGINE": "tests.fakes:BrokenRecognizer"})
    wait_until(lambda: recognizers(deafened), "the worker")
    assert await say(deafened, "hello story") == "recognizer_failed"


async def test_when_the_last_recognizer_goes_in_mid_sentence_nobody_waits_for_ever(deafened: Stack) -> None:
    only = deafened.start_recognizer()
    wait_until(lambda: recognizers(deafened), "the worker")
    async with deafened.listen() as client:
        await client.send(type="start")
        await client.until("status", status="listening")
        only.kill()
        started = time.monotonic()
        await Microphone(client, speed=4).send(silence(250), spoken("hello story"), silence(900))
        error = await client.until("error", 30)
        assert error["code"] in {"no_recognizer", "recognizer_lost"}
        assert time.monotonic() - started < 20
        await client.ask("SAY Typing goes on.")
