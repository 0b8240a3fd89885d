"""A script is taken as a file, in every form that there is; what is none, or too large, is refused with a reason."""

from __future__ import annotations

import http.client
import json
from typing import Any

import httpx
import pytest

from api.render.reading import epub as epubs
from tests.api.render.test_books import book
from tests.harness import ROOT, Stack
from tests.render import asking

GOLDEN = ROOT / "tests/golden/scripts"
EPUB = book("<body><h1>The Pier</h1><p>It was early.</p><p>Nobody was there.</p></body>")
SRT = b"1\n00:00:01,000 --> 00:00:02,000\nAVA: Good morning.\n\n2\n00:00:03,000 --> 00:00:04,000\nBEN: Is it?\n"
FILES = {
    "book.epub": (EPUB, ["Narrator"]),
    "talk.srt": (SRT, ["AVA", "BEN"]),
    **{name: ((GOLDEN / name).read_bytes(), None) for name in ("harbour.fountain", "harbour.md", "harbour.txt")},
}


def send(stack: Stack, path: str, name: str, data: bytes, **fields: Any) -> tuple[int, Any]:
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in fields.items()}
    answer = httpx.post(f"{stack.url}{path}", data=texts, files={"script": (name, data)}, timeout=20)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_and_rendered(stack: Stack, name: str) -> None:
    data, speakers = FILES[name]
    status, read = send(stack, "/api/scripts", name, data)
    assert status == 200, read
    assert read["speakers"] == (speakers or read["speakers"])
    assert read["title"]
    cast = dict.fromkeys(read["speakers"], "ava")
    status, made = send(stack, "/api/renders", name, data, cast=cast, gap_ms=100, title="Mine")
    assert status == 202, made
    assert (made["lines"], made["title"]) == (len(read["lines"]), "Mine")
    whole = asking.wait_for(stack, made["id"])
    assert [line["text"] for line in whole["script"]] == [line["text"] for line in read["lines"]]
    assert whole["settings"] == {"gap_ms": 100}
    # What was read is what can be sent as a list.
    status, again = stack.post("/api/renders", {"script": read["lines"], "cast": cast})
    assert (status, again["lines"]) == (202, made["lines"])
    for render in (made, again):
        stack.request("DELETE", f"/api/renders/{render['id']}")


@pytest.mark.parametrize(
    ("name", "data", "fields", "expected"),
    [
        ("play.txt", b"", {}, (400, "script_empty")),
        ("play.txt", b"\x7fELF\x00\x01", {}, (400, "script_invalid")),
        ("book.epub", b"PK\x03\x04 and no more", {}, (400, "script_invalid")),
        ("play.txt", b"AVA: Hello.", {"kind": "opera"}, (400, "format_unknown")),
        ("play.txt", b"AVA: Hello.", {"tempo": 7}, (422, "message_invalid")),
        ("play.txt", b"AVA: Hello.", {"gap_ms": "not JSON"}, (400, "message_invalid")),
        ("play.txt", b"AVA: Hello.\nSOMEBODY: Who am I?", {"cast": {"AVA": "ava"}}, (400, "cast_unknown")),
    ],
)
def test_what_is_no_script_is_refused_and_nothing_is_kept(
    stack: Stack, name: str, data: bytes, fields: dict[str, Any], expected: tuple[int, str]
) -> None:
    before = stack.get("/api/renders")
    status, answer = send(stack, "/api/renders", name, data, **fields)
    assert (status, answer["code"]) == expected, answer
    assert stack.get("/api/renders") == before


@pytest.mark.parametrize("path", ["/api/renders", "/api/scripts"])
def test_what_is_too_large_is_refused_before_it_is_read(stack: Stack, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=10)
    connection.putrequest("POST", path)
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", str(2 * epubs.MAX_BYTES))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    connection.close()
    status, refusal = send(stack, path, "long.txt", b"AVA: Hello there, my friend.\n" * 900_000)
    assert (status, refusal["code"]) == (413, "script_too_long")


def test_a_form_of_another_page_is_not_taken(stack: Stack) -> None:
    for origin, expected in (("http://evil.example", 401), (stack.url, 200)):
        files = {"script": ("play.txt", b"AVA: Hello.")}
        answer = httpx.post(f"{stack.url}/api/scripts", files=files, headers={"Origin": origin})
        assert answer.status_code == expected
    answer = httpx.post(f"{stack.url}/api/renders", content=b'{"script": "AVA: Hi."}')
    assert answer.status_code == 400, "nor one that is dressed as text"
