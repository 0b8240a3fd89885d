"""Where nobody chose an engine the best that is here speaks, and somebody is told which, and why."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cli.weights.choice import choose_engine


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for packages that are installed."""
    place = tmp_path / "site"
    place.mkdir()
    for name in ("kokoro_onnx", "phonemizer", "piper"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.syspath_prepend(str(place))
    return place


def install(packages: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        monkeypatch.delitem(sys.modules, name)
        (packages / f"{name}.py").write_text("raise AssertionError('it is looked for, not loaded')")


def keep(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"weights")


def test_on_a_bare_machine_espeak_speaks_and_says_what_would_be_better(packages: Path, tmp_path: Path) -> None:
    chosen = choose_engine({}, tmp_path / "data")
    assert chosen.engine == "espeak"
    assert "cueline get kokoro" in chosen.why


def test_what_is_set_is_what_speaks(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(packages, monkeypatch, "piper")
    keep(tmp_path / "piper", "a.onnx", "a.onnx.json")
    assert choose_engine({"CUELINE_TTS_ENGINE": "espeak"}, tmp_path).engine == "espeak"


def test_the_best_with_package_and_files_speaks(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(packages, monkeypatch, "piper")
    keep(tmp_path / "piper", "a.onnx")
    assert choose_engine({}, tmp_path).engine == "espeak", "a network without its description"
    keep(tmp_path / "piper", "a.onnx.json")
    assert choose_engine({}, tmp_path).engine == "piper,espeak"
    keep(tmp_path / "kokoro", "kokoro-v1.0.onnx", "voices-v1.0.bin")
    chosen = choose_engine({}, tmp_path)
    assert chosen.engine == "piper,espeak", "kokoro's package is not here"
    install(packages, monkeypatch, "kokoro_onnx", "phonemizer")
    assert choose_engine({}, tmp_path).engine == "kokoro,espeak"


def test_what_is_half_there_is_told_with_the_other_half(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path / "kokoro", "kokoro-v1.0.onnx", "voices-v1.0.bin")
    assert "CUELINE_TTS_ENGINE=kokoro make run" in choose_engine({}, tmp_path).why
    install(packages, monkeypatch, "kokoro_onnx", "phonemizer")
    assert "cueline get kokoro" in choose_engine({}, tmp_path / "elsewhere").why


def test_files_may_be_elsewhere(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(packages, monkeypatch, "piper")
    keep(tmp_path / "mine", "b.onnx", "b.onnx.json")
    assert choose_engine({"CUELINE_PIPER_VOICES": str(tmp_path / "mine")}, tmp_path).engine == "piper,espeak"
