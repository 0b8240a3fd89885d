"""Who gets in, and to what: every route and socket × the owner, another, a guest and nobody; tickets and links."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis import Redis
from starlette.routing import Mount, WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as sync_connect

from api.access.access import Access, Asker
from api.errors import AccessDenied
from api.main import make_app
from api.settings import Settings
from api.streams import Streams
from contract import keys
from tests.api.test_clips import humming, say, upload, wav
from tests.conftest import model_env
from tests.fakes import FakeModelServer
from tests.harness import Client, Stack, wait_until
from tests.test_laws import expected_pcm

KEY, OTHER = "a-key-that-is-long-enough", "another-key-of-some-length"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, model: FakeModelServer) -> Iterator[Stack]:
    """A stack that asks for keys."""
    running = Stack(tmp_path_factory.mktemp("locked"), env=model_env(model) | {"CUELINE_API_KEYS": f"{KEY},{OTHER}"})
    try:
        yield running.start(workers=1)
    finally:
        running.stop()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("headers", [{}, bearer("wrong-key-of-some-length"), bearer(""), {"Authorization": KEY}])
@pytest.mark.parametrize(
    "path", ["/api/sessions", "/api/characters", "/api/voices", "/api/sessions/nobody-knows-me/events"]
)
def test_without_a_key_nothing_is_told(locked: Stack, path: str, headers: dict[str, str]) -> None:
    status, _, answer = locked.request("GET", path, headers=headers)
    assert (status, answer["WWW-Authenticate"]) == (401, "Bearer")


MINE, THEIRS, NOBODY, GUEST = "owner", "other", "nobody", "guest"
Row = tuple[dict[str, int], object]


def row(mine: int, theirs: int, guest: int = 401, nobody: int = 401, body: object = None) -> Row:
    """The answers to the owner, to another, to who came by the owner's link, and to nobody."""
    return {MINE: mine, THEIRS: theirs, GUEST: guest, NOBODY: nobody}, body


