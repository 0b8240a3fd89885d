"""What the network does between its matrix products, as Triton kernels: fewer launches, and keys read only as far as
they are filled. The same functions as `plain_ops.py`, where their shapes are told."""

from __future__ import annotations

from typing import Any

import torch
import triton  # type: ignore[import-not-found, import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-not-found, import-untyped, unused-ignore]
from torch import Tensor

from workers.tts.higgs.network.plain_ops import TILE_TOKENS, Runs

KEYS_AT_ONCE = 64


@triton.jit  # type: ignore[misc, untyped-decorator, unused-ignore]
def _norm_kernel(x_at, change_at, weight_at, sum_at, out_at, weight_step, width, eps, HAS_CHANGE: tl.constexpr, BLOCK: tl.constexpr) -> None:  # type: ignore[no-untyped-def] # fmt: skip  # noqa: E501
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    inside = column < width
    x = tl.load(x_at + row * width + column, mask=inside, other=0.0)
    if HAS_CHANGE:
        x = x + tl.load(change_at + row * width + column, mask=inside, other=0.0)
        tl.store(sum_at + row * width + column, x, mask=inside)
    wide = x.to(tl.float32)
    scale = 1.0 / tl.sqrt(tl.sum(wide * wide, 0) / width + eps)
    weight = tl.load(weight_at + row * weight_step + column, mask=inside, other=0.0)
    tl.store(out_at + row * width + column, weight * (wide * scale).to(weight.dtype), mask=inside)


@triton.jit  # type: ignore[misc, untyped-decorator, unused-ignore]
def _gate_kernel(x_at, out_at, width, BLOCK: tl.constexpr) -> None:  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    opened = tl.load(x_at + row * 2 * width + column, mask=inside, other=0.0)
    value = tl.load(x_at + row * 2 * width + width + column, mask=inside, other=0.0)
    wide = opened.to(tl.float32)
    tl.store(out_at + row * width + column, (wide / (1.0 + tl.exp(-wide))).to(value.dtype) * value, mask=inside)


@triton.jit  # type: ignore[misc, untyped-decorator, unused-ignore]
def _rotate_kernel(  # type: ignore[no-untyped-def]
    qkv_at, cos_at, sin_at, keys_at, values_at, query_at, slot_at, position_at,
    key_step, length, QUERY_HEADS: tl.constexpr, HEADS: tl.constexpr, WIDTH: tl.constexpr,
) -> None:  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    half: tl.constexpr = WIDTH // 2
    column = tl.arange(0, half)
    position = tl.load(position_at + token).to(tl.int64)
    slot = tl.load(slot_at + token).to(tl.int64)
    read = qkv_at + (token * (QUERY_HEADS + 2 * HEADS) + head) * WIDTH
    first, second = tl.load(read + column), tl.load(read + half + column)
    if head < QUERY_HEADS + HEADS:
        cos_low, cos_high = (
            tl.load(cos_at + position * WIDTH + column),
            tl.load(cos_at + position * WIDTH + half + column),
        )
        sin_low, sin_high = (
            tl.load(sin_at + position * WIDTH + column),
            tl.load(sin_at + position * WIDTH + half + column),
        )
        low = first * cos_low - second * sin_low
        high = second * cos_high + first * sin_high
        first, second = low, high
    if head < QUERY_HEADS:
        write = query_at + (token * QUERY_HEADS + head) * WIDTH
    elif head < QUERY_HEADS + HEADS:
        write = keys_at + slot * key_step + (head - QUERY_HEADS) * length * WIDTH + position * WIDTH
    else:
        write = values_at + slot * key_step + (head - QUERY_HEADS - HEADS) * length * WIDTH + position * WIDTH
    tl.store(write + column, first)
    tl.store(write + half + column, second)


