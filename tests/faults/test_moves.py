"""Api processes that end or stall in the worst moments: whoever listens hears each sample once, and never waits."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from contextlib import AsyncExitStack

import pytest
import redis

from contract import keys
from tests.fakes import counter_pcm
from tests.faults.conftest import Apis
from tests.faults.moves import LONG, WHOLE, heard, holder, listen_until_lost, receive_chunks, state
from tests.harness import Client, Stack, wait_until

KILLS = 8
SPOKEN = ("This is the first of it, slowly. ", "A second one is said too. ", "And slowly the third one ends it.")


@pytest.mark.timeout(300)
async def test_killed_at_any_moment_of_a_turn_it_costs_a_pause(apis: Apis) -> None:
    chance = random.Random(20)
    own = await asyncio.to_thread(apis.take)
    session = (await asyncio.to_thread(own.post, "/api/sessions"))[1]["id"]
    for number in range(KILLS):
        other = await asyncio.to_thread(apis.take)
        moment_s = chance.choice([chance.uniform(0, 0.06), chance.uniform(0, 0.8), chance.uniform(0.3, 0.6)])
        await _kill_in_a_turn(own, other, session, f"n{number}", moment_s)
        own = other


async def _kill_in_a_turn(own: Stack, other: Stack, session: str, name: str, moment_s: float) -> None:
    text = f"SAY {name}. " + "".join(SPOKEN)
    async with AsyncExitStack() as open_:
        follower = await open_.enter_async_context(other.listen(session))
        await follower.send(type="resume")
        async with own.listen(session) as first:
            await first.send(type="resume")
            # Whoever is asked first may still be about to take the session.
            await asyncio.to_thread(own.post, f"/api/sessions/{session}/messages", {"text": "SAY ready.", "id": name})
            await first.until("turn", state="ended")
            await first.send(type="chat", text=text, id=f"{name}-")
            await _receive_for(first, moment_s)
            assert own.api
            await asyncio.to_thread(own.api.kill)
            await listen_until_lost(first)
        second = await open_.enter_async_context(other.listen(session))
        newest = [m["turn"] for m in first.messages("turn", state="started")][-1]
        await second.send(type="resume", **first.place(newest))
        # Under the same name it is one message, if it was taken at all.
        await second.send(type="chat", text=text, id=f"{name}-")
        for client in (second, follower):
            said = await _said_first(client, first, f"{name}-")
            turn = said["turn"]
            has_all = client is second and first.messages("turn", turn=turn, state="ended")
            ended = has_all[0] if has_all else await client.have("turn", turn=turn, state="ended")
            announced = {m["sentence"]: m["text"] for c in (first, client) for m in c.messages("sentence", turn=turn)}
            whole = b"".join(counter_pcm(words) for _, words in sorted(announced.items()))
            clients = (first, client) if client is second else (client,)
            assert heard(turn, *clients) == whole, (name, moment_s, ended["reason"], announced)
            if ended["reason"] == "failed":
                assert "server_restarted" in [m["code"] for m in client.messages("error", turn=turn)]
            elif ended["reason"] == "complete":
                assert "SAY " + " ".join(words for _, words in sorted(announced.items())) == text


async def _receive_for(client: Client, time_s: float) -> None:
    deadline = time.monotonic() + time_s
    try:
        while (left_s := deadline - time.monotonic()) > 0:
            await client.receive(left_s)
    except TimeoutError:
        pass


async def _said_first(client: Client, first: Client, name: str) -> dict[str, object]:
    found = [*client.messages("final_transcript", id=name), *first.messages("final_transcript", id=name)]
    return found[0] if found else await client.until("final_transcript", id=name)


async def test_an_end_that_nobody_was_told_of_is_told(own: Stack, other: Stack) -> None:
    async with own.listen() as first:
        session = (await first.until("session"))["session_id"]
        await first.ask("SAY All of this was said.")
        await asyncio.to_thread(wait_until, lambda: state(own, session) == b"ended", "its end")
        assert own.api
        await asyncio.to_thread(own.api.kill)
    with redis.Redis.from_url(own.redis_url) as admin:
        # As if it had died before it could write down what it said last.
        for entry, fields in admin.xrange(keys.events(session)):  # type: ignore[union-attr]
            message = json.loads(fields[b"d"])
            if message["type"] in {"tts_end", "status"} or message.get("state") == "ended":
                admin.xdel(keys.events(session), entry)
        admin.delete(keys.history(session))
    async with other.listen(session) as second:
        await second.send(type="resume", turn=0, event="0-0")
        assert (await second.until("turn", turn=0, state="ended"))["reason"] == "complete"
        assert len(second.messages("tts_end", turn=0)) == 1
        assert second.pcm(0) == counter_pcm("All of this was said.")
    found = other.get(f"/api/sessions/{session}")[1]["messages"]
    assert [m["text"] for m in found if m["role"] == "assistant"] == ["All of this was said."]


@pytest.mark.parametrize("order", ["interrupt", "stop", "chat"])
async def test_what_is_asked_while_the_holder_dies_is_done_by_the_next(own: Stack, other: Stack, order: str) -> None:
    async with own.listen() as first, other.listen((await first.until("session"))["session_id"]) as second:
        await second.send(type="resume")
        # Longer than the next holder may speak before it hears what was asked while there was none.
        await first.send(type="chat", text="SAY " + f"{LONG} " * 8)
        await first.until("llm_response", is_complete=True)
        await receive_chunks(second, 5)
        assert own.api
        await asyncio.to_thread(own.api.kill)
        await second.send(type=order, **({"text": "SAY And on we go."} if order == "chat" else {}))
        ended = await second.until("turn", turn=0, state="ended")
        assert ended["reason"] == ("stopped" if order == "stop" else "interrupted")
        assert [c.sentence for c in second.chunks(0) if c.last] == sorted(
            m["sentence"] for m in second.messages("sentence", turn=0, state="queued")
        )
        if order == "chat":
            await second.until("turn", turn=1, state="ended")
            assert second.pcm(1) == counter_pcm("And on we go.")
        turn = await second.ask("SAY And on we go.")
        assert second.pcm(turn) == counter_pcm("And on we go.")
    assert "Traceback" not in other.folder.joinpath(other.api_log).read_text()


async def test_a_wiped_redis_does_not_make_two_holders(own: Stack, other: Stack) -> None:
    async with own.listen() as here:
        session = (await here.until("session"))["session_id"]
        async with other.listen(session) as there:
            await there.until("session")
            await there.send(type="resume")
            await here.send(type="cast", characters=["ava", "ben"], order="chosen")
            await there.until("cast")
            mine = holder(own, session)
            for _ in range(3):
                with redis.Redis.from_url(own.redis_url) as admin:
                    admin.flushall()
                await asyncio.to_thread(wait_until, lambda: _claims(own, session), "it to be written again")
                await asyncio.sleep(1)  # several of the follower's looks at who holds it
                assert holder(own, session) == mine
                with redis.Redis.from_url(own.redis_url, decode_responses=True) as admin:
                    assert json.loads(admin.hget(keys.session(session), "cast"))["characters"] == ["ava", "ben"]  # type: ignore[arg-type]
            turn = await here.ask("SAY One answer only.")
            await there.have("turn", turn=turn, state="ended")
            assert here.pcm(turn) == there.pcm(turn) == counter_pcm("One answer only.")
            assert len(there.messages("turn", turn=turn, state="started")) == 1


async def test_a_turn_that_was_wiped_in_its_middle_is_still_ended_by_the_next_process(own: Stack, other: Stack) -> None:
    async with own.listen() as first:
        session = (await first.until("session"))["session_id"]
        await first.send(type="chat", text=f"SAY {LONG} {LONG} {LONG}")
        await receive_chunks(first, 5)
        with redis.Redis.from_url(own.redis_url) as admin:
            admin.flushall()
        await asyncio.to_thread(wait_until, lambda: state(own, session) == b"running", "it to be written again")
        assert own.api
        await asyncio.to_thread(own.api.kill)
    async with other.listen(session) as second:
        await second.send(type="resume", **first.place(0))
        await second.until("turn", turn=0, state="ended", timeout_s=40)


def _claims(stack: Stack, session: str) -> int:
    with redis.Redis.from_url(stack.redis_url) as client:
        return client.exists(keys.holders(session)) and client.exists(keys.session(session))  # type: ignore[no-any-return]


async def test_sound_is_there_at_once_where_the_message_was_posted_or_anywhere_else(own: Stack, other: Stack) -> None:
    session = own.post("/api/sessions")[1]["id"]
    assert other.get(f"/api/sessions/{session}")[0] == 200
    for turn in range(2):
        asked, listens = (own, other) if turn % 2 else (other, own)
        # For longer than an unused session is kept where it is only followed.
        said = {"text": "LATE 1900 Hello there to you later."}
        assert await asyncio.to_thread(asked.post, f"/api/sessions/{session}/messages", said) == (202, {"turn": turn})
        url = f"/api/sessions/{session}/turns/{turn}/audio?format=pcm"
        status, pcm, _ = await asyncio.to_thread(listens.request, "GET", url)
        assert (status, pcm) == (200, counter_pcm("Hello there to you later."))


async def test_a_claim_of_one_who_knows_nothing_of_it_holds_nobody_up(own: Stack, other: Stack, apis: Apis) -> None:
    async with own.listen() as first:
        session = (await first.until("session"))["session_id"]
        await first.ask("SAY Here.")
    assert own.api
    await asyncio.to_thread(own.api.kill)
    third = await asyncio.to_thread(apis.take)
    async with third.listen() as elsewhere:
        name = holder(third, (await elsewhere.until("session"))["session_id"])
    with redis.Redis.from_url(own.redis_url) as admin:  # as if it had claimed it and been unable to go on
        admin.xadd(keys.holders(session), {"a": name}, id="50-0")
    async with other.listen(session) as second:
        await second.send(type="resume")
        assert await second.ask("SAY And on we go.") == 1


async def test_who_follows_a_session_that_is_deleted_is_told(own: Stack, other: Stack) -> None:
    async with own.listen() as first:
        session = (await first.until("session"))["session_id"]
        async with other.listen(session) as second:
            await second.until("session")
            await second.send(type="resume")
            assert (await asyncio.to_thread(own.request, "DELETE", f"/api/sessions/{session}"))[0] == 204
            await listen_until_lost(second)
            assert second.messages("error")[-1]["code"] == "session_unknown"
    assert other.get(f"/api/sessions/{session}")[0] == 404


async def test_a_message_that_is_handed_on_twice_is_one_message(own: Stack, other: Stack) -> None:
    async with own.listen() as first, other.listen((await first.until("session"))["session_id"]) as second:
        await second.send(type="resume")
        await first.send(type="chat", text=f"SAY {LONG} {LONG}")
        await receive_chunks(second, 3)
        assert own.api
        own.api.signal(signal.SIGSTOP)
        await second.send(type="chat", text="SAY And on we go.", queue=True)
        await asyncio.sleep(1.3)  # longer than an answer is waited for, shorter than a life
        own.api.signal(signal.SIGCONT)
        await second.until("turn", turn=1, state="ended")
        assert await second.ask("SAY Only once.") == 2
        assert second.pcm(0) + second.pcm(1) == WHOLE + WHOLE + counter_pcm("And on we go.")


async def test_a_session_that_its_holder_deletes_late_is_deleted(own: Stack, other: Stack) -> None:
    async with own.listen() as first:
        session = (await first.until("session"))["session_id"]
        await first.ask("SAY Forget this.")
        assert other.get(f"/api/sessions/{session}")[0] == 200
        assert own.api
        own.api.signal(signal.SIGSTOP)
        deleting = asyncio.create_task(asyncio.to_thread(other.request, "DELETE", f"/api/sessions/{session}"))
        await asyncio.sleep(1.3)  # longer than an answer is waited for, shorter than a life
        own.api.signal(signal.SIGCONT)
        assert (await deleting)[0] == 204
    assert other.get(f"/api/sessions/{session}")[0] == own.get(f"/api/sessions/{session}")[0] == 404


async def test_asked_to_end_while_redis_does_not_answer_it_ends_in_time(own: Stack) -> None:
    async with own.listen() as first:
        await first.until("session")
        await first.send(type="chat", text=f"SAY {LONG} {LONG}")
        await receive_chunks(first, 3)
        assert own.redis
        assert own.api
        own.redis.signal(signal.SIGSTOP)
        try:
            own.api.popen.terminate()
            api = own.api.popen
            await asyncio.to_thread(wait_until, lambda: api.poll() is not None, "it to end", 15)
        finally:
            own.redis.signal(signal.SIGCONT)
