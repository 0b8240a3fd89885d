"""Our own language model answers as any other: token by token, stopped at once, whatever it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.errors import ModelError, ModelRefused
from api.main import make_app
from api.settings import Llm, Settings, choosable_models, choose_llm
from api.turn.tokens import OpenAIModel
from tests.cli.conftest import bare_env, start  # noqa: F401  fixtures
from tests.cli.runs import Start, eventually
from tests.fakes import EndlessModel, LocalServer
from tests.llm.toy_model import SPECIAL, write_toy_model
from workers.llm.local import MAX_REPLY_TOKENS, LocalModel, ModelMissing
from workers.llm.prompt import make_prompt, plain
from workers.llm.server import MAX_AT_ONCE, MAX_WAITING, Answers
from workers.settings import settings as worker_settings

HELLO = [{"role": "system", "content": "You are Ava."}, {"role": "user", "content": "Hello there."}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_model(tmp_path_factory.mktemp("smollm2"))


@pytest.fixture(scope="module")
def local(folder: Path) -> Iterator[LocalModel]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUELINE_SMOLLM2", str(folder))
        worker_settings.cache_clear()
        model = LocalModel()
        model.load()
        yield model
    worker_settings.cache_clear()


@pytest.fixture
def serve() -> Iterator[Any]:
    """Serve a model; the address, without /v1."""
    servers: list[LocalServer] = []

    def begin(model: Any) -> str:
        servers.append(LocalServer(Answers(model).app.routes))
        return servers[-1].start()

    yield begin
    for server in servers:
        server.stop()


def client(url: str) -> OpenAIModel:
    return OpenAIModel(Llm(f"{url}/v1", "none", "smollm2", "CUELINE_LLM"), Settings(llm="local"))


async def test_a_reply_comes_token_by_token_with_how_many_there_were(local: LocalModel, serve: Any) -> None:
    counted: list[tuple[int, int]] = []
    asked = client(serve(local))
    tokens = [token async for token in asked.reply(HELLO, on_count=lambda *count: counted.append(count))]
    await asked.close()
    assert len(tokens) > 20
    assert counted == [(len(local.prompt(HELLO)), pytest.approx(len(tokens), abs=MAX_REPLY_TOKENS))]
    assert not any(token in "".join(tokens) for token in SPECIAL)


def test_a_letter_of_several_tokens_comes_whole(local: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    words, spoken = local._tokenizer, "東京 żółw, 🦊!"
    ids = words.encode(spoken, add_special_tokens=False)
    chosen = iter([*ids, words.eos_token_id])
    monkeypatch.setattr(local, "_choose_token", lambda read, scores: next(chosen))
    said = [text for text in local.reply([1, 2, 3]) if text]
    assert "".join(said) == spoken
    assert 6 < len(said) < len(ids)


def test_a_reply_has_an_end(local: LocalModel) -> None:
    assert sum(1 for _ in local.reply([1, 2, 3], most=5)) <= 6


async def test_who_hangs_up_has_stopped_it(serve: Any) -> None:
    model = EndlessModel()
    asked = client(serve(model))
    for number in range(1, 4):
        async with aclosing(asked.reply(HELLO)) as tokens:
            assert await anext(tokens) == "again "
        await asyncio.to_thread(eventually, lambda number=number: model.closed == number)
    await asked.close()


async def test_many_replies_wait_for_each_other_and_too_many_are_sent_away(serve: Any) -> None:
    model, url = EndlessModel(), ""
    url = serve(model)
    asked = client(url)

    async def read() -> None:
        async for _ in asked.reply(HELLO):
            pass

    readers = [asyncio.create_task(read()) for _ in range(MAX_AT_ONCE + MAX_WAITING)]
    async with httpx.AsyncClient(base_url=url) as line:
        health: dict[str, Any] = {}
        while health.get("waiting") != MAX_WAITING:
            health = (await line.get("/health")).json()
        assert health["speaking"] == MAX_AT_ONCE
        refused = await line.post("/v1/chat/completions", json={"messages": HELLO, "stream": True})
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    await asyncio.to_thread(eventually, lambda: model.begun == model.closed)
    assert model.most_at_once <= MAX_AT_ONCE
    await asked.close()


async def test_what_cannot_be_answered_is_refused_in_words(serve: Any) -> None:
    url = serve(EndlessModel())
    async with httpx.AsyncClient(base_url=url) as line:
        for body in (b"{", b'{"messages": []}', b'{"messages": "no"}', b"x" * (2 * 1024 * 1024)):
            answer = await line.post("/v1/chat/completions", content=body)
            assert answer.status_code == 400
            assert answer.json()["error"]["message"]
    asked = client(url)
    with pytest.raises(ModelRefused):
        await anext(asked.reply(HELLO, model="gpt-9"))
    await asked.close()


async def test_a_model_that_breaks_is_an_error_and_not_the_end(serve: Any) -> None:
    model = EndlessModel()
    model.prompt = lambda messages: 1 // 0  # type: ignore[method-assign]
    asked = client(serve(model))
    with pytest.raises(ModelError):
        await anext(asked.reply(HELLO))
    del model.prompt
    async with aclosing(asked.reply(HELLO)) as tokens:
        assert await anext(tokens) == "again "
    await asked.close()


# the prompt


def read(local: LocalModel, ids: list[int]) -> str:
    return str(local._tokenizer.decode(ids))


def test_the_prompt_is_the_models_own_form_of_the_talk(local: LocalModel) -> None:
    assert read(local, local.prompt(HELLO)) == (
        "<|im_start|>system\nYou are Ava.<|im_end|>\n<|im_start|>user\nHello there.<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("most", [64, 200])
def test_a_long_talk_is_cut_at_its_oldest_and_who_the_character_is_stays(local: LocalModel, most: int) -> None:
    talk = [{"role": ("user", "assistant")[n % 2], "content": f"Line {n} of many."} for n in range(301)]
    ids = make_prompt(local._tokenizer, [HELLO[0], *talk], most)
    text = read(local, ids)
    assert len(ids) <= most
    assert text.startswith("<|im_start|>system\nYou are Ava.<|im_end|>")
    assert "Line 300 of many." in text
    assert "Line 0 of many" not in text


def test_of_one_message_that_is_too_long_the_end_stays(local: LocalModel) -> None:
    asked = {"role": "user", "content": "ü" * 5000 + " and what then?"}
    ids = make_prompt(local._tokenizer, [{"role": "system", "content": "Ava " * 5000}, asked], 300)
    assert len(ids) <= 300
    assert "and what then?<|im_end|>\n<|im_start|>assistant\n" in read(local, ids)
    assert read(local, ids).startswith("<|im_start|>system\nAva Ava")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*SPECIAL, "<|im_", "start|>", "end|>", "<|", "Hi "]), max_size=12).map("".join))
def test_no_text_steers_the_model(local: LocalModel, text: str) -> None:
    steering = {local._tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    ids = local._tokenizer.encode(plain(local._tokenizer, text), add_special_tokens=False)
    assert not steering & set(ids)


# who answers


def test_it_is_chosen_by_its_name_and_the_only_one_to_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    chosen = Settings(llm="local", llm_base_url="http://127.0.0.1:8008/v1")
    llm = choose_llm(chosen)
    assert (llm.model, llm.base_url, llm.source) == ("smollm2", "http://127.0.0.1:8008/v1", "CUELINE_LLM")
    assert choosable_models(llm, chosen) == ["smollm2"]


def test_an_api_that_nobody_gave_its_address_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUELINE_LLM", "local")
    with pytest.raises(SystemExit):
        make_app()
    assert "CUELINE_LLM_BASE_URL" in capsys.readouterr().err


def test_a_folder_without_a_model_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUELINE_SMOLLM2", str(tmp_path))
    worker_settings.cache_clear()
    with pytest.raises(ModelMissing, match="cueline get smollm2"):
        LocalModel().load()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelMissing, match="no language model"):
        LocalModel().load()
    worker_settings.cache_clear()


async def test_up_starts_it_and_tells_the_api_where_it_is(start: Start, folder: Path) -> None:  # noqa: F811
    running = start(CUELINE_LLM="local", CUELINE_SMOLLM2=str(folder), CHAMBER_WITHIN_S="60")
    await asyncio.to_thread(running.wait_until_ready)
    alive = {" ".join(child.cmdline()): child for child in running.offspring() if child.is_running()}
    assert any("workers.llm.server" in line for line in alive)
    api = next(child for child in alive.values() if child.environ().get("CUELINE_LLM_BASE_URL"))
    asked = OpenAIModel(
        Llm(api.environ()["CUELINE_LLM_BASE_URL"], "none", "smollm2"), Settings(llm="local", llm_first_token_s=90)
    )
    try:
        # A network that has learnt nothing ends when it likes, one reply in twenty within its first words.
        replies = [[token async for token in asked.reply(HELLO)] for _ in range(4)]
        assert max(len(tokens) for tokens in replies) > 20
    finally:
        await asked.close()
    model = next(child for line, child in alive.items() if "workers.llm.server" in line)
    running.process.terminate()
    assert await asyncio.to_thread(running.end) == 0
    assert not psutil.pid_exists(model.pid)


def test_up_without_its_files_says_how_to_get_them(start: Start, tmp_path: Path) -> None:  # noqa: F811
    running = start(CUELINE_LLM="local")
    assert running.end() == 1
    assert "CUELINE_LLM=local: there is no model in" in running.output
    assert "cueline get smollm2" in running.output