@triton.jit  # type: ignore[misc, untyped-decorator, unused-ignore]
def _attend_kernel(  # type: ignore[no-untyped-def]
    query_at, keys_at, values_at, out_at, tiles_at, position_at, key_step, length, scale,
    QUERY_HEADS: tl.constexpr, GROUP: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr,
    KEYS: tl.constexpr, HAS_TILES: tl.constexpr,
) -> None:  # fmt: skip
    tile, head = tl.program_id(0), tl.program_id(1)
    if HAS_TILES:
        slot = tl.load(tiles_at + tile * 3).to(tl.int64)
        start = tl.load(tiles_at + tile * 3 + 1)
        count = tl.load(tiles_at + tile * 3 + 2)
    else:
        slot = tile.to(tl.int64)
        start = tile
        count = 1
    row = tl.arange(0, ROWS)
    token = start + row // GROUP
    inside = row < count * GROUP
    column = tl.arange(0, WIDTH)
    at = (token.to(tl.int64) * QUERY_HEADS + head * GROUP + row % GROUP) * WIDTH
    query = tl.load(query_at + at[:, None] + column[None, :], mask=inside[:, None], other=0.0)
    position = tl.load(position_at + token, mask=inside, other=0).to(tl.int32)
    end = tl.max(position, 0) + 1
    base = slot * key_step + head.to(tl.int64) * length * WIDTH
    best = tl.full([ROWS], -1.0e30, tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    heard = tl.zeros([ROWS, WIDTH], tl.float32)
    for first in range(0, end, KEYS):
        key_position = first + tl.arange(0, KEYS)
        filled = key_position < end
        offsets = base + key_position[:, None].to(tl.int64) * WIDTH + column[None, :]
        key = tl.load(keys_at + offsets, mask=filled[:, None], other=0.0)
        score = tl.dot(query, tl.trans(key)).to(tl.float32) * scale
        score = tl.where(key_position[None, :] <= position[:, None], score, -1.0e30)
        higher = tl.maximum(best, tl.max(score, 1))
        weight = tl.exp(score - higher[:, None])
        shrink = tl.exp(best - higher)
        total = total * shrink + tl.sum(weight, 1)
        value = tl.load(values_at + offsets, mask=filled[:, None], other=0.0)
        heard = heard * shrink[:, None] + tl.dot(weight.to(value.dtype), value)
        best = higher
    heard = heard / total[:, None]
    tl.store(out_at + at[:, None] + column[None, :], heard.to(out_at.dtype.element_ty), mask=inside[:, None])


@triton.jit  # type: ignore[misc, untyped-decorator, unused-ignore]
def _snake_kernel(x_at, alpha_at, out_at, channels, length, BLOCK: tl.constexpr) -> None:  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < length
    alpha = tl.load(alpha_at + row % channels).to(tl.float32)
    x = tl.load(x_at + row * length + column, mask=inside, other=0.0).to(tl.float32)
    wave = tl.sin(alpha * x)
    tl.store(out_at + row * length + column, x + wave * wave / (alpha + 1e-9), mask=inside)


@triton.jit  # type: ignore[misc, untyped-decorator, unused-ignore]
def _noise_kernel(seed_at, row_at, code_at, out_at, salt, books, count, BLOCK: tl.constexpr) -> None:  # type: ignore[no-untyped-def]
    program = tl.program_id(0).to(tl.int64)
    slot, book = program // books, program % books
    column = tl.arange(0, BLOCK)
    code = tl.load(code_at + program * count + column, mask=column < count, other=0)
    word = 0xFFFFFFFF
    seed, row = tl.load(seed_at + slot) + salt, tl.load(row_at + slot)
    x = (seed * 0x9E3779B1 + row * 0x85EBCA77 + book * 0xC2B2AE3D + code * 0x27D4EB2F) & word
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & word
    x = ((x ^ (x >> 15)) * 0x846CA68B) & word
    x = x ^ (x >> 16)
    uniform = ((x >> 9).to(tl.float32) + 0.5) / 8388608.0
    tl.store(out_at + program * count + column, -tl.log(-tl.log(uniform)), mask=column < count)


@triton.jit  # type: ignore[misc, untyped-decorator, unused-ignore]
def _int8_kernel(  # type: ignore[no-untyped-def]
    x_at, weight_at, scale_at, out_at, rows, outs, ins,
    ROWS: tl.constexpr, OUTS: tl.constexpr, INS: tl.constexpr,
) -> None:  # fmt: skip
    out = tl.program_id(0) * OUTS + tl.arange(0, OUTS)
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, INS)
    is_row, is_out = row < rows, out < outs
    total = tl.zeros([ROWS, OUTS], tl.float32)
    for start in range(0, ins, INS):
        inside = start + column < ins
        at = start + column[None, :]
        x = tl.load(x_at + row[:, None] * ins + at, mask=is_row[:, None] & inside[None, :], other=0.0)
        weight = tl.load(weight_at + out[:, None] * ins + at, mask=is_out[:, None] & inside[None, :], other=0)
        total += tl.dot(x, tl.trans(weight.to(x.dtype)))
    total = total * tl.load(scale_at + out, mask=is_out, other=0.0).to(tl.float32)[None, :]
    tl.store(out_at + row[:, None] * outs + out[None, :], total.to(out_at.dtype.element_ty),
             mask=is_row[:, None] & is_out[None, :])  # fmt: skip


