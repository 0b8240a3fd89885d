"""A conversation over HTTP alone: sessions, messages, the mirror, a turn's audio. Who gets in: test_access.py."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import time
import urllib.request
import wave
from pathlib import Path

import av
import pytest
import redis

from api.encoding.formats import FORMATS
from contract import keys
from contract.audio import bytes_to_ms
from tests.conftest import model_env
from tests.fakes import FakeModelServer, counter_pcm
from tests.harness import Stack, wait_until

Event = tuple[str, str, dict[str, object]]


def read_events(
    stack: Stack, session: str, until: str, query: str = "", headers: dict[str, str] | None = None
) -> list[Event]:
    """(id, event, data) of the mirror until an event whose data contains `until`."""
    url = f"{stack.url}/api/sessions/{session}/events{query}"
    found: list[Event] = []
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=20) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["X-Accel-Buffering"] == "no"
        fields: dict[str, str] = {}
        for raw in answer:
            line = raw.decode().rstrip("\r\n")
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                found.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
                if until in fields["data"]:
                    return found
                fields = {}
    return found


def say(stack: Stack, text: str) -> tuple[str, int]:
    status, session = stack.post("/api/sessions")
    assert status == 201
    status, answer = stack.post(f"/api/sessions/{session['id']}/messages", {"text": text})
    assert status == 202
    return session["id"], answer["turn"]


def test_a_turn_is_heard_and_read_without_a_socket(stack: Stack) -> None:
    session, turn = say(stack, "SAY 5 A sentence over HTTP. And a second one.")
    status, body, headers = stack.request("GET", f"/api/sessions/{session}/turns/{turn}/audio?format=pcm")
    assert (status, headers["Content-Type"]) == (200, "audio/pcm")
    events = read_events(stack, session, '"ended"', "?after=0")
    texts = [str(data["text"]) for _, kind, data in events if kind == "sentence" and data["state"] == "queued"]
    assert body == b"".join(counter_pcm(text) for text in texts) != b""
    assert [int(entry.split("-")[0]) for entry, _, _ in events] == list(range(1, len(events) + 1))
    assert all(kind == data["type"] and entry == data["event"] for entry, kind, data in events)


def test_audio_is_streamed_while_it_is_made(stack: Stack) -> None:
    session, turn = say(stack, "SAY 150 The first sentence is here. " + "And more of it follows now. " * 4)
    with urllib.request.urlopen(f"{stack.url}/api/sessions/{session}/turns/{turn}/audio", timeout=20) as answer:
        head = answer.read(44)
        assert answer.read(2000)
        assert stack.get(f"/api/sessions/{session}")[1]["messages"][-1]["role"] == "user", "the reply is not over"
        answer.read()
    assert head[:4] == b"RIFF"


def test_a_finished_turn_is_a_wav_of_known_length_and_replayable(stack: Stack) -> None:
    session, turn = say(stack, "SAY Once more, with feeling. And again.")
    events = read_events(stack, session, '"ended"', "?after=0")
    texts = [str(data["text"]) for _, kind, data in events if kind == "sentence" and data["state"] == "queued"]
    for _ in range(2):
        body = stack.request("GET", f"/api/sessions/{session}/turns/{turn}/audio?format=wav")[1]
        with wave.open(io.BytesIO(body)) as audio:
            assert (audio.getframerate(), audio.getnchannels(), audio.getsampwidth()) == (24000, 1, 2)
            assert audio.readframes(audio.getnframes()) == b"".join(counter_pcm(text) for text in texts)


def test_a_turn_can_be_had_in_every_format_that_a_player_knows(stack: Stack) -> None:
    session, turn = say(stack, "SAY One voice, in many coats.")
    whole_ms = bytes_to_ms(len(stack.request("GET", f"/api/sessions/{session}/turns/{turn}/audio?format=pcm")[1]))
    for name in ("mp3", "flac", "opus", "aac"):
        status, body, headers = stack.request("GET", f"/api/sessions/{session}/turns/{turn}/audio?format={name}")
        assert (status, headers["Content-Type"]) == (200, FORMATS[name].media_type)
        with av.open(io.BytesIO(body)) as container:
            frames = list(container.decode(audio=0))
            length_ms = sum(frame.samples for frame in frames) * 1000 / frames[0].sample_rate
        assert -1 <= length_ms - whole_ms < 90, name


def test_a_compressed_turn_is_streamed_while_it_is_made(stack: Stack) -> None:
    session, turn = say(stack, "SAY 150 The first sentence is here. " + "And more of it follows now. " * 4)
    path = f"{stack.url}/api/sessions/{session}/turns/{turn}/audio?format=mp3"
    with urllib.request.urlopen(path, timeout=20) as answer:
        assert answer.read(2000)
        assert stack.get(f"/api/sessions/{session}")[1]["messages"][-1]["role"] == "user", "the reply is not over"
        answer.read()


def test_the_mirror_resumes_after_the_last_event_with_nothing_lost_and_nothing_twice(stack: Stack) -> None:
    session, _ = say(stack, "SAY One thing after another. And then a third.")
    whole = read_events(stack, session, '"ended"', "?after=0")
    half = whole[len(whole) // 2][0]
    rest = read_events(stack, session, '"ended"', headers={"Last-Event-ID": half})
    assert whole[: len(whole) // 2 + 1] + rest == whole


def test_what_the_mirror_has_lost_in_its_midst_is_a_gap_and_numbers_never_used_are_none(stack: Stack) -> None:
    session, _ = say(stack, "SAY One thing after another. And then a third.")
    whole = read_events(stack, session, '"idle"', "?after=0")
    with redis.Redis.from_url(stack.redis_url) as admin:
        last = int(whole[-1][0].partition("-")[0])
        for number in (last + 6000, last + 6001):  # as whoever takes a session over goes on
            admin.xadd(keys.events(session), {"d": json.dumps({**whole[-1][2], "later": number})}, id=f"{number}-0")
        admin.xdel(keys.events(session), whole[3][0], whole[4][0])
    left = read_events(stack, session, f'"later": {last + 6001}', "?after=0")
    kinds = [(entry, kind) for entry, kind, _ in left]
    before, after = ([(entry, kind) for entry, kind, _ in part] for part in (whole[:3], whole[5:]))
    assert kinds[:-2] == [*before, ("", "gap"), *after]
    assert [kind for _, kind in kinds[-2:]] == ["status", "status"]


@pytest.mark.parametrize(("had", "gaps"), [(1, 1), (2, 1), (3, 1), (4, 0), (5, 0)])
async def test_what_is_lost_right_behind_what_one_has_is_a_gap_too(stack: Stack, had: int, gaps: int) -> None:
    session, _ = await asyncio.to_thread(say, stack, "SAY One thing after another. And then a third.")
    whole = await asyncio.to_thread(read_events, stack, session, '"idle"', "?after=0")
    with redis.Redis.from_url(stack.redis_url) as admin:
        admin.xdel(keys.events(session), whole[3][0], whole[4][0])
    left = await asyncio.to_thread(read_events, stack, session, '"idle"', f"?after={whole[had][0]}")
    assert [kind for _, kind, _ in left].count("gap") == gaps
    async with stack.listen(session) as client:
        await client.send(type="resume", event=whole[had][0])
        await client.until("status", status="idle")
        assert len(client.messages("gap", what="messages")) == gaps


def test_the_mirror_says_something_every_fifteen_seconds(stack: Stack) -> None:
    session, _ = say(stack, "SAY Then silence.")
    read_events(stack, session, '"ended"', "?after=0")
    started = time.monotonic()
    with urllib.request.urlopen(f"{stack.url}/api/sessions/{session}/events?after=100000", timeout=16) as answer:
        assert answer.readline().startswith(b":")
    assert time.monotonic() - started < 15


async def test_the_socket_and_the_mirror_say_the_same(stack: Stack) -> None:
    async with stack.listen() as client:
        await client.ask("SAY The same on both ways.")
        session = client.messages("session")[0]["session_id"]
        last = client.messages("turn", state="ended")[0]["event"]
    events = await asyncio.to_thread(read_events, stack, session, f'"event":"{last}"', "?after=0")
    assert [data for _, _, data in events] == [m for m in client.messages() if "event" in m]


def test_sessions_are_made_listed_shown_and_forgotten(stack: Stack) -> None:
    session, _ = say(stack, "SAY Hello to you.")
    read_events(stack, session, '"ended"', "?after=0")
    assert session in {entry["id"] for entry in stack.get("/api/sessions")[1]}
    shown = wait_until(lambda: len((s := stack.get(f"/api/sessions/{session}")[1])["messages"]) == 2 and s, "history")
    assert [m["text"] for m in shown["messages"]] == ["SAY Hello to you.", "Hello to you."]
    assert stack.request("DELETE", f"/api/sessions/{session}")[0] == 204
    assert stack.get(f"/api/sessions/{session}")[0] == 404


def test_a_session_outlives_the_api_that_made_it(tmp_path: Path, model: FakeModelServer) -> None:
    stack = Stack(tmp_path, env=model_env(model)).start(workers=1)
    try:
        session, turn = say(stack, "SAY This will still be here.")
        read_events(stack, session, '"ended"', "?after=0")
        before = stack.request("GET", f"/api/sessions/{session}/turns/{turn}/audio")[1]
        assert stack.api
        stack.api.kill()
        stack.start_api()
        stack.wait_until_ready()
        assert stack.request("GET", f"/api/sessions/{session}/turns/{turn}/audio")[1] == before
        assert stack.post(f"/api/sessions/{session}/messages", {"text": "SAY And on we go."})[1] == {"turn": 1}
        events = read_events(stack, session, '"turn":1,"state":"ended"', "?after=0")
        numbers = [int(entry.split("-")[0]) for entry, _, _ in events]
        assert numbers == sorted(set(numbers))
        assert [m["content"] for m in model.prompts[-1]][1:] == [
            "SAY This will still be here.",
            "This will still be here.",
            "SAY And on we go.",
        ]
    finally:
        stack.stop()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/api/sessions/nobody-knows-me", None, 404, "session_unknown"),
        ("POST", "/api/sessions/nobody-knows-me/messages", {"text": "x"}, 404, "session_unknown"),
        ("GET", "/api/sessions/nobody-knows-me/events", None, 404, "session_unknown"),
        ("GET", "/api/sessions/{id}/turns/0/audio", None, 404, "turn_unknown"),
        ("GET", "/api/sessions/{id}/turns/0/audio?format=ogg", None, 400, "format_unknown"),
        ("GET", "/api/sessions/{id}/turns/x/audio", None, 422, "message_invalid"),
        ("GET", "/api/sessions/{id}/events?after=yesterday", None, 400, "message_invalid"),
        ("POST", "/api/sessions/{id}/messages", {"text": ""}, 400, "text_empty"),
        ("POST", "/api/sessions/{id}/messages", {"text": "x" * 5000}, 400, "text_too_long"),
        ("POST", "/api/sessions/{id}/messages", {"text": "a\u0000"}, 400, "text_invalid"),
        ("POST", "/api/sessions/{id}/messages", {"text": "\ud83d"}, 400, "text_invalid"),
        ("POST", "/api/sessions/{id}/messages", {}, 422, "message_invalid"),
        ("POST", "/api/sessions/{id}/messages", {"text": "x", "character": "nobody"}, 404, "character_unknown"),
        ("POST", "/api/sessions", {"character": "nobody"}, 404, "character_unknown"),
        ("GET", "/api/characters/nobody", None, 404, "character_unknown"),
    ],
)
def test_a_bad_request_gets_its_code_and_a_sentence(
    stack: Stack, method: str, path: str, body: object, status: int, code: str
) -> None:
    session = stack.post("/api/sessions")[1]["id"]
    got, answer, _ = stack.request(method, path.replace("{id}", session), body)
    assert (got, json.loads(answer)["code"]) == (status, code)
    assert json.loads(answer)["message"].endswith(".")


def test_a_body_over_the_limit_is_refused(stack: Stack) -> None:
    """Before it is read: only the length is told here, and no byte of the body is sent."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=5)
    connection.putrequest("POST", "/api/sessions")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", "2000000")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_the_cast_and_the_voices_of_the_workers_can_be_chosen(stack: Stack) -> None:
    assert {"ava", "ben", "cleo"} <= {character["id"] for character in stack.get("/api/characters")[1]}
    assert stack.get("/api/voices")[1] == [
        {"name": "default", "label": "Counter", "language": "en-us", "gender": "", "engine": "counter"}
    ]


