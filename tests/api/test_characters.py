"""Characters of one's own: made, changed, deleted, taken in from cards, and heard; and what bad cards do (nothing)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import time
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.casting.cards import PNG, read_card, write_card
from api.casting.characters import Characters
from api.casting.fields import CharacterFields, VoiceFields, clean
from api.characters import CAST
from api.errors import CardInvalid, StoreUnreachable
from api.events import SetTuning
from api.store.sqlite import SqliteStore
from tests.fakes import FakeModelServer, UnpluggedStore
from tests.harness import Stack

MADE: dict[str, Any] = {
    "persona": "You are a lighthouse keeper.",
    "voice": {"name": "en-gb", "language": "en-GB", "rate": 0.9, "description": "low and near", "scene": "a storm"},
    "colour": "#102030",
    "greeting": "Mind the steps.",
}


@pytest.fixture(scope="module", autouse=True)
def nobody_stays(stack: Stack) -> Iterator[None]:
    """Other tests meet the cast as it is from the start."""
    yield
    for one in stack.get("/api/characters")[1]:
        if one["is_own"]:
            stack.request("DELETE", f"/api/characters/{one['id']}")


def make(stack: Stack, name: str, **fields: Any) -> dict[str, Any]:
    status, made = stack.post("/api/characters", {**MADE, "name": name, **fields})
    assert status == 201, made
    return dict(made)


def take_in(stack: Stack, body: bytes) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(f"{stack.url}/api/characters/import", body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"{}")


async def test_one_that_was_made_speaks_with_its_own_voice_and_mind(stack: Stack, model: FakeModelServer) -> None:
    made = make(stack, "Maud")
    assert stack.get(f"/api/characters/{made['id']}") == (200, made)
    assert made["voice"]["language"] == "en-gb"
    assert (made["greeting"], made["is_own"]) == ("Mind the steps.", True)
    async with stack.listen() as client:
        turn = await client.ask("SAY I am here.", character=made["id"])
        assert client.messages("sentence", turn=turn)[0]["character"] == "Maud"
        assert model.prompts[-1][0]["content"] == "You are a lighthouse keeper."
        changed = stack.request(
            "PUT", f"/api/characters/{made['id']}", {**MADE, "name": "Maud", "persona": "You sail."}
        )
        assert changed[0] == 200
        await client.ask("SAY Still here.", character="maud")
        assert model.prompts[-1][0]["content"] == "You sail."


async def test_one_that_is_deleted_while_it_speaks_is_heard_to_its_end(stack: Stack) -> None:
    made = make(stack, "Shortlived")
    async with stack.listen() as client:
        await client.send(type="chat", text="SAY 40 These words are slowly said. And these too.", character=made["id"])
        await client.until("sentence", state="speaking")
        assert stack.request("DELETE", f"/api/characters/{made['id']}")[0] == 204
        assert (await client.until("turn", state="ended"))["reason"] == "complete"
        await client.send(type="chat", text="SAY More.", character=made["id"])
        assert (await client.until("error"))["code"] == "character_unknown"
        assert await client.ask("SAY Somebody else.")


def test_a_session_of_one_who_is_no_more_goes_on_with_the_first_of_the_cast(stack: Stack) -> None:
    made = make(stack, "Gone")
    session = stack.post("/api/sessions", {"character": made["id"]})[1]
    assert session["character"] == made["id"]
    assert stack.request("DELETE", f"/api/characters/{made['id']}")[0] == 204
    another = stack.another_api()
    try:
        another.wait_until_ready()
        assert another.get(f"/api/sessions/{session['id']}")[1]["character"] == "ava"
    finally:
        assert another.api
        another.api.stop()


def test_the_first_cast_is_four_who_sound_different_and_stays(stack: Stack) -> None:
    assert len({character.voice for character in CAST.values()}) == len(CAST) == 4
    status, body, _ = stack.request("DELETE", "/api/characters/ben")
    assert (status, json.loads(body)["code"]) == (409, "character_built_in")
    before = stack.get("/api/characters/ben")[1]
    assert not before["is_own"]
    changed = json.loads(stack.request("PUT", "/api/characters/ben", {**before, "persona": "You are another."})[1])
    assert (changed["persona"], changed["is_own"]) == ("You are another.", True)
    listed = [one["id"] for one in stack.get("/api/characters")[1]]
    assert listed[:4] == list(CAST)
    assert stack.request("DELETE", "/api/characters/ben")[0] == 204
    assert stack.get("/api/characters/ben")[1] == before


def test_no_two_have_one_name(stack: Stack) -> None:
    made = make(stack, "Twin")
    for name in ("twin", " TWIN ", "Ava"):
        assert stack.post("/api/characters", {**MADE, "name": name})[1]["code"] == "name_taken"
    assert stack.request("PUT", f"/api/characters/{made['id']}", {**MADE, "name": "cleo"})[0] == 409
    assert take_in(stack, json.dumps({"name": "Twin"}).encode())[1]["name"] == "Twin 2"


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "  \u200b "},
        {"name": "x" * 41},
        {"name": "A: B"},
        {"name": "[SPEAKER0]"},
        {"name": "<script>alert(1)</script>"},
        {"persona": "x" * 12_001},
        {"colour": "red; background: url(x)"},
        {"voice": {"name": "../../etc/passwd;"}},
        {"voice": {"rate": 40}},
        {"voice": {"pitch": "high"}},
        {"voice": {"language": "klingon-with-many-subtags-and-more"}},
    ],
    ids=str,
)
def test_fields_that_make_no_sense_are_refused(stack: Stack, fields: dict[str, Any]) -> None:
    status, answer = stack.post("/api/characters", {**MADE, "name": "Nonsense", **fields})
    assert (status, answer["code"]) == (422, "message_invalid")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Be <|im_start|>system kind", "Be system kind"),
        ("<<|x|>|im_end|>", ""),
        ("a [INST] b [/INST] c [SPEAKER0] d", "a  b  c  d"),
        ("＜|audio_bos|＞ stays text", "＜|audio_bos|＞ stays text"),
        ("\u202eevil\u0007 \ud83d end", "evil  end"),
        ("2 < 3 and 4 | 5 > 1", "2 < 3 and 4 | 5 > 1"),
    ],
)
def test_a_persona_keeps_its_words_and_no_control_tokens(text: str, left: str) -> None:
    assert clean(text) == left


@given(st.text(alphabet="<|>[]INST/sSYSSPEAKER0x ", max_size=60))
def test_nothing_hides_a_control_token(text: str) -> None:
    assert clean(clean(text)) == clean(text)


V2 = {
    "spec": "chara_card_v2",
    "spec_version": "2.0",
    "data": {
        "name": "Captain <b>Nell</b>: {{char}}",
        "description": "{{char}} has sailed with {{user}}. <script>alert('x')</script>",
        "personality": "dry",
        "scenario": "on deck",
        "first_mes": "Aye, {{user}}.",
        "mes_example": "<START>\n{{char}}: Aye.",
        "extensions": {"depth_prompt": {}},
    },
}


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    head = chunk(b"IHDR", bytes(13))
    return PNG + head + b"".join(chunk(kind, body) for kind, body in chunks) + chunk(b"IEND", b"")


def card_chunk(card: object, keyword: bytes = b"chara") -> tuple[bytes, bytes]:
    return b"tEXt", keyword + b"\0" + base64.b64encode(json.dumps(card).encode())


@pytest.mark.parametrize("is_png", [False, True])
def test_a_card_of_another_program_becomes_a_character(stack: Stack, is_png: bool) -> None:
    body = png((b"tEXt", b"Comment\0hello"), card_chunk(V2)) if is_png else json.dumps(V2).encode()
    status, made = take_in(stack, body)
    assert status == 201, made
    name = made["name"]
    assert name.startswith("Captain b Nell /b {{char}}"), "what stands for a name inside a name is only text"
    assert "has sailed with the listener. <script>alert('x')</script>" in made["persona"]
    assert "Personality: dry" in made["persona"]
    assert "<START>" not in made["persona"]
    assert made["greeting"] == "Aye, the listener."


def test_of_two_cards_in_a_picture_the_newer_counts() -> None:
    v3 = {"spec": "chara_card_v3", "spec_version": "3.0", "data": {"name": "New"}}
    assert read_card(png(card_chunk(v3, b"ccv3"), card_chunk(V2))).name == "New"
    assert read_card(json.dumps({"name": "Oldest", "description": "V1"}).encode()).name == "Oldest"


def test_what_is_taken_out_can_be_taken_in_again_whole(stack: Stack) -> None:
    made = make(stack, "Round trip")
    status, body, headers = stack.request("GET", f"/api/characters/{made['id']}/export")
    assert (status, headers["Content-Disposition"]) == (200, 'attachment; filename="character.json"')
    again = take_in(stack, body)[1]
    assert again["name"] == "Round trip 2"
    kept = ("persona", "voice", "colour", "greeting")
    assert {name: again[name] for name in kept} == {name: made[name] for name in kept}
    for character in CAST.values():
        assert read_card(write_card(character).encode()).name == character.name


BAD_CARDS = [
    b"",
    b"null",
    b"[]",
    b'{"data": 7, "name": 8}',
    b'{"data": {}}',
    b"[" * 100_000,
    b"\xff\xfe\x00",
    b'{"name": "x", "extensions": {"cueline": {"colour": "url(x)"}}}',
    PNG,
    PNG + b"\xff\xff\xff\xff" + b"tEXt" + b"chara\0x",
    png(),
    png((b"tEXt", b"chara\0not base64!")),
    png((b"tEXt", b"chara\0" + base64.b64encode(b"\x00\x01"))),
    png((b"zTXt", b"chara\0\0" + zlib.compress(b"x" * 10_000_000))),
    png(card_chunk(V2)).replace(b"chara\0", b"chara\1"),
]


@pytest.mark.parametrize("body", BAD_CARDS, ids=range(len(BAD_CARDS)))
def test_a_bad_card_gets_its_code_and_a_sentence(stack: Stack, body: bytes) -> None:
    status, answer = take_in(stack, body)
    assert (status, answer["code"]) == (400, "card_invalid")
    assert answer["message"].endswith(".")


@given(st.binary(max_size=400))
def test_no_bytes_make_it_fail_in_another_way(body: bytes) -> None:
    for card in (body, PNG + body, png((b"tEXt", b"chara\0" + base64.b64encode(body)))):
        with contextlib.suppress(CardInvalid):
            read_card(card)


def test_a_picture_of_five_megabytes_is_taken_and_one_of_fifty_refused(stack: Stack) -> None:
    large = png((b"IDAT", bytes(5_000_000)), card_chunk({"name": "Large"}))
    assert take_in(stack, large)[0] == 201
    assert refused_status(stack, 50_000_000) == 413


def refused_status(stack: Stack, length: int) -> int:
    """Before it is read: only the length is told."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=5)
    connection.putrequest("POST", "/api/characters/import")
    connection.putheader("Content-Length", str(length))
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


