"""Tiny networks in the real formats of piper and Kokoro: random tones, one per phoneme, as long as the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

SAMPLES_PER_PHONEME = 1_500
PIPER_RATE_HZ = 22_050


def write_piper_voice(folder: Path, name: str, language: str, espeak: str, speakers: tuple[str, ...] = ()) -> None:
    """`<name>.onnx` and `<name>.onnx.json` as piper's training exports them."""
    from onnx import TensorProto, helper
    from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, [1, None]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
        *([helper.make_tensor_value_info("sid", TensorProto.INT64, [1])] if speakers else []),
    ]
    # piper puts a pad between phonemes, so half of the ids are one.
    nodes = [
        helper.make_node("Gather", ["scales", "one"], ["stretch"], axis=0),
        helper.make_node("Squeeze", ["input", "rows"], ["ids"]),
    ]
    pitch = "base"
    if speakers:
        nodes += [
            helper.make_node("Cast", ["sid"], ["who"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["who", "interval"], ["step"]),
            helper.make_node("Add", ["base", "step"], ["voice_pitch"]),
        ]
        pitch = "voice_pitch"
    constants = {
        "one": np.array([1], np.int64),
        "rows": np.array([0], np.int64),
        "base": np.array([180.0], np.float32),
        "interval": np.array([40.0], np.float32),
        "shape": np.array([1, 1, 1, -1], np.int64),
    }
    nodes += _tones("ids", "stretch", pitch, constants, SAMPLES_PER_PHONEME * PIPER_RATE_HZ / 24_000 / 2, PIPER_RATE_HZ)
    nodes.append(helper.make_node("Reshape", ["sound", "shape"], ["output"]))
    _save(folder / f"{name}.onnx", nodes, inputs, "output", 4, constants)
    described = {
        "audio": {"sample_rate": PIPER_RATE_HZ, "quality": "low"},
        "espeak": {"voice": espeak},
        "language": {"code": language},
        "phoneme_type": "espeak",
        "num_symbols": 256,
        "num_speakers": max(len(speakers), 1),
        "speaker_id_map": {speaker: number for number, speaker in enumerate(speakers)},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
        "piper_version": "1.0.0",
    }
    (folder / f"{name}.onnx.json").write_text(json.dumps(described), "utf-8")


def write_kokoro(folder: Path, voices: tuple[str, ...]) -> tuple[Path, Path]:
    """A network and a file of voices as kokoro-onnx reads them."""
    from onnx import TensorProto, helper

    inputs = [
        helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, None]),
        helper.make_tensor_value_info("style", TensorProto.FLOAT, [1, 256]),
        helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1]),
    ]
    constants = {
        "rows": np.array([0], np.int64),
        "unit": np.array([1.0], np.float32),
        "flat": np.array([-1], np.int64),
        "zero": np.array([0], np.int64),
    }
    nodes = [
        helper.make_node("Squeeze", ["tokens", "rows"], ["ids"]),
        helper.make_node("Div", ["unit", "speed"], ["stretch"]),
        helper.make_node("Reshape", ["style", "flat"], ["style_row"]),
        helper.make_node("Gather", ["style_row", "zero"], ["pitch"], axis=0),
        *_tones("ids", "stretch", "pitch", constants, SAMPLES_PER_PHONEME, 24_000),
        helper.make_node("Identity", ["sound"], ["audio"]),
    ]
    _save(folder / "kokoro.onnx", nodes, inputs, "audio", 1, constants)
    rng = np.random.default_rng(7)
    styles = {}
    for number, voice in enumerate(voices):
        styles[voice] = rng.standard_normal((510, 1, 256)).astype(np.float32)
        styles[voice][:, :, 0] = 150 + 20 * number
    with (folder / "voices.bin").open("wb") as file:
        np.savez(file, **styles)
    return folder / "kokoro.onnx", folder / "voices.bin"


def _tones(ids: str, stretch: str, pitch: str, constants: dict[str, Any], samples: float, rate_hz: int) -> list[Any]:
    """Nodes that make `sound` [samples × stretch per id]: a tone of `pitch` Hz, of random loudness each."""
    from onnx import TensorProto, helper

    rng = np.random.default_rng(3)
    constants |= {
        "loudness": (rng.uniform(0.3, 0.8, 1024) ** 3).astype(np.float32),
        "samples": np.array([samples], np.float32),
        "turn": np.array([2 * np.pi / rate_hz], np.float32),
        "start": np.array(0, np.int64),
        "step_one": np.array(1, np.int64),
        "one_id": np.array([1], np.int64),
        "axis": np.array([0], np.int64),
    }
    return [
        helper.make_node("Shape", [ids], ["count"]),
        helper.make_node("Cast", ["count"], ["count_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["samples", stretch], ["samples_each"]),
        helper.make_node("Mul", ["count_float", "samples_each"], ["length_float"]),
        helper.make_node("Cast", ["length_float"], ["length"], to=TensorProto.INT64),
        helper.make_node("Squeeze", ["length", "axis"], ["length_scalar"]),
        helper.make_node("Range", ["start", "length_scalar", "step_one"], ["places"]),
        helper.make_node("Cast", ["places"], ["places_float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["places_float", "samples_each"], ["id_place"]),
        helper.make_node("Cast", ["id_place"], ["id_found"], to=TensorProto.INT64),
        helper.make_node("Sub", ["count", "one_id"], ["last_id"]),
        helper.make_node("Min", ["id_found", "last_id"], ["id_index"]),
        helper.make_node("Gather", [ids, "id_index"], ["id_each"], axis=0),
        helper.make_node("Gather", ["loudness", "id_each"], ["loud"], axis=0),
        helper.make_node("Mul", [pitch, "turn"], ["advance"]),
        helper.make_node("Mul", ["places_float", "advance"], ["phase"]),
        helper.make_node("Sin", ["phase"], ["wave"]),
        helper.make_node("Mul", ["wave", "loud"], ["sound"]),
    ]


def _save(
    path: Path, nodes: list[Any], inputs: list[Any], output: str, dimensions: int, constants: dict[str, Any]
) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        path.stem,
        inputs,
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None] * dimensions)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
