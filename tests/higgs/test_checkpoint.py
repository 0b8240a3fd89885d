"""Loading: what is not whole is named, and what is asked for and not there is said."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from contract.errors import EngineUnavailable
from workers.settings import WorkerSettings
from workers.tts.higgs.checkpoint import load
from workers.tts.higgs.codec import Codec
from workers.tts.higgs.loading import find_device, find_dtype, open_batch
from workers.tts.higgs.memory import fitting_slots, slot_bytes, weight_bytes
from workers.tts.higgs.network.transformer import Transformer

REAL = SimpleNamespace(
    vocab_size=128_256, hidden_size=3072, intermediate_size=8192, num_hidden_layers=28, num_attention_heads=24,
    num_key_value_heads=8, head_dim=128, num_codebooks=8, codebook_size=1026,
)  # fmt: skip
GB = 1_000_000_000


@pytest.fixture
def copied(checkpoint_at: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    made = tuple(Path(shutil.copytree(at, tmp_path / at.name)) for at in checkpoint_at)
    return made[0], made[1]


def opened(model: Path | str, codec: Path | str) -> None:
    load(str(model), str(codec), torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("fault", ["missing", "empty", "cut off"])
def test_a_file_that_is_not_whole_is_named(copied: tuple[Path, Path], name: str, fault: str) -> None:
    file = copied[0] / name
    if fault == "missing":
        file.unlink()
    else:
        file.write_bytes(b"" if fault == "empty" else file.read_bytes()[:-10])
    with pytest.raises(EngineUnavailable, match=name):
        opened(*copied)


def test_a_codec_that_is_not_whole_is_named(copied: tuple[Path, Path]) -> None:
    (copied[1] / "model.safetensors").unlink()
    with pytest.raises(EngineUnavailable, match=r"tokenizer is incomplete: model.safetensors"):
        opened(*copied)


def test_a_folder_that_is_not_there_is_named(checkpoint_at: tuple[Path, Path]) -> None:
    with pytest.raises(EngineUnavailable, match="/nowhere"):
        opened("/nowhere", checkpoint_at[1])


def test_the_hub_out_of_reach_is_one_sentence(
    checkpoint_at: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EngineUnavailable, match="CUELINE_HIGGS_MODEL") as refused:
        opened("nobody/has-this-model", checkpoint_at[1])
    assert "\n" not in refused.value.text


def test_devices_that_are_not_there_are_refused() -> None:
    assert find_device("cpu").type == "cpu"
    with pytest.raises(EngineUnavailable, match="auto, cpu"):
        find_device("abacus")
    with pytest.raises(EngineUnavailable, match="GPUs"):
        find_device("cuda:7")
    with pytest.raises(EngineUnavailable, match="bfloat16"):
        find_dtype("float3", "cpu")


def test_what_a_card_can_hold() -> None:
    assert abs(weight_bytes(REAL, int8=False) - 10.75 * GB) < 0.05 * GB
    assert abs(weight_bytes(REAL, int8=True) - 5.82 * GB) < 0.1 * GB
    assert slot_bytes(REAL, 1) == 112 * 1024
    held = [fitting_slots(REAL, gigabytes * GB, 2048, int8=False) for gigabytes in (8, 16, 24, 80)]
    assert held[0] == 0
    assert 0 < held[1] < held[2] < held[3] == 64
    assert fitting_slots(REAL, 12 * GB, 2048, int8=True) > 0


def test_weights_in_8_bits_speak_nearly_the_same(checkpoint_at: tuple[Path, Path]) -> None:
    model = load(*map(str, checkpoint_at), torch.device("cpu"), torch.float32).model
    again = load(*map(str, checkpoint_at), torch.device("cpu"), torch.float32).model
    plain = Transformer(model, 64, torch.device("cpu"))
    small = Transformer(again, 64, torch.device("cpu"), int8=True)
    assert small.step_bytes() < plain.step_bytes()
    x = torch.randn(5, 64)
    wanted, got = (network._layers[0].qkv(x) for network in (plain, small))
    assert (wanted - got).abs().max() < 0.02 * wanted.abs().max()


def test_a_recording_becomes_codes_and_sound_again(codec: Codec) -> None:
    codes = codec.encode(0.1 * torch.randn(24_000).numpy())
    assert codes.shape == (8, 25)
    assert codec.decode([codes]).shape == (1, 24_000)


def test_settings_make_a_batch(checkpoint_at: tuple[Path, Path]) -> None:
    told = WorkerSettings(
        higgs_model=str(checkpoint_at[0]), higgs_codec=str(checkpoint_at[1]), higgs_device="cpu", higgs_positions=600
    )
    ready = open_batch(told)
    assert ready.positions == 600
    assert ready.batch.slot_count == 4
    assert ready.is_exact
    assert "transformers" in ready.version
