"""From settings to a batch that is ready to run: device, checkpoint, how many places. Not: voices, texts."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from contract.errors import EngineUnavailable
from workers.settings import WorkerSettings
from workers.tts.engine import file_version
from workers.tts.higgs.batch import Batch, Options
from workers.tts.higgs.checkpoint import load
from workers.tts.higgs.codec import Codec
from workers.tts.higgs.memory import PREFIX_BYTES, fitting_slots, weight_bytes
from workers.tts.higgs.network.transformer import Transformer
from workers.tts.higgs.prompt import Prompts

log = logging.getLogger(__name__)

CPU_SLOTS = 4
"""On a processor more at once are only slower."""
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True, slots=True)
class Opened:
    """What is ready."""

    prompts: Prompts
    codec: Codec
    batch: Batch
    positions: int
    is_exact: bool
    version: str


def open_batch(told: WorkerSettings) -> Opened:
    """Load, quantise, record.

    Raises: EngineUnavailable; torch.OutOfMemoryError.
    """
    device, dtype = find_device(told.higgs_device), find_dtype(told.higgs_dtype, told.higgs_device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.backends.cudnn.deterministic = told.higgs_exact
    checkpoint = load(told.higgs_model, told.higgs_codec, device, dtype)
    config = checkpoint.model.config
    positions = min(told.higgs_positions, config.max_position_embeddings)
    slots = told.higgs_slots or _slots(config, device, positions, int8=told.higgs_int8)
    prompts = Prompts(checkpoint.tokenizer, config)
    network = Transformer(checkpoint.model, positions, device, int8=told.higgs_int8)
    codec = Codec(checkpoint.codec, config.num_codebooks, use_graphs=device.type == "cuda", exact=told.higgs_exact)
    options = Options(slots, positions, PREFIX_BYTES, exact=told.higgs_exact)
    batch = Batch(network, codec, config, options)
    taken = torch.cuda.memory_allocated(device) / 1e9 if device.type == "cuda" else network.bytes() / 1e9
    log.info("higgs: %d places of %d positions on %s, %.1f GB", slots, positions, device, taken)
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    version = f"{_version(told, config)} {kind} {dtype} int8={told.higgs_int8} exact={told.higgs_exact}"
    return Opened(prompts, codec, batch, positions, told.higgs_exact, version)


def find_device(name: str) -> torch.device:
    """ "auto" is the first GPU, or the processor. Raises: EngineUnavailable."""
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise EngineUnavailable(
            f"CUELINE_HIGGS_DEVICE must be auto, cpu, cuda or cuda:1, not {name[:40]!r}."
        ) from error
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise EngineUnavailable(
            f"CUELINE_HIGGS_DEVICE is {name}, but this machine has {count} GPUs that torch can use."
        )
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def find_dtype(name: str, device: str) -> torch.dtype:
    """ "auto" is bfloat16 on a GPU and float32 on a processor. Raises: EngineUnavailable."""
    if name == "auto":
        return torch.bfloat16 if find_device(device).type == "cuda" else torch.float32
    if name not in DTYPES:
        raise EngineUnavailable(f"CUELINE_HIGGS_DTYPE must be auto or one of {', '.join(DTYPES)}, not {name[:40]!r}.")
    return DTYPES[name]


def _slots(config: Any, device: torch.device, positions: int, *, int8: bool) -> int:
    if device.type != "cuda":
        return CPU_SLOTS
    free, _ = torch.cuda.mem_get_info(device)
    slots = fitting_slots(config, free, positions, int8=int8)
    if not slots:
        needed = weight_bytes(config, int8=int8) / 1e9
        raise EngineUnavailable(
            f"The weights take {needed:.1f} GB and {device} has {free / 1e9:.1f} GB free. "
            + ("" if int8 else "CUELINE_HIGGS_INT8=1 halves them.")
        )
    return slots


def _version(told: WorkerSettings, config: Any) -> str:
    folder = Path(told.higgs_model)
    if folder.is_dir():
        return file_version("transformers", sorted(folder.glob("*.safetensors")))
    return f"{told.higgs_model} {getattr(config, '_commit_hash', '')}"