def int8_linear(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """[rows, in] times int8 [out, in], each output times its scale."""
    rows, ins = x.shape
    outs = len(weight)
    out = x.new_empty(rows, outs)
    block = min(64, max(16, triton.next_power_of_2(rows)))
    _launch(_int8_kernel, (triton.cdiv(outs, 32), triton.cdiv(rows, block)), x, weight, scale, out, rows, outs, ins,
            ROWS=block, OUTS=32, INS=128, num_warps=4, num_stages=4)  # fmt: skip
    return out


def snake(x: Tensor, alpha: Tensor) -> Tensor:
    """The codec's activation, x + sin²(αx) / α; [batch, channels, samples], `alpha` [1, channels, 1]."""
    x = x.contiguous()
    out = torch.empty_like(x)
    rows = x.shape[0] * x.shape[1]
    _launch(_snake_kernel, (rows, triton.cdiv(x.shape[2], 1024)), x, alpha, out, x.shape[1], x.shape[2], BLOCK=1024)
    return out


def noise(seed: Tensor, row: Tensor, salt: int, codes: Tensor) -> Tensor:
    """See `plain_ops.noise`."""
    codes = codes.contiguous()
    out = torch.empty(codes.shape, device=codes.device)
    _, books, count = codes.shape
    _launch(_noise_kernel, (len(codes) * books,), seed, row, codes, out, salt, books, count,
            BLOCK=triton.next_power_of_2(count))  # fmt: skip
    return out


def norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """See `plain_ops.norm`."""
    out = torch.empty_like(x)
    step = weight.shape[-1] if weight.dim() > 1 else 0
    _launch(_norm_kernel, (len(x),), x, x, weight, x, out, step, x.shape[-1], eps, HAS_CHANGE=False,
            BLOCK=triton.next_power_of_2(x.shape[-1]), num_warps=8)  # fmt: skip
    return out


def add_norm(x: Tensor, change: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """See `plain_ops.add_norm`."""
    total, out = torch.empty_like(x), torch.empty_like(x)
    step = weight.shape[-1] if weight.dim() > 1 else 0
    _launch(_norm_kernel, (len(x),), x, change, weight, total, out, step, x.shape[-1], eps, HAS_CHANGE=True,
            BLOCK=triton.next_power_of_2(x.shape[-1]), num_warps=8)  # fmt: skip
    return total, out


def gate(x: Tensor) -> Tensor:
    """See `plain_ops.gate`."""
    width = x.shape[-1] // 2
    out = x.new_empty(len(x), width)
    _launch(_gate_kernel, (len(x), triton.cdiv(width, 1024)), x, out, width, BLOCK=1024)
    return out


def rotate_and_store(
    qkv: Tensor, cos: Tensor, sin: Tensor, keys: Tensor, values: Tensor, runs: Runs, at: Tensor
) -> Tensor:
    """See `plain_ops.rotate_and_store`."""
    heads, length, width = keys.shape[1:]
    query_heads = qkv.shape[-1] // width - 2 * heads
    query = qkv.new_empty(len(qkv), query_heads, width)
    _launch(_rotate_kernel, (len(qkv), query_heads + 2 * heads), qkv, cos, sin, keys, values, query, runs.token_slots,
            at, keys.stride(0), length, QUERY_HEADS=query_heads, HEADS=heads, WIDTH=width, num_warps=1)  # fmt: skip
    return query


def attend(query: Tensor, keys: Tensor, values: Tensor, runs: Runs, at: Tensor) -> Tensor:
    """See `plain_ops.attend`."""
    heads, length, width = keys.shape[1:]
    group = query.shape[1] // heads
    out = torch.empty_like(query)
    tiles = runs.tiles
    tokens = 1 if tiles is None else TILE_TOKENS
    rows = max(16, triton.next_power_of_2(tokens * group))
    _launch(_attend_kernel, (len(query) if tiles is None else len(tiles), heads), query, keys, values, out,
            at if tiles is None else tiles, at, keys.stride(0), length, width**-0.5, QUERY_HEADS=query.shape[1],
            GROUP=group, WIDTH=width, ROWS=rows, KEYS=KEYS_AT_ONCE, HAS_TILES=tiles is not None)  # fmt: skip
    return out


def _launch(kernel: Any, programs: tuple[int, ...], *arguments: Any, **options: Any) -> None:
    kernel[programs](*arguments, **options)
