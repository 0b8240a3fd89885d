"""The network's forward pass over the slots, with the weights that transformers has loaded. Not: what is sampled.

Its own class works on one padded batch; here tokens of many sentences, each at its own position, go through together,
and speech and text take their own normalisation and their own feed-forward layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from workers.tts.higgs import plain_ops
from workers.tts.higgs.linear import Linear, as_linear
from workers.tts.higgs.plain_ops import Runs
from workers.tts.higgs.prompt import Prompt
from workers.tts.higgs.slots import Slots

TILE_TOKENS = 16


@dataclass(frozen=True, slots=True)
class _Half:
    """What of a layer speech has for itself, and text."""

    before_attention: Tensor
    before_feed: Tensor
    gate_up: Linear
    down: Linear


@dataclass(frozen=True, slots=True)
class _Layer:
    qkv: Linear
    out: Linear
    speech: _Half
    text: _Half


class Transformer:
    """28 layers at the real size. It takes the weights out of `model`, which is of no use afterwards."""

    def __init__(self, model: Any, positions: int, *, int8: bool = False) -> None:
        config = model.config
        self.books: int = config.num_codebooks
        self.vocabulary: int = config.codebook_size
        self.eps: float = config.rms_norm_eps
        self.device: torch.device = model.device
        self.dtype: torch.dtype = model.dtype
        inner = model.model
        self._words: Tensor = inner.embed_tokens.weight.data
        self._frames: Tensor = inner.embed_audio_tokens.embed_audio_tokens.weight.data
        self._offsets = torch.arange(self.books, device=self.device) * self.vocabulary
        everywhere = torch.arange(positions, device=self.device).unsqueeze(0)
        cos, sin = inner.rotary_emb(self._words[:1], everywhere)
        self._cos, self._sin = cos[0].contiguous(), sin[0].contiguous()
        self._layers = [_take_layer(layer, int8=int8) for layer in inner.layers]
        self._last: Tensor = inner.norm.weight.data
        self._head = as_linear([model.audio_lm_head.weight.data], int8=False)
        self._ops: Any = plain_ops
        if self.device.type == "cuda":
            try:
                from workers.tts.higgs import kernels

                self._ops = kernels
            except ImportError:
                self._ops = plain_ops

    @property
    def has_kernels(self) -> bool:
        """Whether attention reads only what is filled, so that no shape depends on how far anybody is."""
        return self._ops is not plain_ops

    def bytes(self) -> int:
        """Of all weights."""
        return sum(linear.bytes for linear in self._linears()) + _size(self._words) + _size(self._frames)

    def step_bytes(self) -> int:
        """Of the weights that a step reads."""
        return sum(linear.bytes for linear in self._linears(of_steps=True))

    def _linears(self, *, of_steps: bool = False) -> list[Linear]:
        halves = [half for layer in self._layers for half in (layer.speech, *(() if of_steps else (layer.text,)))]
        feeds = [linear for half in halves for linear in (half.gate_up, half.down)]
        return [self._head, *feeds, *(linear for layer in self._layers for linear in (layer.qkv, layer.out))]

    def step(self, slots: Slots, last: Tensor, end: int) -> Tensor:
        """One frame further in the first slots.

        `last` [B, codebooks] is the row that each heard last, at `slots.position`; `end` bounds all positions.
        Returns float32 logits, [B, codebooks, vocabulary].
        """
        count = len(last)
        x = functional.embedding(last + self._offsets, self._frames).sum(-2)
        runs = Runs(slots.numbers[:count], None, [end], None, slots.numbers[:count])
        at = slots.position[:count]
        ops, eps = self._ops, self.eps
        change: Tensor | None = None
        for number, layer in enumerate(self._layers):
            speech = layer.speech
            if change is None:
                normed = ops.norm(x, speech.before_attention, eps)
            else:
                x, normed = ops.add_norm(x, change, speech.before_attention, eps)
            heard = self._attention(number, layer, slots, normed, runs, at)
            x, normed = ops.add_norm(x, heard, speech.before_feed, eps)
            change = speech.down(ops.gate(speech.gate_up(normed)))
        assert change is not None
        _, normed = ops.add_norm(x, change, self._last, eps)
        return self._head(normed).float().view(count, self.books, self.vocabulary)

    def prefill(self, slots: Slots, entries: Sequence[tuple[int, int, Prompt]]) -> None:
        """Read prompts into their slots: (slot, first position, prompt) each. Nothing is sampled: the first row of
        speech is its start by construction."""
        device = self.device
        prompts = [prompt for _, _, prompt in entries]
        ids = torch.from_numpy(np.concatenate([prompt.ids for prompt in prompts])).to(device)
        is_audio = torch.from_numpy(np.concatenate([prompt.is_audio for prompt in prompts]))
        speech_at, text_at = is_audio.nonzero()[:, 0].to(device), (~is_audio).nonzero()[:, 0].to(device)
        runs, at = _runs(entries, device)
        x = functional.embedding(ids, self._words)
        if len(speech_at):
            rows = torch.from_numpy(np.concatenate([prompt.rows for prompt in prompts])).to(device)
            x[speech_at] = functional.embedding(rows + self._offsets, self._frames).sum(-2)
        mask = is_audio.to(device).unsqueeze(1)
        ops = self._ops
        for number, layer in enumerate(self._layers):
            speech, text = layer.speech, layer.text
            weight = torch.where(mask, speech.before_attention, text.before_attention)
            x = x + self._attention(number, layer, slots, ops.norm(x, weight, self.eps), runs, at)
            if number == len(self._layers) - 1:
                return  # what a prompt leaves behind are its keys and values
            weight = torch.where(mask, speech.before_feed, text.before_feed)
            normed = ops.norm(x, weight, self.eps)
            for half, where in ((speech, speech_at), (text, text_at)):
                if len(where):
                    x.index_add_(0, where, half.down(ops.gate(half.gate_up(normed[where]))))

    def _attention(self, number: int, layer: _Layer, slots: Slots, x: Tensor, runs: Runs, at: Tensor) -> Tensor:
        keys, values = slots.keys[number], slots.values[number]
        query = self._ops.rotate_and_store(layer.qkv(x), self._cos, self._sin, keys, values, runs, at)
        return layer.out(self._ops.attend(query, keys, values, runs, at).flatten(1))


def _runs(entries: Sequence[tuple[int, int, Prompt]], device: torch.device) -> tuple[Runs, Tensor]:
    slots = [slot for slot, _, _ in entries]
    lengths = [len(prompt) for _, _, prompt in entries]
    ends = [first + len(prompt) for _, first, prompt in entries]
    at = np.concatenate([np.arange(first, first + len(prompt)) for _, first, prompt in entries])
    tiles, start = [], 0
    for slot, length in zip(slots, lengths, strict=True):
        tiles += [(slot, start + i, min(TILE_TOKENS, length - i)) for i in range(0, length, TILE_TOKENS)]
        start += length
    told = torch.tensor(slots, device=device)
    runs = Runs(
        told, lengths, ends, slots,
        torch.from_numpy(np.repeat(slots, lengths)).to(device),
        torch.tensor(tiles, dtype=torch.int32, device=device),
    )  # fmt: skip
    return runs, torch.from_numpy(at).to(device)


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _take_layer(layer: Any, *, int8: bool) -> _Layer:
    attention = layer.self_attn
    taken = _Layer(
        qkv=as_linear([one.weight.data for one in (attention.q_proj, attention.k_proj, attention.v_proj)], int8=int8),
        out=as_linear([attention.o_proj.weight.data], int8=int8),
        speech=_take_half(
            layer.audio_input_layernorm, layer.audio_post_attention_layernorm, layer.audio_mlp, int8=int8
        ),
        text=_take_half(layer.input_layernorm, layer.post_attention_layernorm, layer.mlp, int8=int8),
    )
    for parameter in layer.parameters():
        parameter.data = parameter.data.new_empty(0)
    return taken


def _take_half(before_attention: Any, before_feed: Any, feed: Any, *, int8: bool) -> _Half:
    return _Half(
        before_attention.weight.data,
        before_feed.weight.data,
        as_linear([feed.gate_proj.weight.data, feed.up_proj.weight.data], int8=int8),
        as_linear([feed.down_proj.weight.data], int8=int8),
    )
