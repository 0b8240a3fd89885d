"""One tiny checkpoint for all tests here, and a batch of it that each test has for itself."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

if not find_spec("torch") or not find_spec("transformers"):
    pytest.skip("NOT TESTED: needs the extra higgs", allow_module_level=True)

import torch

from tests.higgs.tiny_checkpoint import write_tiny_checkpoint
from workers.tts.higgs.batch import Batch, Options
from workers.tts.higgs.checkpoint import Checkpoint, load
from workers.tts.higgs.codec import Codec
from workers.tts.higgs.network.transformer import Transformer
from workers.tts.higgs.prompt import Prompts

CPU = torch.device("cpu")
POSITIONS = 512


@pytest.fixture(scope="session")
def checkpoint_at(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    torch.set_num_threads(1)
    return write_tiny_checkpoint(tmp_path_factory.mktemp("higgs"), ends=False)


@pytest.fixture(scope="session")
def checkpoint(checkpoint_at: tuple[Path, Path]) -> Checkpoint:
    """Its model is whole: for transformers' own `generate()`."""
    return load(*map(str, checkpoint_at), CPU, torch.float32)


@pytest.fixture(scope="session")
def prompts(checkpoint: Checkpoint) -> Prompts:
    return Prompts(checkpoint.tokenizer, checkpoint.model.config)


@pytest.fixture(scope="session")
def network(checkpoint_at: tuple[Path, Path]) -> Transformer:
    model = load(*map(str, checkpoint_at), CPU, torch.float32).model
    return Transformer(model, POSITIONS, CPU)


@pytest.fixture(scope="session")
def codec(checkpoint: Checkpoint) -> Codec:
    return Codec(checkpoint.codec, 8, use_graphs=False)


@pytest.fixture
def make_batch(network: Transformer, codec: Codec, checkpoint: Checkpoint) -> Callable[..., Batch]:
    """A batch that runs only when a test lets it."""
    return lambda slots=4, **options: Batch(
        network, codec, checkpoint.model.config, Options(slots=slots, positions=POSITIONS, **options)
    )
