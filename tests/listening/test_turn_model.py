"""A file that judges by the sound whether somebody has finished: what it is shown, and what becomes of a bad one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="NOT TESTED: make .venv/.dev installs what makes a network")
pytest.importorskip("onnxruntime", reason="NOT TESTED: listening needs the extra whisper (make .venv/.dev installs it)")
from onnx import TensorProto, helper

from api.errors import ListeningUnavailable
from api.listening.hearing import Hearing
from api.listening.sound.mel import BANDS, COLUMNS, last_seconds
from api.listening.sound.smart_turn import SmartTurn, TurnModelBroken
from api.listening.words.recognition import Recognition
from api.settings import Settings
from api.streams import Streams
from contract.transcribe import HEARING_RATE_HZ as RATE
from tests.harness import Stack
from tests.speaking import Microphone, Pcm, silence, spoken

SHORT, LONG = "hello", "please one two three four five six"


def write_network(path: Path, *, takes: str = "input_features", columns: int = COLUMNS, is_sure: bool = True) -> Path:
    """A network of Smart Turn's shape: who has spoken for more than a second or so has finished."""
    shape = [1, BANDS, columns]
    nodes = [
        helper.make_node("ReduceMax", [takes], ["loudest"], axes=[1], keepdims=0),
        # Of each column whether somebody speaks in it, then of how many.
        helper.make_node("Greater", ["loudest", "loud"], ["speaks"]),
        helper.make_node("Cast", ["speaks"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["ones"], ["share"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["share", "enough"], ["more"]),
        helper.make_node("Mul", ["more", "steep"], ["steeper"]),
        helper.make_node("Sigmoid", ["steeper"], ["probability"])
        if is_sure
        else helper.make_node("Exp", ["steep"], ["probability"]),
    ]
    constants = {"loud": 1.0, "enough": 0.15, "steep": 100.0}
    graph = helper.make_graph(
        nodes,
        "turn",
        [helper.make_tensor_value_info(takes, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [1, 1])],
        [helper.make_tensor(name, TensorProto.FLOAT, [1], [value]) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made)
    path.write_bytes(made.SerializeToString())
    return path


def said(text: str) -> Pcm:
    return np.concatenate((spoken(text, rate_hz=RATE), silence(200, RATE)))


def floats(pcm: Pcm) -> np.ndarray:
    return pcm.astype(np.float32) / np.float32(32_768)


def test_the_network_sees_what_whisper_s_encoder_sees() -> None:
    extractor = pytest.importorskip("faster_whisper.feature_extractor").FeatureExtractor(chunk_length=8)
    sound = np.concatenate((silence(2000, RATE), spoken(LONG, rate_hz=RATE), silence(9000, RATE)))[: 8 * RATE]
    samples = floats(sound)
    expected = extractor((samples - samples.mean()) / np.sqrt(samples.var() + 1e-7), padding=0)
    assert expected.shape == (BANDS, COLUMNS)
    assert np.abs(last_seconds(samples) - expected).max() < 1e-3


def test_what_is_short_lies_at_the_end_and_what_is_long_is_its_end() -> None:
    speech = floats(said(LONG))
    short = last_seconds(speech)
    assert short.shape == (BANDS, COLUMNS)
    spoken_columns = np.flatnonzero(short.max(axis=0) > 1.0)
    assert spoken_columns[0] >= COLUMNS - len(speech) // 160 - 3
    rest = np.zeros(8 * RATE - len(speech), np.float32)
    assert np.array_equal(short, last_seconds(np.concatenate((np.ones(5 * RATE, np.float32), rest, speech))))
    assert np.isfinite(last_seconds(np.zeros(0, np.float32))).all()


def test_a_network_judges_by_the_sound(tmp_path: Path) -> None:
    model = SmartTurn(write_network(tmp_path / "turn.onnx"))
    assert model.is_complete(said(SHORT)) < 0.1
    assert model.is_complete(said(LONG)) > 0.9
    assert model.is_complete(np.concatenate((said(LONG), silence(8000, RATE)))) < 0.1


def test_a_file_that_is_no_turn_model_is_told_in_a_sentence(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.onnx"
    garbage.write_bytes(b"no network at all")
    bad = [
        garbage,
        write_network(tmp_path / "other.onnx", takes="audio"),
        write_network(tmp_path / "longer.onnx", columns=3000),
        write_network(tmp_path / "unsure.onnx", is_sure=False),
    ]
    for path in bad:
        with pytest.raises(TurnModelBroken, match=rf"^CUELINE_TURN_MODEL: {path.name} is no .*\.$"):
            SmartTurn(path)


async def test_who_does_not_sound_finished_may_think(hearing: Stack, tmp_path: Path) -> None:
    """Through the socket, with a file named by its setting: a pause that ends what is said elsewhere does not here."""
    another = hearing.another_api_with({"CUELINE_TURN_MODEL": str(write_network(tmp_path / "turn.onnx"))})
    assert another.api
    try:
        another.wait_until_ready()
        async with another.listen() as client:
            await client.send(type="start")
            await client.until("status", status="listening")
            sounds = [silence(300), spoken("hello"), silence(1600), spoken("dragon music please thanks"), silence(1200)]
            await Microphone(client, speed=4).send(*sounds)
            heard = (await client.until("final_transcript", source="voice"))["content"].split()
            # Across a long pause the toy model hears little more than a word twice; "hello" alone it does not.
            assert heard[0] == "hello"
            assert len(heard) > 1
            await client.ask("SAY Fine.")
            assert len(client.messages("final_transcript", source="voice")) == 1
    finally:
        another.api.stop()


async def test_who_wants_to_speak_is_told_of_a_bad_file(hearing: Stack) -> None:
    settings = Settings(redis_url=hearing.redis_url, stt_engine="whisper", turn_model=Path(__file__))
    streams = Streams(hearing.redis_url)
    try:
        with pytest.raises(ListeningUnavailable, match=r"CUELINE_TURN_MODEL: test_turn_model\.py is no network\."):
            await Hearing(settings, Recognition(streams, None, None)).check()  # type: ignore[arg-type]
    finally:
        await streams.close()
