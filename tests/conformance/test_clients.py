"""Stock clients, from their registries, pointed at us by base URL alone. The official Python one: test_openai_speech.py
and tests/listening/test_files.py."""

from __future__ import annotations

import hashlib
import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

from tests.fakes import counter_pcm
from tests.harness import ROOT, Stack

HERE = Path(__file__).parent


def run(stack: Stack, program: str, text: str) -> dict[str, Any]:
    argv = ("node", str(HERE / program), f"{stack.url}/v1", text)
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    assert told["sha256"] == hashlib.sha256(counter_pcm(text)).hexdigest()
    return told


def test_the_official_javascript_client_works(stack: Stack) -> None:
    told = run(stack, "openai-client.mjs", f"A sentence for another language {uuid.uuid4().hex[:8]}.")
    assert told["type"] == "audio/pcm"
    assert told["firstBytes"] > 0
    assert {"counter", "tts-1"} <= set(told["models"])
    assert told["refused"] == {"kind": "BadRequestError", "status": 400, "param": "input", "code": "message_invalid"}


def test_a_frameworks_provider_works(stack: Stack) -> None:
    told = run(stack, "ai-sdk.mjs", f"A sentence for a framework {uuid.uuid4().hex[:8]}.")
    assert told["type"] == "audio/wav"
    assert told["refused"] == 400
