"""SmolLM2, a language model small enough for any processor, through transformers. Not: HTTP, characters, speech.

Oddities, all on purpose:

1. We go through the model ourselves, token by token, instead of calling `generate`: whoever closes the iterator has
   stopped it, also while it is still reading the prompt.
2. It runs in 32 bits on a processor, where 16 bits are slower, and on half of the cores: the voices need the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.data_dir import find_data_dir
from workers.llm.prompt import make_prompt
from workers.settings import settings

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import DynamicCache

NAME = "smollm2"
MAX_PROMPT_TOKENS = 2048
"""Of the 8192 that the model knows: more takes a processor seconds to read."""
MAX_REPLY_TOKENS = 512
"""About three minutes of speech."""
READ_TOKENS = 256
"""Of the prompt at a time, so that a cancel need not wait for all of it."""
TEMPERATURE, TOP_P = 0.2, 0.9
"""Source: the model's card."""


class ModelMissing(Exception):
    """There is no model that could answer; the text says what would mend it."""


class LocalModel:
    """One model in this process. Several replies may be made together, each in a thread of its own."""

    def __init__(self) -> None:
        self._model: Any = None
        self._tokenizer: Any = None
        self._warp: Any = None
        self._ends: set[int] = set()

    def load(self) -> None:
        """Read the model from its folder, some seconds.

        Raises: ModelMissing.
        """
        folder = model_folder()
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
            from transformers.generation.logits_process import (
                LogitsProcessorList,
                TemperatureLogitsWarper,
                TopPLogitsWarper,
            )
        except ImportError as error:
            raise ModelMissing(
                "CUELINE_LLM=local needs torch and transformers: CUELINE_LLM=local make run installs them."
            ) from error
        if not (folder / "config.json").is_file():
            raise ModelMissing(f"There is no model in {folder}: cueline get smollm2 fetches it.")
        is_gpu = torch.cuda.is_available()
        torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, dtype=torch.bfloat16 if is_gpu else torch.float32
            )
            self._model.to("cuda" if is_gpu else "cpu").eval()
        except Exception as error:
            raise ModelMissing(f"{folder} holds no language model: {type(error).__name__}.") from error
        if not self._tokenizer.chat_template:
            raise ModelMissing(f"The model in {folder} is none to talk with: it has no chat template.")
        self._warp = LogitsProcessorList([TemperatureLogitsWarper(TEMPERATURE), TopPLogitsWarper(TOP_P)])
        ends = self._model.generation_config.eos_token_id
        self._ends = {self._tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])}

    def prompt(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """The conversation as the model reads it, at most `MAX_PROMPT_TOKENS`."""
        return make_prompt(self._tokenizer, messages, MAX_PROMPT_TOKENS)

    def reply(self, prompt: Sequence[int], most: int = MAX_REPLY_TOKENS) -> Iterator[str]:
        """Yield the reply, one text per token, which may be empty; closing the iterator stops within one step."""
        import torch
        from tokenizers.decoders import DecodeStream
        from transformers import DynamicCache

        # A letter may be several tokens; it comes with the last of them.
        letters, words = DecodeStream(skip_special_tokens=True), self._tokenizer.backend_tokenizer
        read = torch.tensor([list(prompt)], device=self._model.device)
        cache = DynamicCache(config=self._model.config)
        for start in range(0, read.shape[1], READ_TOKENS):
            scores = self._step(read[:, start : start + READ_TOKENS], cache)
            yield ""
        for _ in range(most):
            token = self._choose_token(read, scores)
            if token in self._ends:
                return
            yield letters.step(words, token) or ""
            scores = self._step(torch.tensor([[token]], device=self._model.device), cache)

    def _choose_token(self, read: Tensor, scores: Tensor) -> int:
        import torch

        return int(torch.multinomial(torch.softmax(self._warp(read, scores), dim=-1), 1))

    def _step(self, ids: Tensor, cache: DynamicCache) -> Tensor:
        """Scores of what may come next [1 × words]; `cache` is what the model remembers."""
        import torch

        with torch.inference_mode():
            out = self._model(input_ids=ids, cache=cache, use_cache=True, logits_to_keep=1)
        scores: Tensor = out.logits[:, -1, :].float()
        return scores


def model_folder() -> Path:
    """Where the model is, or would be.

    Raises: ModelMissing.
    """
    if chosen := settings().smollm2:
        return Path(chosen).expanduser()
    try:
        return find_data_dir(os.environ) / NAME
    except ValueError as error:
        raise ModelMissing(str(error)) from error
