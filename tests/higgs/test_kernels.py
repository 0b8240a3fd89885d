"""The kernels do what plain torch does; on a GPU, or without one in Triton's interpreter."""

from __future__ import annotations

import os
from importlib.util import find_spec

import numpy as np
import pytest

if not find_spec("torch") or not find_spec("triton"):
    pytest.skip("NOT TESTED: needs torch and triton, which comes with torch for a GPU", allow_module_level=True)

import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if DEVICE.type == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"

from workers.tts.higgs.network import kernels, plain_ops
from workers.tts.higgs.network.reader import AT, SLOT, laid_out
from workers.tts.higgs.prompt import Prompt

SLOTS, HEADS, GROUP, POSITIONS, WIDTH = 6, 2, 3, 200, 32
DTYPES = [torch.float32] if DEVICE.type == "cpu" else [torch.float32, torch.bfloat16]


def near(one: torch.Tensor, other: torch.Tensor) -> bool:
    room = 2e-2 if one.dtype == torch.bfloat16 else 1e-2 if DEVICE.type == "cuda" else 1e-5
    return torch.allclose(one.float(), other.float(), rtol=room, atol=room)


def random(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(*shape, device=DEVICE).to(dtype)


def prompt(length: int) -> Prompt:
    return Prompt(np.zeros(length, np.int64), np.zeros((0, 8), np.int64), np.zeros(length, bool))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weights", [(48,), (7, 48)], ids=["one weight", "a weight for each"])
def test_norms_are_those_of_torch(weights: tuple[int, ...], dtype: torch.dtype) -> None:
    x, change, weight = random(7, 48, dtype=dtype), random(7, 48, dtype=dtype), random(*weights, dtype=dtype)
    assert near(kernels.norm(x, weight, 1e-5), plain_ops.norm(x, weight, 1e-5))
    for ours, plain in zip(
        kernels.add_norm(x, change, weight, 1e-5), plain_ops.add_norm(x, change, weight, 1e-5), strict=True
    ):
        assert near(ours, plain)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gate_is_that_of_torch(dtype: torch.dtype) -> None:
    x = random(5, 2 * 300, dtype=dtype)
    assert near(kernels.gate(x), plain_ops.gate(x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("is_prompt", [True, False], ids=["prompts", "a step"])
def test_attention_over_slots_is_that_of_torch(is_prompt: bool, dtype: torch.dtype) -> None:
    if is_prompt:
        entries = [(3, 10, prompt(37)), (0, 0, prompt(5)), (4, 100, prompt(16))]
        table, tiles = (torch.from_numpy(part).to(DEVICE) for part in laid_out(entries, 96, SLOTS - 1, 12))
        at = table[AT]
        lengths = [(3, 37), (SLOTS - 1, 11), (0, 5), (SLOTS - 1, 11), (4, 16), (SLOTS - 1, 16)]
        runs = plain_ops.Runs(lengths, [47, 11, 5, 11, 116, 16], table[SLOT], tiles)
        valid = torch.arange(96, device=DEVICE)[table[SLOT] != SLOTS - 1]
    else:
        at = torch.tensor([5, 199, 0, 64], device=DEVICE)
        runs = plain_ops.Runs(None, [POSITIONS], torch.arange(SLOTS, device=DEVICE)[: len(at)], None)
        valid = torch.arange(len(at), device=DEVICE)
    cos, sin = random(POSITIONS, WIDTH, dtype=dtype), random(POSITIONS, WIDTH, dtype=dtype)
    keys = random(SLOTS, HEADS, POSITIONS, WIDTH, dtype=dtype)
    values = random(SLOTS, HEADS, POSITIONS, WIDTH, dtype=dtype)
    qkv = random(len(at), (HEADS * GROUP + 2 * HEADS) * WIDTH, dtype=dtype)
    made = []
    for ops in (kernels, plain_ops):
        k, v = keys.clone(), values.clone()
        query = ops.rotate_and_store(qkv, cos, sin, k, v, runs, at)
        made.append((query, k[:-1], v[:-1], ops.attend(query, k, v, runs, at)[valid]))
    for ours, plain in zip(*made, strict=True):
        assert near(ours, plain)


def test_noise_is_that_of_torch() -> None:
    seed, row = torch.tensor([3, 2**31 - 1], device=DEVICE), torch.tensor([1, 800], device=DEVICE)
    codes = torch.randint(0, 1026, (2, 8, 64), device=DEVICE)
    assert near(kernels.noise(seed, row, 7919, codes), plain_ops.noise(seed, row, 7919, codes))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_codecs_activation_is_that_of_torch(dtype: torch.dtype) -> None:
    x, alpha = random(2, 3, 1500, dtype=dtype), random(1, 3, 1, dtype=torch.float32).abs() + 0.1
    plain = x.float() + (alpha + 1e-9).reciprocal() * torch.sin(alpha * x.float()).pow(2)
    assert near(kernels.snake(x, alpha), plain.to(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 70])
def test_a_product_with_8_bits_is_that_of_the_weights_they_stand_for(rows: int, dtype: torch.dtype) -> None:
    x, scale = random(rows, 200, dtype=dtype), random(40, dtype=dtype).abs() / 100
    weight = torch.randint(-127, 128, (40, 200), device=DEVICE, dtype=torch.int8)
    plain = torch.nn.functional.linear(x.float(), weight.float()) * scale.float()
    assert near(kernels.int8_linear(x, weight, scale), plain.to(dtype))
