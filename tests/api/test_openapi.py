"""Whatever is sent to whatever route, the answer is one that /openapi.json foretells, and never a failure of ours."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from schemathesis import Case
from schemathesis.config import NotAServerErrorConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.specs.openapi.checks import allow_header_conformance, positive_data_acceptance

from api.main import make_app
from api.settings import Settings
from tests.api.test_clips import humming, upload, wav
from tests.harness import Stack, wait_until

ENDLESS = {"/api/sessions/{session_id}/events", "/api/renders/{render_id}/events", "/api/renders/{render_id}/audio"}
"""Streams that end only when one hangs up, or late: they are asked for what is not there."""
SHADED = {"/api/characters/import"}
"""Could be the address of a character as well, and allows what those allow."""
ANSWER_S = 30
PROJECT = ProjectConfig()
PROJECT.generation.update(max_examples=4, deterministic=True, database="none")
# Nobody listens here, and says so.
PROJECT.checks.not_a_server_error = NotAServerErrorConfig(expected_statuses=["2xx", "3xx", "4xx", "501"])
SCHEMA = schemathesis.openapi.from_dict(
    make_app(Settings()).openapi(), config=SchemathesisConfig(projects=ProjectsConfig(default=PROJECT))
)


class Places:
    """What is there to be asked for, so that not every address leads nowhere."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._known: dict[tuple[str, str], str | int] = {}

    def find(self, method: str, parameter: str) -> str | int:
        """A value for a place in a path; who deletes gets one of their own."""
        key = (method, parameter)
        if key not in self._known or method == "DELETE":
            self._known[key] = self._make(parameter)
        return self._known[key]

    def _make(self, parameter: str) -> str | int:
        if parameter in {"turn", "line"}:
            return 0
        if parameter == "render_id":
            return str(self._stack.post("/api/renders", {"script": "Ava: Something to ask for."})[1]["id"])
        if parameter == "character_id":
            return str(self._stack.post("/api/characters", {"name": uuid.uuid4().hex[:16]})[1]["id"])
        if parameter == "voice_id":
            return str(upload(self._stack, wav(humming(4)))[1]["id"])
        session = str(self._stack.post("/api/sessions")[1]["id"])
        self._stack.post(f"/api/sessions/{session}/messages", {"text": "SAY Something to ask for."})
        path = f"/api/sessions/{session}"
        wait_until(lambda: self._stack.get(path)[1]["messages"][-1]["role"] == "assistant", "a turn")
        return session


@pytest.fixture(scope="module")
def places(stack: Stack) -> Iterator[Places]:
    """And everything that is made here is forgotten in the end."""
    before = _there_is(stack)
    yield Places(stack)
    for path in _there_is(stack) - before:
        stack.request("DELETE", path)


def _there_is(stack: Stack) -> set[str]:
    sessions: list[dict[str, Any]] = stack.get("/api/sessions")[1]
    own = [one for one in stack.get("/api/characters")[1] if one["is_own"]]
    places = {"sessions": sessions, "characters": own, "renders": stack.get("/api/renders")[1]}
    clips = [voice for voice in stack.get("/v1/audio/voices")[1]["voices"] if "ref_text" in voice]
    return {f"/api/{place}/{one['id']}" for place, found in places.items() for one in found} | {
        f"/v1/audio/voices/{one['id']}" for one in clips
    }


@SCHEMA.parametrize()
def test_every_answer_was_foretold(case: Case, stack: Stack, places: Places) -> None:
    path, given = case.operation.path, case.path_parameters or {}
    if path not in ENDLESS and len(repr(given)) % 2:
        case.path_parameters = {parameter: places.find(case.method, parameter) for parameter in given}
    # What can be read need not make sense: a script without words, a cast of nobody.
    excluded = [positive_data_acceptance, *([allow_header_conformance] if path in SHADED else [])]
    case.call_and_validate(base_url=stack.url, timeout=ANSWER_S, excluded_checks=excluded)
