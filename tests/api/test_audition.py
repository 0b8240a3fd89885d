"""A voice that is tried: one sentence, streamed, outside any session; whoever goes away stops it."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest

from tests.fakes import counter_pcm
from tests.harness import Stack, wait_until


def preview(stack: Stack, text: str, **voice: Any) -> tuple[int, bytes, Any]:
    return stack.request("POST", "/api/voices/preview", {"text": text, "voice": voice})


def test_a_sentence_is_heard_in_a_voice_and_nothing_is_left_of_it(stack: Stack) -> None:
    status, body, headers = preview(stack, "**How** do I sound?", name="default", rate=1.2)
    assert (status, headers["content-type"]) == (200, "audio/wav")
    assert body[:4] == b"RIFF"
    assert body[44:] == counter_pcm("How do I sound?")
    wait_until(lambda: struck(stack), "its sound to be forgotten")


@pytest.mark.parametrize(
    ("text", "voice", "status", "code"),
    [
        ("Hello.", {"name": "nobody"}, 422, "voice_unknown"),
        ("***", {}, 422, "text_unspeakable"),
        ("Please explode.", {}, 503, "engine_failed"),
        ("", {}, 422, "message_invalid"),
        ("x" * 201, {}, 422, "message_invalid"),
        ("Hello.", {"rate": 9}, 422, "message_invalid"),
    ],
)
def test_what_cannot_be_heard_is_told(stack: Stack, text: str, voice: dict[str, Any], status: int, code: str) -> None:
    answered, body, _ = preview(stack, text, **voice)
    assert answered == status
    assert f'"code":"{code}"'.encode() in body


def test_who_goes_away_stops_it(stack: Stack) -> None:
    request = urllib.request.Request(
        stack.url + "/api/voices/preview",
        b'{"text": "This goes on slowly and has a great many words, so that it lasts for quite a while here."}',
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.read(100)

    wait_until(lambda: struck(stack), "the voice to stop")


def struck(stack: Stack) -> bool:
    """Only the mark is left that nobody may write any more."""
    return {stack.stream_length(key) for key in stack.redis_keys("cueline:{audition-*")} <= {1}
