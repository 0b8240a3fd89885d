"""Conversations at rest, from outside: found again when Redis has forgotten, renamed, searched, taken out, deleted."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis

from tests.conftest import model_env
from tests.fakes import FakeModelServer
from tests.harness import Message, Stack, wait_until


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, model: FakeModelServer) -> Iterator[Stack]:
    """A stack whose memory may be taken away."""
    running = Stack(tmp_path_factory.mktemp("talks"), env=model_env(model))
    try:
        yield running.start(workers=1)
    finally:
        running.stop()


def talk(stack: Stack, *texts: str) -> str:
    """A session in which this was said, and answered."""
    session: str = stack.post("/api/sessions")[1]["id"]
    for number, text in enumerate(texts):
        stack.post(f"/api/sessions/{session}/messages", {"text": text, "queue": True})
        wait_until(lambda n=number: len(transcript(stack, session)["messages"]) == 2 * n + 2, "the reply at rest")
    return session


def transcript(stack: Stack, session: str) -> Message:
    found: Message = stack.get(f"/api/sessions/{session}/transcript")[1]
    return found


def forget_everything(stack: Stack) -> None:
    """What a day does to Redis, and an api that is started the next morning."""
    assert stack.api
    stack.api.stop()
    with Redis.from_url(stack.redis_url) as redis:
        for key in redis.scan_iter("cueline:*"):
            if b":worker" not in key:
                redis.delete(key)
    stack.start_api()
    stack.wait_until_ready()


def rows(stack: Stack, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(stack.folder / "store.sqlite")) as database:
        return database.execute(f"select * from {table}").fetchall()  # noqa: S608


async def test_a_talk_of_yesterday_goes_on_where_it_was(own: Stack, model: FakeModelServer) -> None:
    session = await asyncio.to_thread(talk, own, "SAY The tide comes in at nine.")
    await asyncio.to_thread(forget_everything, own)
    assert session in [found["id"] for found in own.get("/api/sessions")[1]]
    async with own.listen(session) as client:
        await client.send(type="resume", event="7-0", turn=0)
        gap = await client.until("gap", what="messages")
        assert gap["message"] == "Some messages before this are gone."
        turn = await client.ask("SAY And goes out at three.")
        assert turn == 1
        assert client.chunks(turn)
    assert [message["content"] for message in model.prompts[-1]][1:] == [
        "SAY The tide comes in at nine.",
        "The tide comes in at nine.",
        "SAY And goes out at three.",
    ]
    assert [m["turn"] for m in own.get(f"/api/sessions/{session}")[1]["messages"]] == [0, 0, 1, 1]


async def test_a_talk_of_yesterday_has_its_whole_cast_and_its_settings(own: Stack) -> None:
    async with own.listen() as client:
        session = (await client.until("session"))["session_id"]
        await client.send(type="cast", characters=["ava", "ben"], order="list", answers=1)
        await client.until("cast")
        await client.ask("SAY Good morning.")
        # After something was said, and without anything said after it.
        await client.send(type="cast", characters=["cleo", "ava", "ben"], muted=["ben"])
        await client.until("cast")
        await client.send(type="settings", speed=1.5)
        await client.until("settings")
    before = own.get(f"/api/sessions/{session}")[1]
    assert [one["name"] for one in before["cast"]["members"]] == ["Cleo", "Ava", "Ben"]
    await asyncio.to_thread(forget_everything, own)
    after = own.get(f"/api/sessions/{session}")[1]
    assert (after["cast"], after["settings"]) == (before["cast"], before["settings"])
    async with own.listen(session) as client:
        told = await client.until("session")
        assert (told["cast"], told["settings"]) == (before["cast"], before["settings"])
        await client.ask("SAY And a good evening.")
        # Who speaks next is as it would have been: behind the one who spoke last, and not the muted one.
        assert client.messages("turn", state="started")[-1]["character"] == "Cleo"
    await asyncio.to_thread(forget_everything, own)
    assert own.get(f"/api/sessions/{session}")[1]["cast"] == before["cast"], "and the day after"


def test_several_who_come_back_at_once_find_one_talk(own: Stack) -> None:
    session = talk(own, "SAY Hello there.")
    forget_everything(own)
    another = own.another_api()
    try:
        another.wait_until_ready()
        found = [stack.get(f"/api/sessions/{session}")[1] for stack in (own, another, own, another)]
        assert [one["turns"] for one in found] == [1] * 4
        assert len(own.post(f"/api/sessions/{session}/messages", {"text": "SAY Again."})[1]) == 1
        wait_until(lambda: len(transcript(another, session)["messages"]) == 4, "the second reply")
    finally:
        assert another.api
        another.api.stop()


async def test_a_cut_reply_is_kept_as_it_was_heard(own: Stack) -> None:
    async with own.listen() as client:
        session = (await client.until("session"))["session_id"]
        await client.send(type="chat", text="SAY 30 One two three four. Five six seven eight. Nine ten eleven twelve.")
        await client.until("sentence", sentence=1, state="queued")
        await client.send(type="interrupt", heard={"sentence": 1, "ms": 0})
        await client.until("turn", state="ended")
    reply = await asyncio.to_thread(
        wait_until, lambda: len(m := transcript(own, session)["messages"]) == 2 and m[1], "the reply"
    )
    assert reply["heard"] == "One two three four."
    assert [text for text, _ in reply["sentences"]] == ["One two three four."]
    assert reply["text"].startswith("One two three four. Five")


def test_a_talk_is_renamed_and_found(own: Stack) -> None:
    session = talk(own, "SAY Of lighthouses.")
    entry = next(found for found in own.get("/api/sessions")[1] if found["id"] == session)
    assert (entry["title"], entry["turns"], entry["character"]) == ("SAY Of lighthouses.", 1, "ava")
    assert abs(entry["updated_at"] / 1000 - time.time()) < 60
    assert own.request("PATCH", f"/api/sessions/{session}", {"title": "  Fastnet Rock "})[0] == 200
    for words in ("LIGHTHOUSE", "fastnet"):
        assert [found["id"] for found in own.get(f"/api/sessions?search={words}")[1]] == [session]
    assert own.get("/api/sessions?search=submarine") == (200, [])
    talk_again = own.post(f"/api/sessions/{session}/messages", {"text": "SAY More."})
    assert talk_again[0] == 202
    wait_until(lambda: len(transcript(own, session)["messages"]) == 4, "the second reply")
    assert transcript(own, session)["title"] == "Fastnet Rock"


@pytest.mark.parametrize("title", ["", "   ", "x" * 81, "two\nlines", "a\u0000", "\ud83d", 7, None])
def test_a_title_is_one_line_of_text(own: Stack, title: object) -> None:
    session = own.post("/api/sessions")[1]["id"]
    status, answer, _ = own.request("PATCH", f"/api/sessions/{session}", {"title": title})
    assert (status, json.loads(answer)["code"]) == (422, "message_invalid")


def test_a_transcript_is_a_file_in_each_format(own: Stack) -> None:
    session = talk(own, "SAY <b>Bold</b> & *starry* words. And --> more.")
    texts = {}
    for name, kind in (("json", "application/json"), ("md", "text/markdown"), ("srt", "application/x-subrip")):
        status, body, headers = own.request("GET", f"/api/sessions/{session}/transcript?format={name}")
        assert (status, headers["Content-Type"].partition(";")[0]) == (200, kind)
        assert headers["Content-Disposition"] == f'attachment; filename="talk.{name}"'
        texts[name] = body.decode()
    texts["vtt"] = own.request("GET", f"/api/sessions/{session}/transcript?format=vtt")[1].decode()
    assert "**Ava:** \\<b\\>Bold\\</b\\> \\& \\*starry\\* words. And --\\> more." in texts["md"]
    assert texts["vtt"].startswith("WEBVTT\n\n00:00:00.000 --> 00:00:0")
    assert "<v Ava>&lt;b&gt;Bold&lt;/b&gt; &amp; *starry* words." in texts["vtt"]
    times = re.findall(r"(\d\d):(\d\d):(\d\d),(\d{3})", texts["srt"])
    moments = [((int(h) * 60 + int(m)) * 60 + int(s)) * 1000 + int(ms) for h, m, s, ms in times]
    assert moments == sorted(moments)
    assert len(moments) >= 6, "the question and two sentences"
    assert all(line.count("-->") == (line[:2] == "00") for line in texts["srt"].splitlines())
    status, answer = own.get(f"/api/sessions/{session}/transcript?format=pdf")
    assert (status, answer["code"]) == (400, "format_unknown")


def test_a_deleted_talk_is_gone_everywhere(own: Stack) -> None:
    session = talk(own, "SAY Unforgettable nonsense.")
    assert own.request("DELETE", f"/api/sessions/{session}")[0] == 204
    assert own.get(f"/api/sessions/{session}")[0] == 404
    for table in ("conversations", "messages", "playbills"):
        assert session not in str(rows(own, table))
    with Redis.from_url(own.redis_url) as redis:
        assert {key.decode().rsplit(":")[-1] for key in redis.scan_iter(f"*{session}*")} <= {"holders"}
    own.post("/api/sessions")
    forget_everything(own)
    assert own.get(f"/api/sessions/{session}")[0] == 404


def test_what_is_reset_is_not_kept(own: Stack) -> None:
    session = talk(own, "SAY Forget me.")

    async def reset() -> None:
        async with own.listen(session) as client:
            await client.send(type="reset")
            await client.until("stop_acknowledged")

    asyncio.run(reset())
    wait_until(lambda: session not in str(rows(own, "messages")), "an empty memory")


async def test_a_store_without_its_plug_is_not_heard(tmp_path: Path, model: FakeModelServer) -> None:
    """The disk is gone from under it: talk goes on, says that it is not saved, and is saved when the disk is back."""
    stack = Stack(tmp_path, env=model_env(model))
    place = tmp_path / "disk"
    place.mkdir()
    stack.env["CUELINE_DATA_DIR"] = str(place)
    (place / "store.sqlite").mkdir()
    try:
        await asyncio.to_thread(stack.start, 1)
        async with stack.listen() as client:
            session = (await client.until("session"))["session_id"]
            for text in ("SAY First.", "SAY Second.", "SAY Third."):
                turn = await client.ask(text)
                assert client.chunks(turn)
            await client.have("saving", state="behind")
            assert stack.get("/readyz")[1]["store"].startswith("degraded")
            assert stack.get("/readyz")[0] == 200
            assert session in [found["id"] for found in stack.get("/api/sessions")[1]]
            assert stack.get(f"/api/sessions/{session}/transcript")[1]["code"] == "store_unreachable"
            assert stack.request("DELETE", f"/api/sessions/{session}")[0] == 503, "what cannot be deleted is not"
            assert client.chunks(await client.ask("SAY Fourth."))
            (place / "store.sqlite").rmdir()
            await client.have("saving", state="saved")
        said = [m["heard"] for m in transcript(stack, session)["messages"]]
        assert said == [half for n in ("First", "Second", "Third", "Fourth") for half in (f"SAY {n}.", f"{n}.")]
    finally:
        stack.stop()
