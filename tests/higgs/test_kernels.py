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

from workers.tts.higgs import kernels, plain_ops
from workers.tts.higgs.prompt import Prompt
from workers.tts.higgs.transformer import _runs

SLOTS, HEADS, GROUP, POSITIONS, WIDTH = 5, 2, 3, 200, 32
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
        runs, at = _runs([(3, 10, prompt(37)), (0, 0, prompt(5)), (4, 100, prompt(16))], DEVICE)
    else:
        at = torch.tensor([5, 199, 0, 64], device=DEVICE)
        numbers = torch.arange(SLOTS, device=DEVICE)[: len(at)]
        runs = plain_ops.Runs(numbers, None, [POSITIONS], None, numbers)
    cos, sin = random(POSITIONS, WIDTH, dtype=dtype), random(POSITIONS, WIDTH, dtype=dtype)
    keys = random(SLOTS, HEADS, POSITIONS, WIDTH, dtype=dtype)
    values = random(SLOTS, HEADS, POSITIONS, WIDTH, dtype=dtype)
    qkv = random(len(at), (HEADS * GROUP + 2 * HEADS) * WIDTH, dtype=dtype)
    made = []
    for ops in (kernels, plain_ops):
        k, v = keys.clone(), values.clone()
        query = ops.rotate_and_store(qkv, cos, sin, k, v, runs, at)
        made.append((query, k, v, ops.attend(query, k, v, runs, at)))
    for ours, plain in zip(*made, strict=True):
        assert near(ours, plain)