def test_the_page_and_every_answer_carry_a_strict_policy(stack: Stack) -> None:
    for path in ("/", "/healthz", "/api/sessions/nobody-knows-me"):
        _, _, headers = stack.request("GET", path)
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Access-Control-Allow-Origin"] is None


def test_a_foreign_host_name_is_not_answered(stack: Stack) -> None:
    assert stack.request("GET", "/healthz", headers={"Host": "evil.example"})[0] == 400


def test_metrics_count_sentences_and_name_no_session(stack: Stack) -> None:
    session, _ = say(stack, "SAY Count this one.")
    read_events(stack, session, '"ended"', "?after=0")
    text = stack.request("GET", "/metrics")[1].decode()
    assert 'cueline_sentences_total{state="done"}' in text
    assert "cueline_first_audio_seconds_bucket" in text
    assert session not in text


def test_readyz_says_what_is_missing(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    try:
        stack.start_redis()
        stack.start_api()
        wait_until(lambda: stack.get("/healthz")[0] == 200, "the api")
        status, answer = stack.get("/readyz")
        assert (status, "worker" in answer["reason"]) == (503, True)
    finally:
        stack.stop()


def test_readyz_names_each_engine_and_how_it_is(stack: Stack) -> None:
    wait_until(lambda: stack.get("/readyz")[0] == 200, "a worker")
    assert stack.get("/readyz")[1]["engines"] == {"counter": "ok"}


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"CUELINE_HOST": "0.0.0.0"}, "CUELINE_API_KEYS"),
        ({"CUELINE_HOTS": "127.0.0.1"}, "CUELINE_HOTS"),
        ({"CUELINE_LLM_STALL_S": "soon"}, "CUELINE_LLM_STALL_S"),
        ({"CUELINE_API_KEYS": "short"}, "CUELINE_API_KEYS"),
        ({"CUELINE_REDIS_URL": "http://x"}, "CUELINE_REDIS_URL"),
        ({"CUELINE_LLM_BASE_URL": "localhost:11434"}, "CUELINE_LLM_BASE_URL"),
    ],
)
def test_a_setting_that_makes_no_sense_stops_the_start_with_one_line(
    tmp_path: Path, env: dict[str, str], named: str
) -> None:
    stack = Stack(tmp_path)
    stack.start_api(env)
    assert stack.api
    assert stack.api.popen.wait(20) == 2
    lines = (tmp_path / "api.log").read_text().strip().splitlines()
    assert len(lines) == 1
    assert named in lines[0]


def test_a_broker_that_is_away_costs_an_error_and_no_hanging(tmp_path: Path, model: FakeModelServer) -> None:
    stack = Stack(tmp_path, env=model_env(model)).start(workers=1)
    try:
        session, _ = say(stack, "SAY All is well here.")
        read_events(stack, session, '"ended"', "?after=0")
        assert stack.redis
        stack.redis.kill()
        started = time.monotonic()
        assert stack.request("POST", "/api/sessions", {})[0] == 503
        assert stack.request("GET", "/readyz")[0] == 503
        assert stack.request("GET", "/healthz")[0] == 200
        assert time.monotonic() - started < 8
    finally:
        stack.stop()


def test_every_refusal_has_a_code_and_a_sentence(stack: Stack) -> None:
    for method, path in (("GET", "/api/nope"), ("PUT", "/api/sessions"), ("GET", "/nope.html")):
        status, body, _ = stack.request(method, path)
        assert status in {404, 405}
        assert json.loads(body)["code"] == "route_unknown"
