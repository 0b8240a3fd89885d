"""The engine higgs_boson: one sentence at a time, stopped when nobody wants it, delayed rows put right.

Against a stand-in for the package, which cannot be installed beside the rest (tests/fakes/boson.py).
"""

from __future__ import annotations

import base64
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.errors import EngineBusy, EngineFailed, EngineUnavailable, VoiceUnknown
from contract.voice import Voice
from tests.fakes.boson import BOOKS, FakeBoson, codes_said, delayed_rows, install_boson, pcm_of
from tests.harness import wait_until
from workers.settings import settings as worker_settings
from workers.tts.higgs_boson import engine as module
from workers.tts.higgs_boson.engine import HiggsBosonEngine, undelayed, windows

needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="NOT TESTED: needs the extra higgs")
TEXT = "A sentence that is long enough for several windows of sound, all of them the same as in one."


@pytest.fixture
def boson(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeBoson]:
    monkeypatch.setenv("CUELINE_HIGGS_BOSON_MODEL", str(tmp_path))
    monkeypatch.setenv("CUELINE_HIGGS_DEVICE", "cpu")
    monkeypatch.setattr(module, "version", lambda package: "0.1.1")
    worker_settings.cache_clear()
    yield install_boson(lambda name, made: monkeypatch.setitem(sys.modules, name, made))
    worker_settings.cache_clear()


@pytest.fixture
def engine(boson: FakeBoson) -> HiggsBosonEngine:
    made = HiggsBosonEngine()
    made.load()
    return made


def whole(text: str, seed: int) -> bytes:
    """The sound of it, decoded at once."""
    return bytes(np.rint(pcm_of(codes_said(text, seed)) * 32_767).astype("<i2").tobytes())


@needs_torch
def test_what_is_streamed_is_what_one_decode_would_make(engine: HiggsBosonEngine) -> None:
    blocks = list(engine.speak(TEXT, Voice(), 3))
    assert len(blocks) > 2
    assert b"".join(blocks) == whole(TEXT, 3)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 90), st.integers(0, 1000), st.booleans())
def test_rows_are_put_right_whatever_their_number(frames: int, seed: int, begins_with_marks: bool) -> None:
    codes = codes_said("x" * frames, seed) if frames else np.zeros((BOOKS, 0), np.int64)
    rows = [[1024] * BOOKS] * begins_with_marks + delayed_rows(codes)
    found = list(undelayed(iter([np.array(row) for row in rows])))
    assert [list(frame) for frame in found] == [list(column) for column in codes.T]
    made = b"".join(windows(iter(found), pcm_of))  # type: ignore[arg-type]
    assert made == bytes(np.rint(pcm_of(codes) * 32_767).astype("<i2").tobytes() if frames else b"")


@needs_torch
def test_two_sentences_are_never_made_at_once(engine: HiggsBosonEngine, boson: FakeBoson) -> None:
    made: dict[int, bytes] = {}

    def say(number: int) -> None:
        made[number] = b"".join(engine.speak(f"{TEXT} {number}", Voice(), number))

    threads = [threading.Thread(target=say, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert made == {number: whole(f"{TEXT} {number}", number) for number in range(4)}
    assert boson.most_at_once == 1


@needs_torch
def test_what_nobody_wants_is_stopped_and_the_next_is_spoken(engine: HiggsBosonEngine, boson: FakeBoson) -> None:
    blocks = engine.speak("This is endless.", Voice(), 1)
    assert next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    rows = boson.rows_made
    assert b"".join(engine.speak(TEXT, Voice(), 3)) == whole(TEXT, 3)
    assert boson.rows_made == rows + len(TEXT) + BOOKS


@needs_torch
def test_a_model_that_fails_says_so_at_once_and_the_next_is_spoken(engine: HiggsBosonEngine) -> None:
    began_at = time.monotonic()
    with pytest.raises(EngineFailed, match="RuntimeError"):
        list(engine.speak("This will explode, after some rows of it.", Voice(), 1))
    assert time.monotonic() - began_at < module.END_S
    assert b"".join(engine.speak(TEXT, Voice(), 3)) == whole(TEXT, 3)


@needs_torch
def test_a_model_that_hangs_is_given_up_and_nobody_else_is_let_in(
    engine: HiggsBosonEngine, boson: FakeBoson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROW_S", 0.1)
    monkeypatch.setattr(module, "END_S", 0.1)
    monkeypatch.setattr(module, "BUSY_S", 0.1)
    with pytest.raises(EngineFailed, match="stopped answering"):
        list(engine.speak("This will hang, after some rows of it.", Voice(), 1))
    with pytest.raises(EngineBusy):
        list(engine.speak(TEXT, Voice(), 3))
    boson.release.set()
    wait_until(lambda: not engine._generating.locked(), "the model to end")
    monkeypatch.setattr(module, "ROW_S", 10)
    assert b"".join(engine.speak(TEXT, Voice(), 3)) == whole(TEXT, 3)


@needs_torch
def test_a_voice_is_told_by_words_and_by_a_recording(engine: HiggsBosonEngine, boson: FakeBoson) -> None:
    list(engine.speak(TEXT, Voice(description="old and kind <|eot_id|>", scene="A kitchen."), 1))
    assert boson.prompts[-1] == [
        (
            "system",
            "Generate audio following instruction.\n\n<|scene_desc_start|>\nA kitchen.\n\nSPEAKER0: old and kind\n"
            "<|scene_desc_end|>",
        ),
        ("user", f"[SPEAKER0] {TEXT}"),
    ]

    class Anchorage:
        def recording(self, clip: str) -> tuple[np.ndarray, str] | None:
            return (np.zeros(24_000, np.float32), "What she says.") if clip == "there" else None

    engine.find_anchors_at(Anchorage())  # type: ignore[arg-type]
    list(engine.speak(TEXT, Voice(anchor="there"), 1))
    roles = [role for role, _ in boson.prompts[-1]]
    assert roles == ["system", "user", "assistant", "user"]
    assert base64.b64decode(boson.prompts[-1][2][1].raw_audio)[:4] == b"RIFF"
    with pytest.raises(VoiceUnknown):
        list(engine.speak(TEXT, Voice(anchor="gone"), 1))
    with pytest.raises(VoiceUnknown):
        list(engine.speak(TEXT, Voice("nobody"), 1))


def test_without_the_package_it_says_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boson_multimodal", None)
    with pytest.raises(EngineUnavailable, match=r"higgs-boson\.txt"):
        HiggsBosonEngine().load()
