"""What a card can hold, by arithmetic: weights, codec, and places in the batch. Nothing is loaded."""

from __future__ import annotations

from typing import Any, Protocol

CODEC_BYTES = 806_000_000
"""201 million parameters in float32."""
WORKSPACE_BYTES = 2_500_000_000
"""Graphs, the codec's windows, and what cuBLAS and cuDNN take: measured, see docs/benchmarks.md."""
PREFIX_BYTES = 1 << 30
"""Voices read once: 8 s of anchor are 36 MB."""
MOST_SLOTS = 64


class Shape(Protocol):
    """The configuration of transformers, as far as memory depends on it."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    num_codebooks: int
    codebook_size: int


def weight_bytes(shape: Shape | Any, *, int8: bool, element_bytes: int = 2) -> int:
    """Of the language model; embeddings and head are never in 8 bits."""
    hidden, layers = shape.hidden_size, shape.num_hidden_layers
    heads = shape.num_attention_heads + 2 * shape.num_key_value_heads
    attention = hidden * heads * shape.head_dim + shape.num_attention_heads * shape.head_dim * hidden
    feed = 2 * 3 * hidden * shape.intermediate_size
    books = shape.num_codebooks * shape.codebook_size * hidden
    return (shape.vocab_size * hidden + 2 * books) * element_bytes + layers * (attention + feed) * (
        1 if int8 else element_bytes
    )


def slot_bytes(shape: Shape | Any, positions: int, *, element_bytes: int = 2) -> int:
    """Keys and values of one place: 112 KiB per position at the real size."""
    return 2 * shape.num_hidden_layers * shape.num_key_value_heads * shape.head_dim * positions * element_bytes


def fitting_slots(shape: Shape | Any, free_bytes: int, positions: int, *, int8: bool, element_bytes: int = 2) -> int:
    """How many places fit beside the weights, at most `MOST_SLOTS`; 0: not even the weights do."""
    room = free_bytes - weight_bytes(shape, int8=int8, element_bytes=element_bytes)
    room -= CODEC_BYTES + WORKSPACE_BYTES + PREFIX_BYTES
    return max(0, min(MOST_SLOTS, room // slot_bytes(shape, positions, element_bytes=element_bytes) - 1))