async def test_a_store_that_is_away_leaves_the_cast_and_what_was_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = UnpluggedStore(SqliteStore(tmp_path / "store.sqlite"))
    characters = Characters(store)
    made = await characters.create("ann", CharacterFields(name="Maud"))
    assert await characters.find("ann", "maud") == made
    store.is_plugged = False
    assert await characters.find("ann", "maud") == made
    assert (await characters.find("bob", "ben")) is CAST["ben"]
    assert len(await characters.everybody("ann")) == 5
    with pytest.raises(StoreUnreachable):
        await characters.find("bob", "maud")
    store.is_plugged, store.hangs = True, True
    began = time.monotonic()
    assert (await characters.find("carl", None)) is CAST["ava"]
    assert time.monotonic() - began < 1
    monkeypatch.setattr("api.casting.characters.TALK_S", 60)
    async with asyncio.timeout(5):  # who has just waited in vain need not do so again for each further member
        assert [await characters.find("carl", name) for name in CAST] == list(CAST.values())
    await characters.stop()
    await store.close()


async def test_what_is_one_owners_is_nobody_elses(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite")
    characters = Characters(store)
    made = await characters.create("ann", CharacterFields(name="Maud"))
    theirs = await characters.create("bob", CharacterFields(name="Maud"))
    await characters.change("bob", "ben", CharacterFields(name="Ben", persona="Mine"))
    assert made.id not in {one.id for one in await characters.everybody("bob")}
    assert (await characters.find("ann", "ben")) is CAST["ben"]
    for call in (characters.delete("bob", made.id), characters.change("ann", theirs.id, CharacterFields(name="X"))):
        with pytest.raises(Exception, match="no such character"):
            await call
    await asyncio.gather(characters.stop(), store.close())


@pytest.mark.parametrize("name", ["Chinese (Mandarin)_Warm_Girl", "English Calm Woman", "af_heart+bm_lewis(2)", "a"])
def test_a_voices_name_may_be_several_words(name: str) -> None:
    assert VoiceFields(name=name).to_voice().name == name
    assert SetTuning(voice=name).voice == name


@pytest.mark.parametrize("name", [" a", "a ", "a\tb", "a\nb", "", "a" * 65])
def test_and_nothing_else(name: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        VoiceFields(name=name)
