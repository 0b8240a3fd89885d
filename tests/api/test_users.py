"""A Supabase project's users are known by what it has signed, for this and for now, and by nothing else."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator

import jwt
import pytest

from api.access import users as module
from api.access.access import LOCAL_OWNER, Access
from api.access.users import Users
from api.errors import AccessDenied, UsersUnreachable
from api.settings import Settings, SettingsError, read_settings
from api.streams import Streams
from tests.fakes import FakeSignIn
from tests.harness import Stack

ANN = str(uuid.UUID(int=0xA11))
KEY = "a-key-that-is-long-enough"


@pytest.fixture(scope="module")
def sign_in() -> Iterator[FakeSignIn]:
    server = FakeSignIn().start()
    server.add("one")
    server.add("rsa", "RS256")
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
async def users(sign_in: FakeSignIn) -> AsyncIterator[Users]:
    sign_in.published, sign_in.status, sign_in.body, sign_in.hangs, sign_in.asked = {"one", "rsa"}, 200, None, False, 0
    known = Users(sign_in.url)
    yield known
    await known.stop()


@pytest.mark.parametrize(("key", "algorithm"), [("one", "ES256"), ("rsa", "RS256")])
async def test_who_has_signed_in_is_known(users: Users, sign_in: FakeSignIn, key: str, algorithm: str) -> None:
    until = int(time.time()) + 100
    user = await users.find(sign_in.sign(key, ANN.upper(), algorithm, exp=until))
    assert user
    assert (user.id, user.until) == (ANN, until)


async def test_what_was_not_signed_for_this_and_now_is_refused(users: Users, sign_in: FakeSignIn) -> None:
    good = sign_in.sign("one", ANN)
    head, body, signature = good.split(".")
    public = json.dumps(sign_in.jwks()["keys"][0])
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","kid":"one"}').rstrip(b"=").decode()
    symmetric = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').rstrip(b"=").decode()
    mac = base64.urlsafe_b64encode(hmac.digest(public.encode(), f"{symmetric}.{body}".encode(), "sha256"))
    mac_text = mac.rstrip(b"=").decode()
    sign_in.add("stranger")
    sign_in.published.discard("stranger")
    now = int(time.time())
    refused = {
        "expired": sign_in.sign("one", ANN, exp=now - 60),
        "not yet": sign_in.sign("one", ANN, nbf=now + 600),
        "no end": sign_in.sign("one", ANN, exp=None),
        "for others": sign_in.sign("one", ANN, aud="anon"),
        "for nobody": sign_in.sign("one", ANN, aud=None),
        "of another project": sign_in.sign("one", ANN, iss="https://elsewhere.supabase.co/auth/v1"),
        "of nobody": sign_in.sign("one", ANN, iss=None),
        "no user": sign_in.sign("one", None),
        "the local owner": sign_in.sign("one", LOCAL_OWNER),
        "another's digest": sign_in.sign("one", "x" * 32),
        "no key named": sign_in.sign("one", ANN, kid=None),
        "the other key named": sign_in.sign("one", ANN, kid="rsa"),
        "a key nobody knows": sign_in.sign("stranger", ANN),
        "signed by a stranger": sign_in.sign("stranger", ANN, kid="one"),
        "tampered": f"{head}.{body}.{signature[:-4]}AAAA",
        "not signed": f"{unsigned}.{body}.",
        "the public key as a secret": f"{symmetric}.{body}.{mac_text}",
        "no token": "not-a-token",
        "nothing": "",
        "dots": "..",
        "no JSON": "aGk.aGk.aGk",
    }
    assert await users.find(good)
    assert {name: found for name, token in refused.items() if (found := await users.find(token))} == {}


async def test_a_new_key_is_known_when_its_first_token_comes_and_an_old_one_no_more(
    users: Users, sign_in: FakeSignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await users.find(sign_in.sign("one", ANN))
    sign_in.add("two")
    sign_in.published.discard("one")
    monkeypatch.setattr(module, "AGAIN_S", 0.0)
    assert await users.find(sign_in.sign("two", ANN))
    assert await users.find(sign_in.sign("one", ANN)) is None


async def test_a_flood_of_tokens_that_nobody_signed_asks_the_project_once(users: Users, sign_in: FakeSignIn) -> None:
    token = sign_in.sign("one", ANN)
    floods = [sign_in.sign("one", ANN, kid=f"made-up-{number}") for number in range(100)]
    found = await asyncio.gather(*map(users.find, [token, *floods]))
    assert found[0]
    assert not any(found[1:])
    assert not await users.find(floods[0])
    assert sign_in.asked == 1


async def test_keys_are_asked_for_again_beside_the_requests(
    users: Users, sign_in: FakeSignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = sign_in.sign("one", ANN)
    assert await users.find(token)
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    monkeypatch.setattr(module, "AGAIN_S", 0.0)
    sign_in.hangs = True
    assert await users.find(token), "nobody waits for it"
    async with asyncio.timeout(5):
        while sign_in.asked < 2:  # noqa: ASYNC110  the server rings no bell
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("status", "body", "hangs"),
    [(500, None, False), (200, b"<html>", False), (200, b"[]", False), (200, b" " * 70_000, False), (200, None, True)],
    ids=["fails", "no JSON", "no keys", "too long", "hangs"],
)
async def test_a_project_that_cannot_be_asked_lets_nobody_in_and_sends_nobody_away(
    users: Users, sign_in: FakeSignIn, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes | None, hangs: bool
) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.5)
    sign_in.status, sign_in.body, sign_in.hangs = status, body, hangs
    token = sign_in.sign("one", ANN)
    for _ in range(3):
        with pytest.raises(UsersUnreachable):
            await users.find(token)
    assert sign_in.asked == 1, "and is not asked by each who comes"
    sign_in.status, sign_in.body, sign_in.hangs = 200, None, False
    monkeypatch.setattr(module, "AGAIN_S", 0.0)
    assert await users.find(token)


async def test_known_keys_outlast_a_failure_of_the_project_but_not_for_ever(
    users: Users, sign_in: FakeSignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = sign_in.sign("one", ANN)
    assert await users.find(token)
    sign_in.status = 500
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    monkeypatch.setattr(module, "AGAIN_S", 0.0)
    assert await users.find(token)
    monkeypatch.setattr(module, "GOOD_S", 0.0)
    with pytest.raises(UsersUnreachable):
        await users.find(token)


async def test_a_key_that_is_no_key_of_ours_spoils_no_other(users: Users, sign_in: FakeSignIn) -> None:
    odd = [{"kty": "oct", "k": "c2VjcmV0", "kid": "one"}, {"kty": "EC", "kid": "x"}, {"kty": "RSA"}, 7, None]
    sign_in.body = json.dumps({"keys": [*odd, *sign_in.jwks()["keys"]]}).encode()
    assert await users.find(sign_in.sign("one", ANN))
    hs = jwt.encode({"sub": ANN, "exp": time.time() + 60}, "secret" * 8, "HS256", headers={"kid": "one"})
    assert await users.find(hs) is None


@pytest.fixture
async def streams(stack: Stack) -> AsyncIterator[Streams]:
    connected = Streams(stack.redis_url)
    yield connected
    await connected.close()


def bearer(token: str) -> str:
    return f"Bearer {token}"


async def test_users_and_keys_stand_side_by_side(streams: Streams, sign_in: FakeSignIn, users: Users) -> None:
    settings = Settings(SUPABASE_URL=sign_in.url, SUPABASE_KEY="sb_secret_x", api_keys=f"{KEY},{KEY}2")
    access = Access(settings, streams)
    user = await access.asker(bearer(sign_in.sign("one", ANN)))
    first, second = await access.asker(bearer(KEY)), await access.asker(bearer(KEY + "2"))
    assert (user.owner, user.kind, first.kind, second.kind) == (ANN, "user", "key", "key")
    assert len({user.owner, first.owner, second.owner, LOCAL_OWNER}) == 4
    for nobody in (None, "", "Bearer ", "Bearer x", "Basic " + KEY, bearer(sign_in.sign("one", ANN, exp=1))):
        with pytest.raises(AccessDenied):
            await access.asker(nobody)
    kept = await access.asker(None, await access.make_ticket(user))
    assert kept == user, "a ticket lets nobody stay longer than who asked for it"
    await access.stop()


async def test_who_brings_nothing_is_the_local_user_on_this_machine_only(
    streams: Streams, sign_in: FakeSignIn, users: Users
) -> None:
    project = {"SUPABASE_URL": sign_in.url, "SUPABASE_KEY": "sb_secret_x"}
    for settings, is_let_in in (
        (Settings(), True),
        (Settings(**project), True),
        (Settings(**project, allowed_hosts="talk.example"), False),
        (Settings(**project, host="192.0.2.1"), False),
        (Settings(**project, host="192.0.2.1", allow_open=True), True),
        (Settings(**project, api_keys=KEY), False),
    ):
        access = Access(settings, streams)
        if is_let_in:
            assert (await access.asker(None)).owner == LOCAL_OWNER
        else:
            with pytest.raises(AccessDenied):
                await access.asker(None)
        if settings.supabase_url:
            assert (await access.asker(bearer(sign_in.sign("one", ANN)))).owner == ANN
            with pytest.raises(AccessDenied):
                await access.asker(bearer("wrong"))
        await access.stop()


def test_a_server_that_can_be_reached_needs_keys_or_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUELINE_HOST", "0.0.0.0")
    with pytest.raises(SettingsError, match="SUPABASE_URL"):
        read_settings()
    monkeypatch.setenv("SUPABASE_URL", "https://project.supabase.co")
    monkeypatch.setenv("SUPABASE_KEY", "sb_secret_x")
    assert not read_settings().is_open