CHARACTER = {"name": "Maud"}
SCRIPT = {"script": "ANN: Hear this.", "cast": {"ANN": "default"}}
ONE = "/api/sessions/{session_id}"
ROUTES: dict[str, Row] = {
    # For everybody.
    "GET /healthz": row(200, 200, 200, 200),
    "GET /health": row(200, 200, 200, 200),
    "GET /readyz": row(200, 200, 200, 200),
    "GET /openapi.json": row(200, 200, 200, 200),
    "GET /": row(200, 200, 200, 200),
    # For everybody who has a right to be here, each their own.
    "GET /metrics": row(200, 200),
    "GET /api/voices": row(200, 200),
    "POST /api/voices/preview": row(200, 200, body={"text": "Hear me."}),
    "GET /api/sessions": row(200, 200),
    "POST /api/sessions": row(201, 201, body={}),
    "GET /api/characters": row(200, 200),
    "POST /api/characters": row(201, 201, body=CHARACTER),
    "POST /api/characters/import": row(201, 201, body={"spec": "chara_card_v2", "data": {"name": "Maud"}}),
    "POST /api/tickets": row(200, 200),
    "GET /api/config": row(200, 200),
    "GET /api/usage": row(200, 200),
    "GET /v1/models": row(200, 200),
    "GET /v1/audio/models": row(200, 200),
    "GET /v1/audio/voices": row(200, 200),
    "POST /v1/audio/speech": row(200, 200, body={"model": "tts-1", "input": "Hear me.", "response_format": "pcm"}),
    "POST /v1/audio/transcriptions": row(400, 400),
    "POST /v1/audio/voices": row(400, 400),
    "WS /v1/audio/speech/stream": row(101, 101),
    # For the owner of the session.
    f"GET {ONE}": row(200, 404),
    f"PATCH {ONE}": row(200, 404, body={"title": "Mine"}),
    f"PUT {ONE}/cast": row(200, 404, body={"characters": ["ava", "ben"]}),
    f"GET {ONE}/transcript": row(200, 404),
    f"POST {ONE}/messages": row(202, 404, body={"text": "SAY And more."}),
    f"GET {ONE}/turns/{{turn}}/audio": row(200, 404, guest=200),
    f"GET {ONE}/events": row(200, 404, guest=200),
    f"POST {ONE}/share": row(201, 404),
    f"DELETE {ONE}/share": row(204, 404),
    f"DELETE {ONE}": row(204, 404),
    "WS /ws": row(101, 101),
    "WS /ws?session={session_id}": row(101, 404, guest=101),
    # For the owner of the character.
    "GET /api/characters/{character_id}": row(200, 404),
    "GET /api/characters/{character_id}/export": row(200, 404),
    "PUT /api/characters/{character_id}": row(200, 404, body={"name": "Maud the second"}),
    "DELETE /api/characters/{character_id}": row(204, 404),
    # For the owner of the recording.
    "DELETE /v1/audio/voices/{voice_id}": row(200, 404),
    # For the owner of the render.
    "GET /api/renders": row(200, 200),
    "POST /api/scripts": row(400, 400),
    "POST /api/renders": row(202, 202, body=SCRIPT),
    "GET /api/renders/{render_id}": row(200, 404),
    "GET /api/renders/{render_id}/audio": row(200, 404),
    "GET /api/renders/{render_id}/events": row(200, 404),
    "GET /api/renders/{render_id}/manifest": row(200, 404),
    "GET /api/renders/{render_id}/subtitles.{wanted}": row(200, 404),
    "GET /api/renders/{render_id}/zip": row(200, 404),
    "GET /api/renders/{render_id}/lines/{line}/audio": row(200, 404),
    "PUT /api/renders/{render_id}/lines/{line}": row(202, 404, body={"text": "Hear that."}),
    "POST /api/renders/{render_id}/cancel": row(200, 404),
    "POST /api/renders/{render_id}/retry": row(202, 404),
    "DELETE /api/renders/{render_id}": row(204, 404),
}
"""Every route and socket, and what it answers to whom. A route that has no row here fails the test below."""


def built(router: Any) -> set[str]:
    """Every route of an app, also of the routers in it."""
    found: set[str] = set()
    for route in router.routes:
        if inner := getattr(route, "original_router", None):
            found |= built(inner)
        elif isinstance(route, WebSocketRoute):
            found.add(f"WS {route.path}")
        elif isinstance(route, Mount):
            found.add(f"GET {route.path}/")
        else:
            found |= {f"{method} {route.path}" for method in route.methods - {"HEAD"}}
    return found


def test_every_route_says_whose_it_is() -> None:
    assert built(make_app(Settings())) == {name.partition("?")[0] for name in ROUTES}


@pytest.fixture(scope="module")
def spoken(locked: Stack) -> dict[str, Any]:
    """A session of the owner's with a turn, a render, and what there is to ask for with it."""
    made = json.loads(locked.request("POST", "/api/sessions", {}, bearer(KEY))[1])
    url = f"/api/sessions/{made['id']}"
    locked.request("POST", f"{url}/messages", {"text": "SAY Private."}, bearer(KEY))
    assert locked.request("GET", f"{url}/turns/0/audio", headers=bearer(KEY))[0] == 200
    render = json.loads(locked.request("POST", "/api/renders", SCRIPT, bearer(KEY))[1])["id"]
    path = f"/api/renders/{render}/lines/0/audio"
    wait_until(lambda: locked.request("GET", path, headers=bearer(KEY))[0] == 200, "a render")
    return {"session_id": made["id"], "turn": 0, "render_id": render, "line": 0, "wanted": "srt"}


