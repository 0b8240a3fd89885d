"""Which engine speaks where nobody has chosen one: the best whose package and files are here. Not: any engine.

A look at names, which costs nothing; whether it speaks indeed is found out by `cueline doctor`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

PLAIN = "espeak"
"""Is always there, and stands in for the others."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine, and why it is that one."""

    engine: str
    """As CUELINE_TTS_ENGINE says it."""
    why: str


def choose_engine(env: Mapping[str, str], data_dir: Path) -> Choice:
    """What is set, else the best that is here."""
    if chosen := env.get("CUELINE_TTS_ENGINE"):
        return Choice(chosen, "CUELINE_TTS_ENGINE says so")
    lacks = []
    for name, (packages, has_files) in _BETTER.items():
        absent = [package for package in packages if find_spec(package) is None]
        if has_files(env, data_dir) and not absent:
            return Choice(f"{name},{PLAIN}", f"{name} is here; {PLAIN} stands in for it")
        if has_files(env, data_dir):
            lacks.append(f"{name}'s files are here, its package is not: CUELINE_TTS_ENGINE={name} make run installs it")
        elif not absent:
            lacks.append(f"{name}'s package is here, its files are not: cueline get {name}")
    return Choice(PLAIN, "; ".join(lacks) or "nothing better is here: cueline get kokoro")


def local_model_problem(env: Mapping[str, str], data_dir: Path) -> str:
    """What our own language model lacks, and how to mend it; nothing where it could answer."""
    if absent := [package for package in ("torch", "transformers") if find_spec(package) is None]:
        return f"{' and '.join(absent)} is not installed: CUELINE_LLM=local make run installs it"
    folder = Path(env.get("CUELINE_SMOLLM2") or data_dir / "smollm2").expanduser()
    return "" if (folder / "config.json").is_file() else f"there is no model in {folder}: cueline get smollm2"


def _has_kokoro(env: Mapping[str, str], data_dir: Path) -> bool:
    folder = data_dir / "kokoro"
    model = Path(env.get("CUELINE_KOKORO_MODEL") or folder / "kokoro-v1.0.onnx").expanduser()
    voices = Path(env.get("CUELINE_KOKORO_VOICES") or folder / "voices-v1.0.bin").expanduser()
    return model.is_file() and voices.is_file()


def _has_piper(env: Mapping[str, str], data_dir: Path) -> bool:
    folder = Path(env.get("CUELINE_PIPER_VOICES") or data_dir / "piper").expanduser()
    return any(Path(f"{network}.json").is_file() for network in folder.glob("*.onnx"))


_BETTER: dict[str, tuple[tuple[str, ...], Callable[[Mapping[str, str], Path], bool]]] = {
    "kokoro": (("kokoro_onnx", "phonemizer"), _has_kokoro),
    "piper": (("piper",), _has_piper),
}
"""The best first: packages, and whether its files are here."""
