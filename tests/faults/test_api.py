"""An api process that dies, freezes or is replaced, and listeners that move: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import signal

import redis

from contract import keys
from tests.fakes import counter_pcm
from tests.faults.moves import LONG, SENTENCES, WHOLE, heard, holder, listen_until_lost, receive_chunks, state
from tests.harness import Message, Stack, wait_until


async def is_mirrored(stack: Stack, session: str, message: Message) -> None:
    """Wait until Redis has a message, and so all that was said before it."""

    def has_it() -> bool:
        with redis.Redis.from_url(stack.redis_url) as client:
            return bool(client.xrange(keys.events(session), message["event"], message["event"]))

    await asyncio.to_thread(wait_until, has_it, "it to be mirrored")


async def test_a_killed_api_costs_a_pause_if_another_goes_on(own: Stack, other: Stack) -> None:
    async with own.listen() as first:
        session = (await first.until("session"))["session_id"]
        await first.send(type="chat", text=f"SAY {LONG}")
        await receive_chunks(first, 8)
        # What was told and not mirrored is told once more.
        await is_mirrored(own, session, await first.have("llm_response", is_complete=True))
        assert own.api
        await asyncio.to_thread(own.api.kill)
        await listen_until_lost(first)
    async with other.listen(session) as second:
        await second.send(type="resume", **first.place(0))
        ended = await second.until("turn", turn=0, state="ended")
        assert heard(0, first, second) == WHOLE
        assert ended["reason"] == "complete"
        assert second.messages("error") == []
        whole = first.messages("llm_response", is_complete=True) + second.messages("llm_response", is_complete=True)
        assert [message["content"].strip() for message in whole] == [LONG]
        done = [m["sentence"] for c in (first, second) for m in c.messages("sentence", state="done")]
        assert set(done) == {0, 1, 2, 3, 4}
        assert await second.ask("SAY And on we go.") == 1
        assert second.pcm(1) == counter_pcm("And on we go.")
    status, found = other.get(f"/api/sessions/{session}")
    assert status == 200
    assert [m["text"] for m in found["messages"]] == [f"SAY {LONG}", LONG, "SAY And on we go.", "And on we go."]


async def test_of_a_reply_whose_reader_died_what_was_read_is_spoken_and_the_loss_is_told(
    own: Stack, other: Stack
) -> None:
    async with own.listen() as first:
        session = (await first.until("session"))["session_id"]
        await first.send(type="chat", text=f"SAY 60 {LONG}")
        await first.until("sentence", state="queued", sentence=1)
        await receive_chunks(first, 4)
        assert own.api
        await asyncio.to_thread(own.api.kill)
        await listen_until_lost(first)
    async with other.listen(session) as second:
        await second.send(type="resume", **first.place(0))
        assert (await second.until("turn", turn=0, state="ended"))["reason"] == "failed"
        assert [m["code"] for m in second.messages("error")] == ["server_restarted"]
        # What the process had told in its last millisecond it may not have written down: this is what counts.
        [reply] = second.messages("llm_response", is_complete=True)
        said = [sentence for sentence in SENTENCES if sentence in reply["content"]]
        assert " ".join(said) == reply["content"].strip()
        assert len(said) >= 1
        assert heard(0, first, second) == b"".join(counter_pcm(sentence) for sentence in said)
        await second.ask("SAY And on we go.")


async def test_a_reply_of_which_nothing_was_said_is_asked_for_again(own: Stack, other: Stack) -> None:
    async with own.listen() as first:
        session = (await first.until("session"))["session_id"]
        await first.send(type="chat", text="LATE 1000 Hello there to you.")
        await asyncio.to_thread(wait_until, lambda: state(own, session) == b"running", "it to be written down")
        assert own.api
        await asyncio.to_thread(own.api.kill)
    async with other.listen(session) as second:
        await second.send(type="resume", **first.place(0))
        await second.until("turn", turn=0, state="ended")
        assert second.messages("turn", state="ended")[0]["reason"] == "complete"
        assert heard(0, second) == counter_pcm("Hello there to you.")


async def test_words_that_were_seen_and_not_heard_are_asked_for_again_too(own: Stack, other: Stack) -> None:
    async with own.listen() as first:
        session = (await first.until("session"))["session_id"]
        await first.send(type="chat", text="SAY 400 Hello there to you.")
        seen = await first.until("llm_response")
        await is_mirrored(own, session, seen)
        assert own.api
        await asyncio.to_thread(own.api.kill)
    async with other.listen(session) as second:
        await second.send(type="resume", **first.place(0))
        assert (await second.until("turn", turn=0, state="ended"))["reason"] == "complete"
        assert heard(0, second) == counter_pcm("Hello there to you.")
        assert second.messages("error") == []
        kinds = [m["type"] for m in second.messages() if m.get("turn") == 0]
        assert kinds.index("llm_status") < kinds.index("llm_response"), "what was seen counts no more"


async def test_a_listener_may_move_to_another_api_while_the_first_one_speaks(own: Stack, other: Stack) -> None:
    async with own.listen() as stays:
        session = (await stays.until("session"))["session_id"]
        async with own.listen(session) as goes:
            await goes.send(type="resume")
            await stays.send(type="chat", text=f"SAY {LONG}")
            await receive_chunks(goes, 5)
        async with other.listen(session) as comes, other.listen(session) as late:
            await comes.send(type="resume", **goes.place(0))
            await late.send(type="resume", turn=0, event="0-0")
            for client in (stays, comes, late):
                await client.until("turn", turn=0, state="ended")
            assert heard(0, goes, comes) == WHOLE
            assert heard(0, late) == WHOLE
            assert stays.pcm(0) == WHOLE
            events = [m["event"] for m in stays.messages() if "event" in m]
            assert [m["event"] for m in late.messages() if "event" in m] == events
            mine = [m["event"] for c in (goes, comes) for m in c.messages() if "event" in m]
            assert mine == events
            # What is said there is done here.
            await comes.send(type="chat", text=f"SAY {LONG}", id="there")
            await receive_chunks(stays, len(stays.chunks()) + 3)
            await comes.send(type="interrupt", heard={"sentence": 0, "ms": 400})
            for client in (stays, comes):
                await client.until("interrupt_acknowledged", turn=1)
                await client.until("turn", turn=1, state="ended", reason="interrupted")
                lasts = [chunk.sentence for chunk in client.chunks(1) if chunk.last]
                assert lasts == [m["sentence"] for m in client.messages("sentence", turn=1, state="queued")]
            await comes.send(type="chat", text=f"SAY {LONG}", character="nobody")
            assert (await comes.until("error"))["code"] == "character_unknown"
            assert stays.messages("error") == []


async def test_a_session_moves_to_where_it_is_listened_to(own: Stack, other: Stack) -> None:
    async with own.listen() as here:
        session = (await here.until("session"))["session_id"]
        await here.ask("SAY Here I am.")
    before = holder(own, session)
    async with other.listen(session) as there:
        await there.send(type="resume", **here.place(0))
        assert await there.ask("SAY There I am.") == 1
        assert there.pcm(1) == counter_pcm("There I am.")
        assert holder(own, session) != before
    status, found = own.get(f"/api/sessions/{session}")
    assert status == 200
    assert [m["role"] for m in found["messages"]] == ["user", "assistant"] * 2


async def test_over_http_any_api_answers_for_any_session(own: Stack, other: Stack) -> None:
    async with own.listen() as here:
        session = (await here.until("session"))["session_id"]
        posted = await asyncio.to_thread(other.post, f"/api/sessions/{session}/messages", {"text": f"SAY {LONG}"})
        assert posted == (202, {"turn": 0})
        await here.until("tts_start")
        url = f"/api/sessions/{session}/turns/0/audio?format=pcm"
        status, pcm, _ = await asyncio.to_thread(other.request, "GET", url)
        assert (status, pcm) == (200, WHOLE)
        assert (await asyncio.to_thread(other.request, "DELETE", f"/api/sessions/{session}"))[0] == 204
        await listen_until_lost(here)
    assert own.get(f"/api/sessions/{session}")[0] == 404


async def test_a_frozen_api_finds_its_sessions_in_other_hands_and_lets_them_go(own: Stack, other: Stack) -> None:
    async with own.listen() as first:
        session = (await first.until("session"))["session_id"]
        await first.send(type="chat", text=f"SAY {LONG} {LONG}")
        await receive_chunks(first, 8)
        await first.have("llm_response", is_complete=True)
        assert own.api
        own.api.signal(signal.SIGSTOP)
        try:
            async with other.listen(session) as second:
                await second.send(type="resume", **first.place(0))
                assert (await second.until("turn", turn=0, state="ended"))["reason"] == "complete"
                had = first.pcm(0)
                assert had + second.pcm(0) == WHOLE + WHOLE
                own.api.signal(signal.SIGCONT)
                await listen_until_lost(first)
                assert first.messages("error")[-1]["code"] == "session_moved"
                assert await second.ask("SAY And on we go.") == 1
                assert second.pcm(1) == counter_pcm("And on we go.")
                events = [m["event"] for m in second.messages() if "event" in m]
                assert len(events) == len(set(events))
        finally:
            own.api.signal(signal.SIGCONT)


async def test_a_rolling_restart_is_not_heard(own: Stack, other: Stack) -> None:
    """The old process listens to the language model to its end, so that the new one has every sentence."""
    async with own.listen() as first:
        session = (await first.until("session"))["session_id"]
        await first.send(type="chat", text=f"SAY 20 {LONG}")
        await receive_chunks(first, 8)
        assert own.api
        own.api.popen.terminate()
        await listen_until_lost(first)
        assert first.socket.close_code == 1012
    async with other.listen(session) as second:
        await second.send(type="resume", **first.place(0))
        assert (await second.until("turn", turn=0, state="ended"))["reason"] == "complete"
        assert heard(0, first, second) == WHOLE
        assert second.messages("error") == []
        await second.ask("SAY And on we go.")
    await asyncio.to_thread(wait_until, lambda: own.api and own.api.popen.poll() is not None, "the old one to end")


async def test_what_redis_has_forgotten_is_a_gap_and_not_a_silence(own: Stack, other: Stack) -> None:
    async with own.listen() as stays:
        session = (await stays.until("session"))["session_id"]
        await stays.ask("SAY This will be forgotten.")
        await stays.send(type="chat", text=f"SAY {LONG}")
        await receive_chunks(stays, 40)
        with redis.Redis.from_url(own.redis_url) as admin:
            admin.flushall()
        await stays.until("tts_start", turn=1) if not stays.messages("tts_start", turn=1) else None
        async with own.listen(session) as late:
            await late.send(type="resume", turn=0, event="0-0")
            kinds = {(await late.until("gap"))["what"], (await late.until("gap"))["what"]}
            assert kinds == {"messages", "audio"}
            ended = await stays.until("turn", turn=1, state="ended", timeout_s=40)
            assert ended["reason"] == "complete"
            await late.until("turn", turn=1, state="ended")
            assert stays.pcm(1) == WHOLE
            gap = late.messages("gap", what="audio", turn=1)[0]
            first = late.chunks(1)[0]
            assert (first.sentence, first.part) == (gap["sentence"], gap["part"])
            assert WHOLE.endswith(late.pcm(1))
        assert own.request("GET", f"/api/sessions/{session}/turns/0/audio")[0] == 410
        await stays.ask("SAY And on we go.")
    async with other.listen(session) as there:
        await there.send(type="resume", event="0-0")
        assert (await there.until("gap"))["what"] == "messages"
        assert await there.ask("SAY Still here.") == 3


async def test_a_reply_that_everybody_has_left_is_made_no_further(own: Stack) -> None:
    async with own.listen() as client:
        session = (await client.until("session"))["session_id"]
        await client.send(type="chat", text="SAY " + f"{LONG} " * 8)
        await receive_chunks(client, 3)
        place = client.place(0)
    async with own.listen(session) as back:
        await back.send(type="resume", **place)
        await receive_chunks(back, 8)
        assert back.messages("tts_stop") == [], "who comes back in time misses nothing"
        place = back.place(0)
    await asyncio.to_thread(wait_until, lambda: state(own, session) == b"ended", "the reply to be stopped")
    async with own.listen(session) as late:
        await late.send(type="resume", **place)
        await late.until("tts_stop", reason="stopped")
        assert (await late.until("turn", state="ended"))["reason"] == "stopped"
        states = {m["sentence"]: m["state"] for m in late.messages("sentence")}
        assert "cancelled" in states.values()
        await late.ask("SAY And on we go.")
