"""The line between a listener and the api is cut, swallows everything, or is left open by a peer that is gone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from tests.faults.proxy import chaos
from tests.faults.test_redis import SLOWLY, hear_parts
from tests.harness import Stack, wait_until
from tests.test_laws import expected_pcm


async def test_a_line_that_is_cut_again_and_again_costs_no_byte(stack: Stack) -> None:
    """Each time the listener comes back and says what it has."""
    pcm, expected, numbers = b"", b"", []
    place: dict[str, object] = {}
    session: str | None = None
    async with chaos(stack.port) as proxy:
        for cuts_left in (3, 2, 1, 0):
            async with stack.listen(session, port=proxy.port) as client:
                session = (await client.until("session"))["session_id"]
                await (client.send(type="resume", **place) if place else client.send(type="chat", text=SLOWLY))
                if cuts_left:
                    await hear_parts(client, 8)
                    proxy.cut()
                    with pytest.raises(ConnectionClosed):
                        while True:
                            await client.receive()
                else:
                    await client.until("turn", state="ended")
            last = client.chunks()[-1]
            numbers += [int(m["event"].partition("-")[0]) for m in client.messages() if "event" in m]
            pcm, expected = pcm + client.pcm(), expected + expected_pcm(client, 0)
            place = {"turn": 0, "sentence": last.sentence, "part": last.part, "event": f"{numbers[-1]}-0"}
    assert pcm == expected != b""
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_line_that_swallows_everything_for_a_while_costs_a_pause(stack: Stack) -> None:
    async with chaos(stack.port) as proxy, stack.listen(port=proxy.port) as client:
        await client.send(type="chat", text=SLOWLY)
        await hear_parts(client, 5)
        proxy.hold()
        await asyncio.sleep(2.0)
        proxy.release()
        await client.until("turn", state="ended")
        assert client.pcm(0) == expected_pcm(client, 0) != b""
        assert 1.5 < client.longest_pause_s < 3.0
        assert await client.ask("SAY And on we go.") == 1


async def test_a_listener_that_vanished_without_a_word_is_noticed(stack: Stack, tmp_path: Path) -> None:
    api = Stack(tmp_path, env=stack.env)
    api.start_api(None, "--ws-ping-interval", "1", "--ws-ping-timeout", "1")
    try:
        await asyncio.to_thread(api.wait_until_ready)
        async with chaos(api.port) as proxy, api.listen(port=proxy.port, close_timeout=0.1) as client:
            await client.ask("SAY Hello there.")
            assert api.metric("cueline_listeners") == 1
            proxy.hold()
            await asyncio.to_thread(
                wait_until, lambda: api.metric("cueline_listeners") == 0, "the listener to be missed", 6
            )
    finally:
        await asyncio.to_thread(api.stop)