@pytest.mark.parametrize("name", ROUTES)
def test_each_route_answers_the_owner_the_other_the_guest_and_nobody(
    locked: Stack, spoken: dict[str, Any], name: str
) -> None:
    expected, body = ROUTES[name]
    places = dict(spoken)
    if name == f"DELETE {ONE}":
        places["session_id"] = json.loads(locked.request("POST", "/api/sessions", {}, bearer(KEY))[1])["id"]
    if "{character_id}" in name:
        made = {"name": f"Maud {secrets.token_hex(4)}"}
        places["character_id"] = json.loads(locked.request("POST", "/api/characters", made, bearer(KEY))[1])["id"]
    if "{voice_id}" in name:
        places["voice_id"] = upload(locked, wav(humming(4)), KEY)[1]["id"]
    if isinstance(body, dict) and "name" in body:
        body = {"name": f"{body['name']} {secrets.token_hex(4)}"}
    link = locked.request("POST", f"/api/sessions/{places['session_id']}/share", {}, bearer(KEY))[1]
    method, path = name.format(**places).split(" ")
    with_link = f"{path}{'&' if '?' in path else '?'}share={json.loads(link)['token']}"
    # The owner last: afterwards it may be gone.
    answers = {
        NOBODY: status(locked, method, path, body),
        GUEST: status(locked, method, with_link, body),
        THEIRS: status(locked, method, path, body, OTHER),
        MINE: status(locked, method, path, body, KEY),
    }
    if name == "WS /ws":
        expected = {**expected, GUEST: 404}  # a link opens its own session only
    assert answers == expected


def status(stack: Stack, method: str, path: str, body: object, key: str = "") -> int:
    """Of an answer, without waiting for its end. Of a socket 101 when it is open and stays so."""
    headers = bearer(key) if key else {}
    if method == "WS":
        return socket_status(f"ws://127.0.0.1:{stack.port}{path}", headers)
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=20)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(
            method, path, content, headers | {"Content-Type": "application/json"} if content else headers
        )
        return connection.getresponse().status
    finally:
        connection.close()


def socket_status(url: str, headers: dict[str, str]) -> int:
    try:
        with sync_connect(url, additional_headers=headers, close_timeout=1) as socket:
            if "/ws" not in url:
                return 101  # here the client speaks first
            first = json.loads(socket.recv(10))
            return {"session": 101, "error": 404}[first["type"]]
    except InvalidStatus as denied:
        return denied.response.status_code


def test_what_is_listed_and_found_is_ones_own(locked: Stack, spoken: dict[str, Any]) -> None:
    for query in ("", "?search=Private"):
        found = {
            key: {one["id"] for one in json.loads(locked.request("GET", f"/api/sessions{query}", None, bearer(key))[1])}
            for key in (KEY, OTHER)
        }
        assert spoken["session_id"] in found[KEY]
        assert not found[KEY] & found[OTHER]
    made = json.loads(locked.request("POST", "/api/renders", SCRIPT, bearer(KEY))[1])["id"]
    renders = [json.loads(locked.request("GET", "/api/renders", None, bearer(key))[1]) for key in (KEY, OTHER)]
    mine, theirs = ({one["id"] for one in found} for found in renders)
    assert made in mine - theirs


def test_who_is_spoken_like_is_one_s_own(locked: Stack) -> None:
    mine = upload(locked, wav(humming(4)), KEY)[1]
    assert [say(locked, mine["id"], key=key).status_code for key in (KEY, OTHER)] == [200, 400]
    for name in (mine["id"], mine["name"]):
        assert say(locked, name, "Now it is with the workers.", OTHER).content != say(locked, name, key=KEY).content
    listed = {key: locked.request("GET", "/v1/audio/voices", None, bearer(key))[1].decode() for key in (KEY, OTHER)}
    assert mine["id"] in listed[KEY]
    assert mine["id"] not in listed[OTHER]
    theirs = json.dumps({"text": "Hear me.", "voice": {"anchor": mine["id"]}})
    assert status(locked, "POST", "/api/voices/preview", json.loads(theirs), OTHER) == 422


