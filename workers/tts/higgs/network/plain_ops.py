"""What the network does between its matrix products, in torch alone: for a CPU, and to check the kernels against.

Shapes, here and in `kernels.py`: T tokens of any slots, Hq query heads, Hk heads of keys and values, D their width,
S slots, L positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

TILE_TOKENS = 16
"""Tokens of one prompt that the kernel attends for at once."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Which tokens belong together. In a step each is a run of its own, in the slot of its number."""

    lengths: list[tuple[int, int]] | None
    """Slot and number of tokens of each run; None in a step, or where it is on the device only."""
    ends: list[int] | None
    """Positions that are filled in each run's slot, its own tokens included; in a step one that bounds them all."""
    token_slots: Tensor
    """[T]."""
    tiles: Tensor | None
    """[tiles, 3] slot, first token and number of tokens, for the kernel; None in a step."""


def norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Root mean square normalisation; `weight` may differ for each token."""
    return weight * functional.rms_norm(x.float(), (x.shape[-1],), eps=eps).to(x.dtype)


def add_norm(x: Tensor, change: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """`x + change`, and its norm."""
    x = x + change
    return x, norm(x, weight, eps)


def gate(x: Tensor) -> Tensor:
    """[T, 2 × width] → [T, width]: silu of the first half times the second."""
    opened, value = x.chunk(2, dim=-1)
    return functional.silu(opened) * value


def rotate_and_store(
    qkv: Tensor, cos: Tensor, sin: Tensor, keys: Tensor, values: Tensor, runs: Runs, at: Tensor
) -> Tensor:
    """Split [T, (Hq + 2 Hk) D], turn queries and keys to their positions `at` [T], and store keys and values.

    `cos`, `sin` [L, D]; `keys`, `values` [S, Hk, L, D]. Returns the queries, [T, Hq, D].
    """
    heads, width = keys.shape[1], keys.shape[3]
    split = qkv.view(len(qkv), -1, width)
    query, key, value = split[:, : -2 * heads], split[:, -2 * heads : -heads], split[:, -heads:]
    c, s = cos[at].unsqueeze(1), sin[at].unsqueeze(1)
    keys[runs.token_slots, :, at] = key * c + _half_turned(key) * s
    values[runs.token_slots, :, at] = value
    return query * c + _half_turned(query) * s


def attend(query: Tensor, keys: Tensor, values: Tensor, runs: Runs, at: Tensor) -> Tensor:
    """What each token [T, Hq, D] takes from the positions of its slot up to its own. Returns the same shape."""
    ends = runs.ends or [keys.shape[2]]
    if runs.lengths is None:
        return _attend_each(query, keys, values, at, ends[0])
    taken, start = [], 0
    for (slot, length), end in zip(runs.lengths, ends, strict=True):
        run = query[start : start + length].transpose(0, 1).unsqueeze(0)
        mask = torch.ones(length, end, dtype=torch.bool, device=query.device).tril(end - length)
        heard = functional.scaled_dot_product_attention(
            run, keys[slot : slot + 1, :, :end], values[slot : slot + 1, :, :end], attn_mask=mask, enable_gqa=True
        )
        taken.append(heard[0].transpose(0, 1))
        start += length
    return torch.cat(taken)


def _attend_each(query: Tensor, keys: Tensor, values: Tensor, at: Tensor, end: int) -> Tensor:
    """One token for each of the first T slots. Query heads of one key head are taken for a sequence, so that keys
    need not be copied for each."""
    count, heads, width = query.shape
    if query.device.type == "cpu":
        # Each over what is filled of its own slot: how far others are must not change the order of its sums.
        return torch.cat([
            functional.scaled_dot_product_attention(
                query[n].view(1, heads, 1, width), keys[n : n + 1, :, :filled], values[n : n + 1, :, :filled],
                enable_gqa=True,
            ).view(1, heads, width)
            for n, filled in enumerate((at + 1).tolist())
        ])  # fmt: skip
    mask = torch.arange(end, device=query.device).view(1, 1, 1, end) <= at.view(count, 1, 1, 1)
    grouped = query.view(count, keys.shape[1], heads // keys.shape[1], width)
    heard = functional.scaled_dot_product_attention(
        grouped, keys[:count, :, :end], values[:count, :, :end], attn_mask=mask
    )
    return heard.reshape(count, heads, width)


def _half_turned(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


def noise(seed: Tensor, row: Tensor, salt: int, codes: Tensor) -> Tensor:
    """Gumbel noise for `codes` [B, codebooks, n], from a hash of seed, row, codebook and code (mixing as in
    https://github.com/skeeto/hash-prospector); `seed` and `row` [B]. float32, the shape of `codes`."""
    books = torch.arange(codes.shape[1], device=codes.device)
    x = (
        (seed.view(-1, 1, 1) + salt) * 0x9E3779B1
        + row.view(-1, 1, 1) * 0x85EBCA77
        + books.view(1, -1, 1) * 0xC2B2AE3D
        + codes * 0x27D4EB2F
    ) & _WORD
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ((x ^ (x >> shift)) * factor) & _WORD
    x = x ^ (x >> 16)
    # 23 bits: with more the largest would round to 1, whose noise has no end.
    uniform = ((x >> 9).float() + 0.5) / (1 << 23)
    return -torch.log(-torch.log(uniform))


_WORD = 0xFFFFFFFF
