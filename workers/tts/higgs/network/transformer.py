"""The network's forward pass over the slots, with the weights that transformers has loaded. Not: what is sampled.

Its own class works on one padded batch; here tokens of many sentences, each at its own position, go through together,
and speech and text take their own normalisation and their own feed-forward layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from workers.tts.higgs.network import plain_ops
from workers.tts.higgs.network.linear import Linear, as_linear
from workers.tts.higgs.network.plain_ops import Runs
from workers.tts.higgs.network.slots import Slots


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

    def __init__(self, model: Any, positions: int, device: torch.device, *, int8: bool = False) -> None:
        """`model` may be in the host's memory: each weight goes to the device when it has its final form."""
        config = model.config
        self.books: int = config.num_codebooks
        self.vocabulary: int = config.codebook_size
        self.eps: float = config.rms_norm_eps
        self.device = device
        self.dtype: torch.dtype = model.dtype
        inner = model.model
        everywhere = torch.arange(positions, device=model.device).unsqueeze(0)
        cos, sin = inner.rotary_emb(inner.embed_tokens.weight[:1], everywhere)
        self._cos, self._sin = cos[0].detach().to(device).contiguous(), sin[0].detach().to(device).contiguous()
        self._words: Tensor = inner.embed_tokens.weight.data.to(device)
        self._frames: Tensor = inner.embed_audio_tokens.embed_audio_tokens.weight.data.to(device)
        self._offsets = torch.arange(self.books, device=device) * self.vocabulary
        self._layers = [_take_layer(layer, device, int8=int8) for layer in inner.layers]
        self._last: Tensor = inner.norm.weight.data.to(device)
        self._head = as_linear([model.audio_lm_head.weight.data], device, int8=False)
        self.ops: Any = plain_ops
        if self.device.type == "cuda":
            try:
                from workers.tts.higgs.network import kernels

                self.ops = kernels
            except ImportError:
                self.ops = plain_ops

    @property
    def has_kernels(self) -> bool:
        """Whether attention reads only what is filled, so that no shape depends on how far anybody is."""
        return self.ops is not plain_ops

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
        runs = Runs(None, [end], slots.numbers[:count], None)
        at = slots.position[:count]
        ops, eps = self.ops, self.eps
        normed = ops.norm(x, self._layers[0].speech.before_attention, eps)
        for number, layer in enumerate(self._layers):
            speech = layer.speech
            heard = self._attention(number, layer, slots, normed, runs, at)
            x, normed = ops.add_norm(x, heard, speech.before_feed, eps)
            change = speech.down(ops.gate(speech.gate_up(normed)))
            is_last = number == len(self._layers) - 1
            following = self._last if is_last else self._layers[number + 1].speech.before_attention
            x, normed = ops.add_norm(x, change, following, eps)
        return self._head(normed).float().view(count, self.books, self.vocabulary)

    def read(
        self, slots: Slots, ids: Tensor, rows: Tensor, is_audio: Tensor, runs: Runs, at: Tensor, *, has_speech: bool
    ) -> None:
        """Read prompts into their slots: token ids [T], rows of codes [T, codebooks] where `is_audio` [T].

        Both halves are computed for every token, because which is which is on the device; without `has_speech` only
        that of text.
        """
        x = functional.embedding(ids, self._words)
        mask = is_audio.unsqueeze(1)
        if has_speech:
            x = torch.where(mask, functional.embedding(rows + self._offsets, self._frames).sum(-2), x)
        ops, eps = self.ops, self.eps
        for number, layer in enumerate(self._layers):
            text, speech = layer.text, layer.speech
            weight = text.before_attention
            if has_speech:
                weight = torch.where(mask, speech.before_attention, weight)
            heard = self._attention(number, layer, slots, ops.norm(x, weight, eps), runs, at)
            if number == len(self._layers) - 1:
                return  # what a prompt leaves behind are its keys and values
            weight = torch.where(mask, speech.before_feed, text.before_feed) if has_speech else text.before_feed
            x, normed = ops.add_norm(x, heard, weight, eps)
            change = text.down(ops.gate(text.gate_up(normed)))
            if has_speech:
                change = torch.where(mask, speech.down(ops.gate(speech.gate_up(normed))), change)
            x = x + change

    def _attention(self, number: int, layer: _Layer, slots: Slots, x: Tensor, runs: Runs, at: Tensor) -> Tensor:
        keys, values = slots.keys[number], slots.values[number]
        query = self.ops.rotate_and_store(layer.qkv(x), self._cos, self._sin, keys, values, runs, at)
        return layer.out(self.ops.attend(query, keys, values, runs, at).flatten(1))


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _take_layer(layer: Any, device: torch.device, *, int8: bool) -> _Layer:
    attention = layer.self_attn

    def linear(*parts: Any) -> Linear:
        return as_linear([part.weight.data for part in parts], device, int8=int8)

    def half(before_attention: Any, before_feed: Any, feed: Any) -> _Half:
        return _Half(
            before_attention.weight.data.to(device),
            before_feed.weight.data.to(device),
            linear(feed.gate_proj, feed.up_proj),
            linear(feed.down_proj),
        )

    taken = _Layer(
        qkv=linear(attention.q_proj, attention.k_proj, attention.v_proj),
        out=linear(attention.o_proj),
        speech=half(layer.audio_input_layernorm, layer.audio_post_attention_layernorm, layer.audio_mlp),
        text=half(layer.input_layernorm, layer.post_attention_layernorm, layer.mlp),
    )
    for parameter in layer.parameters():
        parameter.data = parameter.data.new_empty(0)
    return taken