def test_a_link_to_a_session_leads_to_nothing_else_of_its_owner(locked: Stack, spoken: dict[str, Any]) -> None:
    link = json.loads(locked.request("POST", f"/api/sessions/{spoken['session_id']}/share", {}, bearer(KEY))[1])
    query = f"?session_id={spoken['session_id']}&session={spoken['session_id']}&share={link['token']}"
    for path in (f"/api/renders/{spoken['render_id']}/events", f"/api/renders/{spoken['render_id']}", "/api/sessions"):
        assert status(locked, "GET", path + query, None) == 401


async def test_a_ticket_opens_one_socket_once(locked: Stack) -> None:
    _, body, _ = await asyncio.to_thread(locked.request, "POST", "/api/tickets", {}, bearer(KEY))
    url = f"{locked.ws_url}?ticket={json.loads(body)['ticket']}"
    async with connect(url) as socket:
        assert json.loads(await socket.recv())["type"] == "session"
    for refused in (url, locked.ws_url, locked.ws_url + "?ticket=guess"):
        with pytest.raises(InvalidStatus) as denied:
            async with connect(refused):
                pass
        assert denied.value.response.status_code == 401


async def test_a_program_uses_its_key_on_the_socket(locked: Stack) -> None:
    async with locked.listen(additional_headers=bearer(KEY)) as client:
        turn = await client.ask("SAY Come in.")
        assert client.pcm(turn) == expected_pcm(client, turn)


def test_no_secret_is_written_to_a_log(locked: Stack) -> None:
    locked.request("GET", "/api/sessions", headers=bearer(KEY))
    _, body, _ = locked.request("POST", "/api/tickets", {}, bearer(KEY))
    ticket = json.loads(body)["ticket"]
    session = json.loads(locked.request("POST", "/api/sessions", {}, bearer(KEY))[1])["id"]
    locked.request("GET", f"/api/sessions/{session}/turns/0/audio?ticket={ticket}")
    logs = "".join(path.read_text(errors="replace") for path in locked.folder.glob("*.log"))
    assert KEY not in logs
    assert ticket not in logs
    assert "secret" not in logs, "the password of redis"


async def test_of_many_who_bring_one_ticket_at_once_one_gets_in(locked: Stack) -> None:
    streams = Streams(locked.redis_url)
    try:
        access = Access(Settings(api_keys=KEY), streams)
        ticket = await access.make_ticket(await access.asker(f"Bearer {KEY}"))
        came = await asyncio.gather(*(access.asker(None, ticket) for _ in range(20)), return_exceptions=True)
        assert len([asker for asker in came if isinstance(asker, Asker)]) == 1
        assert {type(asker) for asker in came} == {Asker, AccessDenied}
        with Redis.from_url(locked.redis_url) as redis:
            key = keys.ticket(hashlib.sha256((await access.make_ticket(Asker("x"))).encode()).hexdigest())
            assert 0 < redis.ttl(key) <= 60
    finally:
        await streams.close()


async def test_a_ticket_opens_an_event_stream_once(locked: Stack, spoken: dict[str, Any]) -> None:
    _, body, _ = await asyncio.to_thread(locked.request, "POST", "/api/tickets", {}, bearer(KEY))
    path = f"/api/sessions/{spoken['session_id']}/events?ticket={json.loads(body)['ticket']}"
    assert [await asyncio.to_thread(status, locked, "GET", path, None) for _ in range(2)] == [200, 401]


def share(stack: Stack, session: str) -> str:
    code, body, headers = stack.request("POST", f"/api/sessions/{session}/share", {}, bearer(KEY))
    link = json.loads(body)
    assert (code, headers["Cache-Control"]) == (201, "no-store")
    assert link["url"] == f"/?session={session}&share={link['token']}"
    assert 86_000 < link["expires_at"] / 1000 - time.time() <= 86_400
    assert len(link["token"]) >= 22, "128 bits at least"
    token: str = link["token"]
    return token


