"""docs/protocol.md tells the truth: what the code says and the page does not is as wrong as the other way round."""

from __future__ import annotations

import re
from pathlib import Path

import api.errors
from api import events
from api.main import make_app
from api.settings import Settings
from contract.errors import CuelineError

PAGE = (Path(__file__).parent.parent / "docs/protocol.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"# {title}\n")[1].split("\n#")[0]


def rows(title: str) -> dict[str, str]:
    """First column's code words → the rest of the row."""
    found = {}
    for line in section(title).splitlines():
        cells = re.split(r"(?<!\\)\|", line)[1:-1]
        for name in re.findall(r"`([^`]+)`", cells[0]) if cells else []:
            found[name] = "|".join(cells[1:])
    return found


def fields(kind: type[events.BaseModel]) -> set[str]:
    return set(kind.model_fields) - {"type"}


def kinds(base: type[events.BaseModel]) -> dict[str, set[str]]:
    return {
        kind.model_fields["type"].annotation.__args__[0]: fields(kind)  # type: ignore[union-attr]
        for kind in base.__subclasses__()
        if "type" in kind.model_fields
    }


def test_every_client_message_is_described_with_its_fields() -> None:
    described = rows("Client → server")
    assert set(described) >= set(kinds(events.ClientMessage)) == {*events.CLIENT_TYPES}
    for kind, names in kinds(events.ClientMessage).items():
        assert {name for name in names if f"`{name}" not in described[kind]} == set(), kind


def test_every_server_message_is_described_with_its_fields() -> None:
    described = rows("Server → client")
    assert set(described) == set(kinds(events.ServerMessage))
    for kind, names in kinds(events.ServerMessage).items():
        untold = names - {"turn", "sentence"}
        assert {name for name in untold if f"`{name}" not in described[kind]} == set(), kind


def test_every_route_is_described_and_no_other() -> None:
    schema = make_app(Settings()).openapi()
    built = {f"{method.upper()} {path}" for path, methods in schema["paths"].items() for method in methods}
    described = {
        f"{method} {path.split('?')[0]}"
        for method, path in re.findall(r"(GET|POST|PUT|PATCH|DELETE) (/[^`\s]*)", section("HTTP"))
    }
    assert described - {"GET /", "GET /openapi.json"} == built


def _codes(kind: type[CuelineError]) -> set[str]:
    return {kind.code} | {code for child in kind.__subclasses__() for code in _codes(child)}


def test_every_error_code_is_described_and_no_other() -> None:
    assert api.errors.ConversationError in CuelineError.__subclasses__()
    assert set(rows("Error codes")) == _codes(CuelineError)
