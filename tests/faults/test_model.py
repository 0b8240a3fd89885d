"""The line to the language model is cut or swallows everything: what was said is heard, then a reason, in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from api.settings import Llm, Settings
from api.turn.tokens import OpenAIModel
from tests.conftest import model_env
from tests.fakes import FakeModelServer
from tests.faults.proxy import ChaosProxy, chaos
from tests.harness import Client, Stack, free_port
from tests.test_laws import expected_pcm

LONG = "SAY 100 The first is said. The second is said too. And there are many more of them to come, far too many."


@pytest.fixture(scope="module")
def port() -> int:
    """Where the api looks for its model."""
    return free_port()


@pytest.fixture(scope="module")
def api(stack: Stack, port: int) -> Iterator[Stack]:
    """Another api beside the shared one, which asks its model through the proxy."""
    other = stack.another_api_with({"CUELINE_LLM_BASE_URL": f"http://127.0.0.1:{port}/v1"})
    assert other.api
    try:
        other.wait_until_ready()
        yield other
    finally:
        other.api.stop()


@pytest_asyncio.fixture
async def proxy(model: FakeModelServer, port: int) -> AsyncIterator[ChaosProxy]:
    async with chaos(int(model_env(model)["CUELINE_LLM_BASE_URL"].rpartition(":")[2].partition("/")[0]), port) as line:
        yield line


async def ends_with(client: Client, code: str, within_s: float) -> None:
    """The turn ends in time with that reason, and nothing that was begun is lost; the next one works."""
    began = time.monotonic()
    assert (await client.until("turn", turn=0, state="ended"))["reason"] == "failed"
    assert time.monotonic() - began < within_s
    assert [m["code"] for m in client.messages("error")] == [code]
    assert client.pcm(0) == expected_pcm(client, 0)


async def test_a_model_whose_line_is_cut_while_it_speaks(api: Stack, proxy: ChaosProxy, model: FakeModelServer) -> None:
    async with api.listen() as client:
        asked = len(model.prompts)
        await client.send(type="chat", text=LONG)
        await client.until("sentence", state="done", sentence=1)
        proxy.cut()
        await ends_with(client, "model_cut", within_s=2)
        assert client.pcm(0), "what was said before is heard"
        assert len(model.prompts) == asked + 1, "after the first word it is never asked again"
        assert await client.ask("SAY And on we go.") == 1


async def test_a_model_whose_line_swallows_everything(api: Stack, proxy: ChaosProxy) -> None:
    async with api.listen() as client:
        await client.send(type="chat", text=LONG)
        await client.until("sentence", state="done", sentence=1)
        proxy.hold()
        await ends_with(client, "model_stalled", within_s=3)  # CUELINE_LLM_STALL_S is 1 here
        assert client.pcm(0), "what was said before is heard"
        proxy.release()
        assert await client.ask("SAY And on we go.") == 1


async def test_a_model_that_cannot_be_reached_at_all(api: Stack, proxy: ChaosProxy) -> None:
    async with api.listen() as client:
        home, proxy.target = proxy.target, 1
        await client.send(type="chat", text=LONG)
        await ends_with(client, "model_unreachable", within_s=3)
        proxy.target = home
        assert await client.ask("SAY And on we go.") == 1


async def test_a_model_whose_line_is_cut_before_its_first_word_is_asked_again(
    api: Stack, proxy: ChaosProxy, model: FakeModelServer
) -> None:
    async with api.listen() as client:
        asked = len(model.prompts)
        proxy.hold()
        await client.send(type="chat", text="SAY All is well.")
        await client.until("status", status="thinking")
        await asyncio.sleep(0.3)
        proxy.cut()
        proxy.release()
        await client.until("turn", state="ended")
        assert client.messages("error") == []
        assert client.pcm(0) == expected_pcm(client, 0) != b""
        assert len(model.prompts) <= asked + 2


async def test_a_kept_line_that_was_closed_meanwhile_is_no_broken_turn(
    model: FakeModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvloop says so by RuntimeError, which no client library knows."""
    url = model_env(model)["CUELINE_LLM_BASE_URL"]
    asked = OpenAIModel(Llm(url, "key", "fake"), Settings())
    completions = asked._client.chat.completions
    create, lines = completions.create, [True, False]

    async def is_closed_first(**options: Any) -> Any:
        if lines.pop(0):
            raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")
        return await create(**options)

    monkeypatch.setattr(completions, "create", is_closed_first)
    try:
        tokens = [token async for token in asked.reply([{"role": "user", "content": "SAY Here I am."}])]
        assert "".join(tokens).strip() == "Here I am."
    finally:
        await asked.close()