@asynccontextmanager
async def guest(stack: Stack, session: str, token: str) -> AsyncIterator[Client]:
    async with stack.listen(f"{session}&share={token}") as client:
        yield client


async def new_session(stack: Stack) -> str:
    body = (await asyncio.to_thread(stack.request, "POST", "/api/sessions", {}, bearer(KEY)))[1]
    made: str = json.loads(body)["id"]
    return made


async def test_who_came_by_a_link_hears_the_same_and_says_nothing(locked: Stack) -> None:
    session = await new_session(locked)
    token = await asyncio.to_thread(share, locked, session)
    async with (
        locked.listen(session, additional_headers=bearer(KEY)) as owner,
        guest(locked, session, token) as first,
        guest(locked, session, token) as second,
    ):
        assert [(await one.until("session"))["is_guest"] for one in (owner, first, second)] == [False, True, True]
        turn = await owner.ask("SAY Hear this, all of you. And a second sentence.")
        for one in (first, second):
            await one.have("turn", turn=turn, state="ended")
            assert one.pcm(turn) == owner.pcm(turn) == expected_pcm(owner, turn) != b""
        for said in (
            {"type": "chat", "text": "SAY I want to speak too."},
            {"type": "interrupt", "turn": turn, "heard": {"sentence": 0, "ms": 1}},
            {"type": "stop"},
            {"type": "reset"},
            {"type": "start"},
        ):
            await first.send(**said)
            assert (await first.until("error"))["code"] == "read_only"
        await first.socket.send(bytes(8))
        assert (await first.until("error"))["code"] == "read_only"
        await first.send(type="played", turn=turn, sentence=0, ms=10)
        await first.send(type="ping", t=7)
        await first.until("pong", t=7)
        assert await owner.ask("SAY Nobody came between.") == turn + 1
    shown = json.loads(locked.request("GET", f"/api/sessions/{session}", headers=bearer(KEY))[1])
    assert [said["text"] for said in shown["messages"]][1::2] == [
        "Hear this, all of you. And a second sentence.",
        "Nobody came between.",
    ]


async def test_how_far_a_guest_has_heard_cuts_nothing(locked: Stack) -> None:
    session = await new_session(locked)
    token = await asyncio.to_thread(share, locked, session)
    async with locked.listen(session, additional_headers=bearer(KEY)) as owner, guest(locked, session, token) as other:
        await other.until("session")
        await owner.send(type="chat", text="SAY 300 One sentence is here. Two are there. Three now. Four by then.")
        started = await owner.until("tts_start")
        await owner.until("sentence", sentence=1, state="done")
        await other.have("sentence", sentence=1, state="done")
        await other.send(type="played", turn=started["turn"], sentence=3, ms=100_000)
        await other.send(type="ping", t=1)
        await other.until("pong")
        await owner.send(type="interrupt", turn=started["turn"], heard={"sentence": 0, "ms": 100_000})
        await owner.until("turn", state="ended")
        await other.have("tts_stop"), "the owner's interrupt reaches everybody"
    shown = json.loads(locked.request("GET", f"/api/sessions/{session}", headers=bearer(KEY))[1])
    assert shown["messages"][1]["text"] == "One sentence is here."


async def test_a_guest_who_comes_late_or_comes_back_hears_what_was_missed(locked: Stack) -> None:
    session = await new_session(locked)
    token = await asyncio.to_thread(share, locked, session)
    async with locked.listen(session, additional_headers=bearer(KEY)) as owner:
        await owner.until("session")
        turn = await owner.ask("SAY Before anybody came.")
        async with guest(locked, session, token) as late:
            await late.send(type="resume", turn=turn, event="0-0")
            await late.until("turn", turn=turn, state="ended")
            assert late.pcm(turn) == owner.pcm(turn)
    events = f"/api/sessions/{session}/events?after=0&share={token}"
    assert await asyncio.to_thread(status, locked, "GET", events, None) == 200


