"""What a session is set to: told to all, effective without a restart; and what the server shows of itself."""

from __future__ import annotations

import json

from api.characters import CAST
from tests.fakes import FakeModelServer
from tests.harness import Stack

BAD = [
    {"speed": 3},
    {"speed": 0.1},
    {"speed": "fast"},
    {"voice": "x" * 65},
    {"model": "two words"},
    {"model": "x" * 129},
    {"turn_taking": "never"},
]


async def test_voice_and_speed_count_from_the_next_sentence_and_the_model_from_the_next_turn(
    stack: Stack, model: FakeModelServer
) -> None:
    async with stack.listen() as first:
        session = (await first.until("session"))["session_id"]
        async with stack.listen(session) as second:
            await second.until("session")
            await second.send(type="ping")
            await second.until("pong")
            await first.send(type="chat", text="SAY 150 Before it was set. And this is said after that.")
            await first.until("sentence", sentence=0, state="done")
            await second.send(type="settings", voice="en-us+m7", speed=1.5, model="another/model:x")
            told = {"model": "another/model:x", "voice": "en-us+m7", "speed": 1.5, "turn_taking": ""}
            for client in (first, second):
                message = await client.until("settings")
                assert {name: message[name] for name in told} == told
            await first.until("turn", turn=0, state="ended")
            assert stack.voices()["Before it was set."] == {CAST["ava"].voice.name}
            assert stack.voices()["And this is said after that."] == {"en-us+m7"}
            assert model.asked[-1] == "fake"
            await first.ask("SAY Another one speaks.")
            assert model.asked[-1] == "another/model:x"
            assert stack.get(f"/api/sessions/{session}")[1]["settings"] == told
            # Empty: as if it had never been set.
            status, body, _ = stack.request("PATCH", f"/api/sessions/{session}", {"model": "", "voice": ""})
            assert (status, json.loads(body)["settings"]) == (200, {**told, "model": "", "voice": ""})
            await first.ask("SAY As in the beginning.")
            assert model.asked[-1] == "fake"
            assert stack.voices()["As in the beginning."] == {CAST["ava"].voice.name}


async def test_a_setting_that_makes_no_sense_changes_nothing(stack: Stack) -> None:
    async with stack.listen() as client:
        session = (await client.until("session"))["session_id"]
        before = stack.get(f"/api/sessions/{session}")[1]
        for wanted in BAD:
            status, body, _ = stack.request("PATCH", f"/api/sessions/{session}", wanted)
            assert (status, json.loads(body)["code"]) == (422, "message_invalid"), wanted
            await client.send(type="settings", **wanted)
            assert (await client.until("error"))["code"] == "message_invalid", wanted
        status, body, _ = stack.request("PATCH", f"/api/sessions/{session}", {})
        assert (status, json.loads(body)["code"]) == (400, "message_invalid")
        assert stack.get(f"/api/sessions/{session}")[1] == before


def test_the_server_shows_what_it_is_set_to_and_no_secret(stack: Stack) -> None:
    secrets = {
        "CUELINE_API_KEYS": "hush-api-0123456789abcdef,hush-other-0123456789abcdef",
        "CUELINE_LLM_BASE_URL": "http://hush-user:hush-password@127.0.0.1:1/hush-path/v1",
        "CUELINE_LLM_API_KEY": "hush-llm",
        "CUELINE_LLM_MODEL": "small",
        "CUELINE_LLM_MODELS": "large, vast",
        "CUELINE_ALLOWED_ORIGINS": "https://hush-origin.example",
        "CUELINE_ALLOWED_HOSTS": "hush-host.example",
        "OPENROUTER_API_KEY": "hush-router",
        "OPENAI_API_KEY": "hush-openai",
    }
    guarded = stack.another_api_with(secrets)
    try:
        guarded.wait_until_ready()
        key = {"Authorization": "Bearer hush-api-0123456789abcdef"}
        assert guarded.request("GET", "/api/config")[0] == 401
        status, body, _ = guarded.request("GET", "/api/config", headers=key)
        assert status == 200
        shown = json.loads(body)
        # The stack's Redis has "secret" for its password.
        hidden = ("hush", "secret", "redis:", "http", "127.0.0.1", str(stack.folder))
        assert [word for word in hidden if word in body.decode()] == []
        assert (shown["model"]["name"], shown["model"]["choice"]) == ("small", ["small", "large", "vast"])
        assert shown["engines"] == ["counter"]
        assert (shown["store"], shown["needs_key"]) == ({"kind": "SQLite", "is_down": False}, True)
        assert shown["limits"]["members"] == 8
        session = json.loads(guarded.request("POST", "/api/sessions", {}, key)[1])["id"]
        for model, found in (("vast", 200), ("enormous", 400), ("small", 200)):
            status, body, _ = guarded.request("PATCH", f"/api/sessions/{session}", {"model": model}, key)
            assert status == found
        assert json.loads(body)["settings"]["model"] == "small"
    finally:
        assert guarded.api
        guarded.api.stop()
    assert stack.get("/api/config")[1]["model"] == {
        "name": "fake",
        "decided_by": "CUELINE_LLM_BASE_URL",
        "choice": None,
        "first_token_s": 2.0,
        "stall_s": 1.0,
    }
