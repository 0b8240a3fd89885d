"""Orders renders and follows them as a client does."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

from tests.fakes import counter_pcm
from tests.harness import Stack, wait_until

Message = dict[str, Any]


def order(stack: Stack, lines: list[str], **fields: Any) -> str:
    """Order lines said by one voice; the render's id."""
    script = [{"speaker": "Ava", "text": text} for text in lines]
    status, answer = stack.post("/api/renders", {"title": "A play", "script": script, **fields})
    assert status == 202, answer
    assert answer["lines"] == len(lines)
    render: str = answer["id"]
    return render


def shown(stack: Stack, render: str) -> Message:
    status, answer = stack.get(f"/api/renders/{render}")
    assert status in {0, 200}, answer
    return answer or {"state": "", "done": 0, "script": []}


def wait_for(stack: Stack, render: str, state: str = "done", timeout_s: float = 60) -> Message:
    found: Message = wait_until(
        lambda: (now := shown(stack, render))["state"] == state and now, f"the render to be {state}", timeout_s
    )
    return found


def line_pcm(stack: Stack, render: str, number: int) -> bytes:
    status, body, _ = stack.request("GET", f"/api/renders/{render}/lines/{number}/audio?format=pcm")
    assert status == 200
    return body


def assert_intact(stack: Stack, render: str, lines: list[str]) -> None:
    """Every line is there, once, and sounds as the engine makes it."""
    whole = shown(stack, render)
    assert [line["line"] for line in whole["script"]] == list(range(len(lines)))
    for number, text in enumerate(lines):
        assert line_pcm(stack, render, number) == counter_pcm(text), f"line {number}"


def follow(stack: Stack, render: str, after: str = "0") -> Iterator[tuple[str, str, Message]]:
    """(id, event, data) of the render's events as they come."""
    request = urllib.request.Request(f"{stack.url}/api/renders/{render}/events", headers={"Last-Event-ID": after})
    with urllib.request.urlopen(request, timeout=30) as answer:
        fields: dict[str, str] = {}
        for raw in answer:
            line = raw.decode().rstrip("\r\n")
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                yield fields.get("id", ""), fields["event"], json.loads(fields["data"])
                fields = {}