@pytest.fixture(scope="module")
def another(locked: Stack) -> Iterator[Stack]:
    """A second api process."""
    running = locked.another_api()
    try:
        running.wait_until_ready()
        yield running
    finally:
        assert running.api
        running.api.stop()


@pytest.mark.parametrize("how", ["taken back", "session deleted", "expired"])
async def test_a_link_that_works_no_more_ends_what_it_has_opened(locked: Stack, another: Stack, how: str) -> None:
    session = await new_session(locked)
    token = await asyncio.to_thread(share, locked, session)
    url = f"/api/sessions/{session}"
    async with (
        locked.listen(session, additional_headers=bearer(KEY)) as owner,
        guest(locked, session, token) as here,
        guest(another, session, token) as elsewhere,
    ):
        await asyncio.gather(*(one.until("session") for one in (owner, here, elsewhere)))
        mirror = http.client.HTTPConnection("127.0.0.1", another.port, timeout=20)
        mirror.request("GET", f"{url}/events?after=0&share={token}")
        events = await asyncio.to_thread(mirror.getresponse)
        assert events.status == 200
        if how == "expired":
            with Redis.from_url(locked.redis_url) as redis:
                [(digest, until)] = redis.zrange(keys.shares(session), 0, -1, withscores=True)
                assert 86_000 < until - time.time() <= 86_401
                redis.zadd(keys.shares(session), {digest: time.time() - 1})
        else:
            path = url if how == "session deleted" else f"{url}/share"
            assert (await asyncio.to_thread(locked.request, "DELETE", path, None, bearer(KEY)))[0] == 204
        for one in (here, elsewhere):
            assert (await one.until("error"))["code"] in {"share_unknown", "session_unknown"}
            await asyncio.wait_for(one.socket.wait_closed(), 5)
            assert one.socket.close_code == 1008
        await asyncio.wait_for(asyncio.to_thread(events.read), 10)
        mirror.close()
        if how != "session deleted":
            await owner.ask("SAY And I go on.")
    async with guest(locked, session, token) as again:
        assert (await again.until("error"))["code"] == "share_unknown"
    answer = await asyncio.to_thread(locked.request, "GET", f"{url}/events?share={token}")
    assert (answer[0], json.loads(answer[1])["code"]) == (404, "share_unknown")


async def test_a_link_is_kept_as_a_digest_and_only_so_many(locked: Stack) -> None:
    session = await new_session(locked)
    tokens = [await asyncio.to_thread(share, locked, session) for _ in range(keys.SHARES_MAX + 3)]
    with Redis.from_url(locked.redis_url) as redis:
        kept = redis.zrange(keys.shares(session), 0, -1)
        assert len(kept) == keys.SHARES_MAX
        assert not {token.encode() for token in tokens} & set(kept)
        assert 0 < redis.ttl(keys.shares(session)) <= keys.SHARE_LIFETIME_S
        assert redis.memory_usage(keys.shares(session), samples=0) < keys.MAX_BYTES["shares"]
    other = await new_session(locked)
    stranger = await asyncio.to_thread(share, locked, other)
    for wrong in ("", "x", tokens[-1][:-1], stranger):
        path = f"/api/sessions/{session}/events?share={wrong}"
        assert await asyncio.to_thread(status, locked, "GET", path, None, KEY) == 404


def test_guests_are_counted_among_listeners(locked: Stack) -> None:
    """The same admission as everybody's: one that is full refuses a guest too."""
    body = locked.request("POST", "/api/sessions", {}, bearer(KEY))[1]
    session = json.loads(body)["id"]
    token = share(locked, session)

    def listeners() -> float:
        text = locked.request("GET", "/metrics", headers=bearer(KEY))[1].decode()
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith("cueline_listeners "))

    wait_until(lambda: listeners() == 0, "an empty house")
    with sync_connect(f"{locked.ws_url}?session={session}&share={token}", close_timeout=1) as socket:
        assert json.loads(socket.recv(10))["is_guest"]
        assert listeners() == 1
