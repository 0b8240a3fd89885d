"""The rules of the house that a tool can check: doors, sizes, words."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("contract", "api", "workers", "cli")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

DOORS = {
    "celery": {
        "api/turn/dispatch.py",
        "workers/app.py",
        "workers/guards/broker_guard.py",
        "workers/guards/pool_guard.py",
        "workers/stt/app.py",
        "workers/stt/tasks.py",
        "workers/tasks.py",
    },
    "kombu": {"api/turn/dispatch.py", "workers/guards/broker_guard.py"},
    "redis": {
        "api/streams/",
        "workers/recall/",
        "workers/streams.py",
        "workers/stt/transcript_log.py",
        "cli/redis_server.py",
        "cli/doctor.py",
    },
    "fastapi": {"api/main.py", "api/routes"},
    "sse_starlette": {"api/routes/events.py", "api/routes/rendering/renders.py", "workers/llm/server.py"},
    "openai": {"api/turn/tokens.py", "workers/stt/openai_audio.py", "workers/tts/openai_speech.py"},
    "torch": {
        "workers/llm/local.py",
        "workers/tts/coqui.py",
        "workers/tts/higgs/",
        "workers/tts/higgs_boson/",
        "workers/tts/kyutai.py",
    },
    "boson_multimodal": {"workers/tts/higgs_boson/"},
    "TTS": {"workers/tts/coqui.py"},
    "moshi": {"workers/tts/kyutai.py"},
    "transformers": {"workers/llm/local.py", "workers/tts/higgs/checkpoint.py"},
    "triton": {"workers/tts/higgs/network/kernels.py"},
    "faster_whisper": {"workers/stt/whisper.py"},
    "onnxruntime": {"api/listening/sound/network.py"},
    "soundfile": {"api/listening/decode.py"},
    "supabase": {"api/store/supabase.py"},
    "postgrest": {"api/store/supabase.py"},
    "jwt": {"api/access/users.py"},
    "storage3": {"api/store/bucket.py"},
    "aiosqlite": {"api/store/sqlite.py"},
    "sqlite3": {"api/store/sqlite.py"},
    "espeakng_loader": {"workers/tts/espeak.py"},
    "piper": {"workers/tts/piper.py"},
    "kokoro_onnx": {"workers/tts/kokoro.py"},
    "phonemizer": {"workers/tts/kokoro.py"},
    "soxr": {"workers/pcm.py"},
    "av": {
        "api/casting/clip_file.py",
        "api/encoding/encoder.py",
        "api/render/sound/loudness.py",
        "workers/tempo.py",
    },
    "sentencex": {"api/turn/abbreviations.py"},
}
"""Who may import what is heavy; everybody else asks them."""

VAGUE = {"utils", "util", "common", "helpers", "helper", "core", "services", "managers", "manager", "misc"}


def imports(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {name.name.partition(".")[0] for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return plain | {node.module.partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("library", DOORS)
def test_each_heavy_library_has_one_door(library: str) -> None:
    inside = {name_of(path) for path in MODULES if library in imports(path)}
    assert {name for name in inside if not any(name.startswith(door) for door in DOORS[library])} == set()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_begins_with_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring
    assert len(docstring.splitlines()[0]) <= 117


def test_files_and_folders_can_be_seen_whole() -> None:
    files = [*MODULES, *(ROOT / "frontend/js").rglob("*.js"), *(ROOT / "tests/fakes").glob("*.py")]
    assert {name_of(path): lines for path in files if (lines := len(path.read_text().splitlines())) > 330} == {}
    folders = {path.parent for path in files}
    crowded = {name_of(folder): count for folder in folders if (count := len(list(folder.glob("*.[pj][ys]")))) > 16}
    assert crowded == {}


def test_no_name_is_vague() -> None:
    assert [name_of(path) for path in MODULES if VAGUE & {path.stem, *path.parts}] == []


def test_doubles_live_in_one_place() -> None:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        assert not {"unittest", "mock"} & imports(path), f"{name_of(path)} mocks"
        classes = {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)}
        fakes = {name for name in classes if name.startswith("Fake")}
        assert not fakes or path.parent.name == "fakes", f"{name_of(path)} has {fakes}"


def test_a_key_a_task_or_a_queue_is_named_in_one_place() -> None:
    for path in MODULES:
        if path.parent.name != "contract":
            text = path.read_text()
            for literal in ('"cueline.speak"', '"cueline.transcribe"', '"speech.batch"', '"stt.final"', '"cueline:{'):
                assert literal not in text, f"{name_of(path)} spells out {literal}"
