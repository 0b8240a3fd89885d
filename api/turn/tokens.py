"""Tokens: the language model's words as they come, from any OpenAI-compatible server. Not: sentences, history."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Protocol

import httpx2
import openai
from openai import AsyncOpenAI

from api.errors import ModelCut, ModelError, ModelRefused, ModelStalled, ModelUnknown, ModelUnreachable
from api.settings import Llm, Settings, choosable_models
from api.turn.timing import FIRST_TOKEN

log = logging.getLogger(__name__)

RETRY_PAUSE_S = 0.3
_REFUSALS = {400, 401, 403, 404, 422}


OnCount = Callable[[int, int], None]
"""Called with the tokens of prompt and reply, if the model's server tells."""


class Model(Protocol):
    """Whatever answers: a language model, or the demo character."""

    name: str

    def reply(
        self, messages: list[dict[str, str]], model: str = "", on_count: OnCount | None = None
    ) -> AsyncGenerator[str]:
        """Yield the reply's tokens; `model`: another one than usual. Closing the iterator ends the request.

        Raises: ModelError.
        """

    def check(self, model: str) -> None:
        """Raises: ModelUnknown, where a session may not choose that one."""


class OpenAIModel:
    """A model behind the OpenAI chat completions API: OpenAI, OpenRouter, Ollama, vLLM and their kin."""

    def __init__(self, llm: Llm, settings: Settings) -> None:
        self.name = llm.model
        self._choice = choosable_models(llm, settings)
        self._first_token_s = settings.llm_first_token_s
        self._stall_s = settings.llm_stall_s
        self._client = AsyncOpenAI(
            base_url=llm.base_url,
            api_key=llm.api_key,
            max_retries=0,
            timeout=httpx2.Timeout(self._first_token_s, connect=5.0),
        )

    def check(self, model: str) -> None:
        """Raises: ModelUnknown, where a session may not choose that one."""
        if model and self._choice is not None and model not in self._choice:
            raise ModelUnknown(f"This server talks with {', '.join(self._choice)}.")

    async def reply(
        self, messages: list[dict[str, str]], model: str = "", on_count: OnCount | None = None
    ) -> AsyncGenerator[str]:
        """Yield tokens; one retry as long as nothing was said, none after."""
        spoke = False
        for is_last_try in (False, True):
            try:
                async with aclosing(self._stream(messages, model or self.name, on_count)) as tokens:
                    async for token in tokens:
                        spoke = True
                        yield token
                return
            except ModelError as error:
                if spoke or is_last_try or not error.retryable:
                    raise
                log.warning("the model failed before its first word, once more: %s", error.text)
            await asyncio.sleep(RETRY_PAUSE_S)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.close()

    async def _stream(
        self, messages: list[dict[str, str]], model: str, on_count: OnCount | None
    ) -> AsyncGenerator[str]:
        asked_at = time.monotonic()
        deadline = asked_at + self._first_token_s
        has_spoken = finished = False
        try:
            async with asyncio.timeout(self._first_token_s):
                # As a body of its own the conversation is sent as it is; as an argument the client would walk
                # through every message of it first, for milliseconds, while all other conversations wait.
                stream: Any = await self._client.chat.completions.create(
                    model=model, messages=[], stream=True, extra_body={"messages": messages}
                )
            async with stream:
                chunks = aiter(stream)
                # Only words move the deadline: a server that keeps the line warm with nothing is stalled too.
                while (chunk := await _next(chunks, deadline)) is not None:
                    token, is_last = _read(chunk)
                    finished = finished or is_last
                    if on_count and (counted := _counted(chunk)):
                        on_count(*counted)
                    if token:
                        if not has_spoken:
                            FIRST_TOKEN.observe(time.monotonic() - asked_at)
                        has_spoken = True
                        yield token
                        deadline = time.monotonic() + self._stall_s
        except TimeoutError as error:
            raise ModelStalled from error
        except openai.APIStatusError as error:
            raise _status_error(error.status_code) from error
        except (openai.OpenAIError, httpx2.HTTPError, OSError, RuntimeError, ValueError, *_NONSENSE) as error:
            # RuntimeError: how uvloop says that a kept line was closed meanwhile (MagicStack/uvloop#506).
            raise ModelCut if has_spoken else ModelUnreachable from error
        if not finished:
            raise ModelCut


async def _next(chunks: AsyncIterator[Any], deadline: float) -> Any:
    async with asyncio.timeout(deadline - time.monotonic()):
        return await anext(chunks, None)


_NONSENSE = (AttributeError, TypeError, LookupError)
"""What a server's JSON of another shape makes of the client library."""


def _read(chunk: Any) -> tuple[str, bool]:
    """Text of one chunk, and whether the model says that it is the last."""
    choice = chunk.choices[0] if chunk.choices else None
    if choice is None:
        return "", False
    token = choice.delta.content if choice.delta else None
    # Half a surrogate pair can come out of a model's JSON and could not be sent on.
    return (token or "").encode("utf-8", "replace").decode("utf-8"), choice.finish_reason is not None


def _counted(chunk: Any) -> tuple[int, int] | None:
    """Tokens of prompt and reply, where a server tells them. It is not asked to: some refuse what they do not know."""
    usage = getattr(chunk, "usage", None)
    counted = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
    prompt, reply = (one if isinstance(one, int) and 0 <= one < 2**31 else 0 for one in counted)
    return (prompt, reply) if prompt or reply else None


async def with_pauses(tokens: AsyncIterator[str], pause_s: float) -> AsyncIterator[str | None]:
    """The tokens, and one None whenever the next has not come after `pause_s`."""
    while True:
        token = asyncio.ensure_future(anext(tokens, None))
        try:
            done, _ = await asyncio.wait({token}, timeout=pause_s)
            if not done:
                yield None
            if (value := await token) is None:
                return
            yield value
        finally:
            # Awaited, because who closes `tokens` next must not find it running.
            token.cancel()
            await asyncio.wait({token})


def _status_error(status: int) -> ModelError:
    if status in _REFUSALS:
        return ModelRefused(f"The language model's server refused the request (HTTP {status}).")
    return ModelUnreachable(f"The language model's server failed (HTTP {status}).")
