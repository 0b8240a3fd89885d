"""Finds and loads a checkpoint: the language model, its tokenizer, the codec. Not: how any of them is used."""

from __future__ import annotations

import importlib.machinery
import json
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from contract.errors import EngineUnavailable

MODEL_FILES = ("config.json", "tokenizer.json")
CODEC_FILES = ("config.json",)
INSTALL = "CUELINE_TTS_ENGINE=higgs make run, or pip install 'cueline[higgs]'"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was loaded, in the classes of transformers."""

    model: Any
    """HiggsAudioV2ForConditionalGeneration, in the host's memory."""
    codec: Any
    """HiggsAudioV2TokenizerModel, float32."""
    tokenizer: Any
    name: str


def load(model_at: str, codec_at: str, device: torch.device, dtype: torch.dtype) -> Checkpoint:
    """Load from folders, or by the hub's names from its cache or the network (HF_HUB_OFFLINE is honoured).

    Raises: EngineUnavailable, naming the file that is missing or wrong.
    """
    check_folder(model_at, MODEL_FILES)
    check_folder(codec_at, CODEC_FILES)
    provide_resample()
    try:
        from transformers import AutoTokenizer, HiggsAudioV2ForConditionalGeneration, HiggsAudioV2TokenizerModel
    except ImportError as error:
        raise EngineUnavailable(f"transformers 5.3 or newer is missing. Install it with: {INSTALL}.") from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(model_at)
        loaded: Any = HiggsAudioV2ForConditionalGeneration.from_pretrained(
            model_at, dtype=dtype, output_loading_info=True
        )
        model, found = loaded
        codec: Any = HiggsAudioV2TokenizerModel.from_pretrained(codec_at, dtype=torch.float32)
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, AttributeError) as error:
        raise EngineUnavailable(_why(error, model_at, codec_at)) from error
    if missing := sorted(found["missing_keys"]):
        raise EngineUnavailable(
            f"The checkpoint {model_at} lacks {len(missing)} of its weights, the first {missing[0]}."
        )
    if getattr(model.config, "model_type", "") != "higgs_audio_v2":
        raise EngineUnavailable(f"The checkpoint {model_at} is none of Higgs Audio v2.")
    return Checkpoint(model.eval(), codec.eval().to(device), tokenizer, model_at)


def check_folder(at: str, needed: tuple[str, ...]) -> None:
    """Look before loading: where `at` is a folder, what it must hold is there and whole.

    Raises: EngineUnavailable, naming the file.
    """
    folder = Path(at)
    if not folder.is_dir():
        if at.startswith((".", "/", "~")):
            raise EngineUnavailable(f"There is no folder {at}.")
        return
    weights = _weight_files(folder)
    for name in (*needed, *weights):
        file = folder / name
        if not file.is_file():
            raise EngineUnavailable(f"The checkpoint {folder} is incomplete: {name} is missing.")
        if file.stat().st_size == 0:
            raise EngineUnavailable(f"The checkpoint {folder} is incomplete: {name} is empty.")
    for name in needed:
        try:
            json.loads((folder / name).read_bytes())
        except ValueError as error:
            raise EngineUnavailable(f"The checkpoint {folder} is damaged: {name} is no JSON.") from error
    for name in weights:
        _check_weights(folder / name)


def _weight_files(folder: Path) -> list[str]:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return ["model.safetensors"]
    try:
        return sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as error:
        raise EngineUnavailable(f"The checkpoint {folder} is damaged: {index.name} is no index.") from error


def _check_weights(file: Path) -> None:
    """Whether a safetensors file is as long as its header says: a broken download is the usual fault."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        try:
            header = json.loads(opened.read(length)) if length < size else {}
            end = 8 + length + max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
        except (ValueError, KeyError, TypeError):
            end = -1
    if end != size:
        raise EngineUnavailable(
            f"The checkpoint {file.parent} is damaged: {file.name} is cut off or no safetensors file."
        )


def provide_resample() -> None:
    """The codec's class asks for torchaudio, and uses one function of it where it reads a reference recording.

    Its wheels are linked against CUDA's libraries, so that a machine without them cannot import it; soxr, which is
    here anyway, resamples as well.
    """
    try:
        import torchaudio  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
    except (ImportError, OSError):
        package, functional = types.ModuleType("torchaudio"), types.ModuleType("torchaudio.functional")
        functional.resample = _resample  # type: ignore[attr-defined]
        package.functional = functional  # type: ignore[attr-defined]
        package.__version__ = "0"  # type: ignore[attr-defined]
        for name, module in (("torchaudio", package), ("torchaudio.functional", functional)):
            module.__spec__ = importlib.machinery.ModuleSpec(name, None)
            sys.modules[name] = module


def _resample(waveform: torch.Tensor, orig_freq: int, new_freq: int, **_: Any) -> torch.Tensor:
    from workers.pcm import resampled

    flat = waveform.detach().cpu().reshape(-1, waveform.shape[-1]).numpy()
    made = np.stack([resampled(row, orig_freq, new_freq) for row in flat])
    return torch.from_numpy(made).reshape(*waveform.shape[:-1], -1).to(waveform)


def _why(error: Exception, model_at: str, codec_at: str) -> str:
    first_line = (str(error).splitlines() or [""])[0][:300]
    return (
        f"The checkpoint {model_at} with the codec {codec_at} (CUELINE_HIGGS_MODEL, CUELINE_HIGGS_CODEC) cannot be "
        f"loaded: {type(error).__name__}: {first_line}"
    )
