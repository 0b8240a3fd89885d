"""Whatever process is killed by hand while it talks, whoever listens hears a pause at worst."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from api.turn.spoken import spoken
from tests.cli.conftest import PROJECT
from tests.cli.runs import Running, all_gone, eventually, free_port, is_gone
from tests.conftest import model_env
from tests.fakes import FakeModelServer, counter_pcm
from tests.harness import FRAMED, Client, Message

TEXT = (
    "This is the first of two and it is spoken slowly so that whoever kills what speaks it has the time to do so. "
    "This is the second of two and it is spoken slowly as well so that somebody else speaks it at the same time."
)
WORKER, API, REDIS, FLOWER = "worker", "api", "server", "flower"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, model: FakeModelServer) -> Iterator[Running]:
    """A real `cueline up` for all of these: it has to bear one after the other. Nothing of it is left afterwards."""
    folder = tmp_path_factory.mktemp("up")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(PROJECT),
        "FAKE_DEATHS": str(folder),
        "CUELINE_PORT": str(free_port()),
        "CUELINE_FLOWER_PORT": str(free_port()),
        "CUELINE_TTS_ENGINE": "tests.fakes:CounterEngine",
        "CUELINE_CACHE_MB": "0",
        **model_env(model),
    }
    up = Running([sys.executable, "-m", "cli.main", "up"], env, folder)
    try:
        up.wait_until_ready()
        yield up
        up.offspring()
        up.process.terminate()
        assert up.end() == 0
        assert all_gone(up)
    finally:
        up.tidy()


class Talker(Client):
    """A client that joins its session again whenever its line breaks, as docs/protocol.md says."""

    def __init__(self, url: str) -> None:
        super().__init__(cast(ClientConnection, None))  # until it joins
        self.url = url.replace("http", "ws") + "/ws"
        self.joined = 0
        self.said = ("", "")
        """Name and text of what was said last."""

    async def join(self) -> None:
        session = f"?session={self.got[0]['session_id']}" if self.got and isinstance(self.got[0], dict) else ""
        async with asyncio.timeout(20):
            while True:
                try:
                    self.socket = await connect(
                        self.url + session, subprotocols=[Subprotocol(FRAMED)], compression=None, max_size=None
                    )
                    self.joined += 1
                    if session:
                        await self.socket.send(self._place())
                    if self.said[0] and not self.messages("final_transcript", id=self.said[0]):
                        await self._say_it()
                except (OSError, WebSocketException):
                    await asyncio.sleep(0.1)
                else:
                    return

    async def receive(self, timeout_s: float = 10.0) -> Message | bytes:
        while True:
            try:
                return await super().receive(timeout_s)
            except WebSocketException:
                await self.join()

    async def say(self, name: str, text: str) -> None:
        """Say it for sure: under the same name, twice is once. What is not confirmed is said again to the next api."""
        self.said = (name, text)
        try:
            await self._say_it()
        except WebSocketException:
            await self.join()

    async def _say_it(self) -> None:
        name, text = self.said
        await self.send(type="chat", text=text, id=name)

    def _place(self) -> str:
        """The last event and the last frame, or a turn of which none has come."""
        place: dict[str, Any] = {"type": "resume"}
        if events := [message for message in self.messages() if "event" in message]:
            place["event"] = events[-1]["event"]
        if turns := self.messages("turn", state="started"):
            place["turn"] = turns[-1]["turn"]
        if chunks := self.chunks(place.get("turn")):
            place |= {"sentence": chunks[-1].sentence, "part": chunks[-1].part}
        return json.dumps(place)


@pytest.fixture
async def talker(running: Running) -> AsyncIterator[Talker]:
    """Somebody who has read a reply and begun to hear it."""
    eventually(lambda: workers(running) >= 2)
    talker = Talker(running.url)
    await talker.join()
    try:
        await talker.say("first", f"SAY {TEXT}")
        await talker.until("sentence", state="speaking", sentence=0)
        await talker.have("llm_response", is_complete=True)
        while not talker.chunks():
            await talker.receive()
        yield talker
    finally:
        await talker.socket.close()


def workers(running: Running) -> int:
    """How many workers the api counts."""
    try:
        with urllib.request.urlopen(f"{running.url}/readyz", timeout=5) as answer:
            return int(json.loads(answer.read())["workers"])
    except OSError:
        return 0


def main_process(running: Running, kind: str, talker: Talker) -> psutil.Process:
    """The process of that kind; of the workers the one that speaks the first sentence."""
    if kind == WORKER:
        name = talker.messages("sentence", state="speaking", sentence=0)[-1]["worker"].partition("@")[0]
        kind = f"-n {name}@"
    words = {API: "uvicorn", FLOWER: "celery.* flower", REDIS: "(redis|valkey)-server"}.get(kind, kind)
    children = psutil.Process(running.process.pid).children()
    return next(child for child in children if re.search(words, " ".join(child.cmdline())))


def hit(process: psutil.Process, *signals: signal.Signals) -> None:
    """Each signal to the whole of it, as a group; the gentle one to itself."""
    for number in signals:
        if number == signal.SIGTERM:
            process.terminate()
        else:
            os.killpg(process.pid, number)
    eventually(lambda: is_gone(process))


async def hears_the_whole_of(talker: Talker, turn: int, text: str) -> None:
    ended = await talker.have("turn", turn=turn, state="ended")
    assert ended["reason"] == "complete", talker.messages("error")
    # Another api process may announce a sentence once more.
    announced = {m["sentence"]: m["text"] for m in talker.messages("sentence", turn=turn, state="queued")}
    assert "".join(announced.values()).replace(" ", "") == text.replace(" ", "")
    assert talker.pcm(turn) == b"".join(counter_pcm(spoken(sentence)) for sentence in announced.values())


async def hears_another_turn(talker: Talker) -> None:
    await talker.say("next", "SAY And on it goes.")
    turn = (await talker.until("final_transcript", content="SAY And on it goes."))["turn"]
    await hears_the_whole_of(talker, turn, "And on it goes.")


FROZEN = (signal.SIGSTOP, signal.SIGKILL)


@pytest.mark.parametrize(
    ("kind", "signals"),
    [(WORKER, (signal.SIGKILL,)), (WORKER, (signal.SIGTERM,)), (WORKER, FROZEN), (FLOWER, (signal.SIGKILL,))],
    ids=["worker-killed", "worker-terminated", "worker-frozen-and-killed", "flower-killed"],
)
async def test_every_byte_is_heard_once(
    running: Running, talker: Talker, kind: str, signals: tuple[signal.Signals, ...]
) -> None:
    await asyncio.to_thread(hit, main_process(running, kind, talker), *signals)
    await hears_the_whole_of(talker, 0, TEXT)
    assert talker.joined == 1
    if kind == WORKER and signal.SIGKILL in signals:
        assert max(chunk.attempt for chunk in talker.chunks(0)) > 1, "it had finished before it was killed"
    await hears_another_turn(talker)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])
async def test_the_conversation_goes_on_with_another_api(
    running: Running, talker: Talker, number: signal.Signals
) -> None:
    await asyncio.to_thread(hit, main_process(running, API, talker), number)
    await hears_the_whole_of(talker, 0, TEXT)
    await hears_another_turn(talker)
    assert talker.joined == 2


def restart(running: Running) -> tuple[int, str]:
    """`cueline restart`, to its end."""
    argv = [sys.executable, "-m", "cli.main", "restart"]
    done = subprocess.run(
        argv, env=running.env, cwd=running.cwd, capture_output=True, text=True, timeout=90, check=False
    )
    return done.returncode, done.stdout + done.stderr


async def test_a_restart_of_all_of_it_is_not_heard(running: Running, talker: Talker) -> None:
    """Turn after turn is said meanwhile; what is heard of each is what would have been heard."""
    kinds = (API, "-n speech1@", "-n speech2@")
    before = {main_process(running, kind, talker).pid for kind in kinds}
    restarting = asyncio.create_task(asyncio.to_thread(restart, running))
    await hears_the_whole_of(talker, 0, TEXT)
    turns = itertools.count(1)
    while not restarting.done() or talker.joined < 2:
        turn = next(turns)
        await talker.say(f"turn{turn}", f"SAY {TEXT}")
        await hears_the_whole_of(talker, turn, TEXT)
    assert await restarting == (0, "restarted\n")
    assert talker.messages("gap") == []
    assert talker.joined == 2, "it may move once, to the new api"
    assert before.isdisjoint({main_process(running, kind, talker).pid for kind in kinds})
    await hears_another_turn(talker)


async def test_the_conversation_goes_on_with_an_empty_redis(running: Running, talker: Talker) -> None:
    await asyncio.to_thread(hit, main_process(running, REDIS, talker), signal.SIGKILL)
    await talker.have("turn", turn=0, state="ended")
    await hears_another_turn(talker)
