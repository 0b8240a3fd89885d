"""The doctor says what works here and gives the command that mends the rest; the small commands speak plainly."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from cli.doctor import check_gpu
from tests.cli.runs import Cueline, Start
from tests.harness import TOY_WHISPER


def states(output: str) -> dict[str, str]:
    """`what` → `state` of the table."""
    rows = [line.split("  ") for line in output.partition("\n\n")[0].splitlines()[1:]]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    return {row[0]: row[1] for row in cells}


def test_a_machine_that_can_talk_is_told_so(cueline: Cueline) -> None:
    ended = cueline("doctor", CUELINE_PORT="0", CUELINE_FLOWER_PORT="0")
    assert ended.returncode == 0, ended.stdout
    assert {states(ended.stdout)[what] for what in ("python", "packages", "redis", "engine", "data", "store")} == {"ok"}
    assert ended.stdout.endswith("Ready: `make run` can talk here\n")


def test_what_is_missing_comes_with_what_mends_it(cueline: Cueline) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = cueline("doctor", CUELINE_PORT=str(port), CUELINE_TTS_ENGINE="nobody")
    assert ended.returncode == 1
    found = states(ended.stdout)
    assert (found["engine"], found["port of the api"]) == ("missing", "missing")
    assert "engine: set CUELINE_TTS_ENGINE=espeak" in ended.stdout
    assert "port of the api: stop what uses it, or set CUELINE_PORT" in ended.stdout
    assert "Not ready: engine, port of the api" in ended.stdout


def test_an_engine_that_others_stand_in_for_is_named_with_what_it_lacks(cueline: Cueline) -> None:
    ended = cueline("doctor", CUELINE_PORT="0", CUELINE_FLOWER_PORT="0", CUELINE_TTS_ENGINE="openai_speech,espeak")
    assert ended.returncode == 0, ended.stdout
    assert states(ended.stdout)["engine"] == "optional"
    assert "openai_speech: CUELINE_TTS_BASE_URL" in ended.stdout


def test_a_recognizer_is_tried_and_a_missing_one_comes_with_how_to_get_it(cueline: Cueline) -> None:
    ended = cueline("doctor", CUELINE_PORT="0", CUELINE_FLOWER_PORT="0")
    assert states(ended.stdout)["recognizer"] == "optional"
    assert "recognizer: CUELINE_STT_ENGINE=whisper make run" in ended.stdout
    if find_spec("faster_whisper") is None:
        pytest.skip("NOT TESTED FURTHER: needs the extra whisper (make .venv/.dev installs it)")
    wanted = {"CUELINE_STT_ENGINE": "whisper", "CUELINE_WHISPER_MODEL": str(TOY_WHISPER)}
    ended = cueline("doctor", CUELINE_PORT="0", CUELINE_FLOWER_PORT="0", **wanted)
    assert states(ended.stdout)["recognizer"] == "ok"
    assert "toy-whisper" in ended.stdout


def test_a_turn_model_is_tried(cueline: Cueline) -> None:
    ended = cueline("doctor", CUELINE_PORT="0", CUELINE_FLOWER_PORT="0", CUELINE_TURN_MODEL=__file__)
    assert states(ended.stdout)["turn model"] == "optional"
    assert "unset CUELINE_TURN_MODEL" in ended.stdout
    ended = cueline("doctor", CUELINE_TURN_MODEL="/nowhere/turn.onnx")
    assert states(ended.stdout)["settings"] == "missing"
    assert "CUELINE_TURN_MODEL: there is no file /nowhere/turn.onnx" in ended.stdout


def test_a_default_model_that_its_maker_ends_is_said_to_end_and_one_by_name_is_not(cueline: Cueline) -> None:
    bare = {"CUELINE_PORT": "0", "CUELINE_FLOWER_PORT": "0", "OPENAI_API_KEY": "a-key"}
    assert "name another in CUELINE_LLM_MODEL" in cueline("doctor", **bare).stdout
    named = cueline("doctor", **bare, CUELINE_LLM_MODEL="gpt-6-luna").stdout
    assert "gpt-6-luna at https://api.openai.com/v1 (OPENAI_API_KEY)" in named
    assert "name another" not in named
    assert "a-key" not in named


def test_a_wrong_setting_is_a_finding_of_its_own(cueline: Cueline) -> None:
    ended = cueline("doctor", CUELINE_PROT="1")
    assert ended.returncode == 1
    assert "CUELINE_PROT" in ended.stdout


def test_no_key_is_shown(cueline: Cueline) -> None:
    keys = {name: f"secret-of-{name.lower()}" for name in ("OPENROUTER_API_KEY", "CUELINE_API_KEYS")}
    ended = cueline("doctor", CUELINE_FLOWER_PORT="0", **keys)
    assert "OPENROUTER_API_KEY" in ended.stdout
    assert not [key for key in keys.values() if key in ended.stdout + ended.stderr]


def test_a_running_cueline_is_found(start: Start, cueline: Cueline) -> None:
    running = start()
    running.wait_until_ready()
    port = running.url.rpartition(":")[2]
    ended = cueline("doctor", CUELINE_PORT=port, CUELINE_FLOWER_PORT="0")
    assert ended.returncode == 0, ended.stdout
    assert states(ended.stdout)["running"] == "ok"
    assert f"127.0.0.1:{port} is used by the running Cueline" in ended.stdout


class Voices(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        allowed = self.headers["Authorization"] == "Bearer 0123456789abcdef"
        self.send_response(200 if allowed and self.path == "/api/voices" else 401)
        self.end_headers()
        voice = {"name": "en-gb", "label": "Emma\x1b[2J", "language": "en-gb", "engine": "espeak"}
        self.wfile.write(json.dumps({"voices": [voice]}).encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Voices) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join(5)


def test_voices_are_a_table_that_a_server_cannot_abuse(cueline: Cueline, server: str) -> None:
    ended = cueline("voices", "--url", server, CUELINE_API_KEYS="0123456789abcdef")
    assert ended.returncode == 0, ended.stderr
    head, row = ended.stdout.splitlines()
    assert head.split() == ["name", "label", "language", "gender", "engine"]
    assert row.split() == ["en-gb", "Emma\\x1b[2J", "en-gb", "espeak"]


def test_voices_without_a_server_say_what_to_do(cueline: Cueline) -> None:
    ended = cueline("voices", "--url", "http://127.0.0.1:9")
    assert ended.returncode == 1
    assert "is `cueline up` running?" in ended.stderr


def test_bench_refuses_what_it_does_not_have(cueline: Cueline) -> None:
    assert cueline("bench").returncode == 0
    ended = cueline("bench", "../cli/main")
    assert ended.returncode == 2
    assert "there is no bench/" in ended.stderr


def test_the_version_is_told(cueline: Cueline) -> None:
    assert cueline("--version").stdout.startswith("cueline ")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("NVIDIA H200, 143771, 142000", ["NVIDIA H200", "Higgs could speak 64 sentences at once"]),
        ("RTX 4090, 24564, 24000", ["Higgs could speak", "with CUELINE_HIGGS_INT8=1"]),
        ("RTX 3060, 12288, 11900", ["at once with CUELINE_HIGGS_INT8=1, and not without"]),
        (
            "RTX 2060, 6144, 5900\nTesla, T4, 15360, 15100",
            ["RTX 2060", "too small", "Tesla, T4", "Higgs could"],
        ),
        ("A card, [N/A], [N/A]", ["A card, [N/A] MiB"]),
    ],
)
def test_what_a_card_can_hold_is_told(
    said: str, told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = check_gpu()
    assert found.state == "ok"
    assert [words for words in told if words not in found.detail] == []
