"""What listeners are told of a reply, another process could go on with: it is written down first. With real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from api.admission import Admission
from api.characters import find_character
from api.demo import DemoModel
from api.ensemble.playbill import Playbill
from api.events import ServerMessage
from api.inbox import Inbox
from api.streams import Streams
from api.turn.dispatch import Dispatcher
from api.turn.record import Left
from api.turn.speech import Speech
from api.turn.stage import Parts
from contract import keys
from contract.chunk import Chunk
from contract.job import TALK_QUEUE
from tests.harness import Stack, wait_until

AVA = find_character(None)
TEXTS = ["This is one.", "This is two."]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Redis alone: what is dispatched stays in the queue."""
    alone = Stack(tmp_path_factory.mktemp("redis"))
    alone.start_redis()
    yield alone
    alone.stop()


class Stage:
    """Where a turn is heard; it keeps what was said."""

    id, owner = "told", "local"
    playbill = Playbill(AVA)

    def __init__(self) -> None:
        self.said: list[tuple[int, str]] = []
        self.has_said = asyncio.Event()

    def emit(self, message: ServerMessage) -> None:
        if message.type == "sentence":
            self.said.append((message.sentence, message.state))
            self.has_said.set()

    def play(self, chunk: Chunk) -> None:
        pass

    def silence(self, turn: int) -> None:
        pass


class SlowPen(Streams):
    """Redis, in which a turn's record is written only when the test lets it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.may_write = asyncio.Event()

    async def save_turn(self, session: str, turn: int, fields: dict[str, str], *, unless_there: bool = False) -> None:
        await self.may_write.wait()
        await super().save_turn(session, turn, fields, unless_there=unless_there)


@pytest.fixture
async def pen(stack: Stack) -> AsyncIterator[SlowPen]:
    with redis.Redis.from_url(stack.redis_url) as admin:
        admin.flushall()
    streams = SlowPen(stack.redis_url)
    yield streams
    await streams.close()


@pytest.fixture
async def speech(pen: SlowPen) -> AsyncIterator[Speech]:
    inbox = Inbox(pen, "told")
    await inbox.start()
    parts = Parts(pen, inbox, Dispatcher(pen, inbox), DemoModel(0), Admission(pen, max_listeners=1))
    begun = Speech(parts, Stage(), 0, Left())
    yield begun
    pen.may_write.set()
    await begun.leave()
    await inbox.stop()


def said(speech: Speech) -> list[tuple[int, str]]:
    return speech._stage.said  # type: ignore[attr-defined, no-any-return]


async def has_said(speech: Speech) -> None:
    await asyncio.wait_for(speech._stage.has_said.wait(), 5)  # type: ignore[attr-defined]


async def test_a_sentence_is_told_of_once_it_is_written_down(stack: Stack, pen: SlowPen, speech: Speech) -> None:
    speech.add(TEXTS, AVA, 0)
    await asyncio.sleep(0.05)
    assert said(speech) == []
    pen.may_write.set()
    await has_said(speech)
    assert said(speech) == [(0, "queued"), (1, "queued")]
    with redis.Redis.from_url(stack.redis_url, decode_responses=True) as admin:
        assert {"s0", "s1"} <= admin.hgetall(keys.turn("told", 0)).keys()  # type: ignore[union-attr]


async def test_listeners_do_not_wait_for_a_redis_that_takes_its_time(speech: Speech) -> None:
    speech.add(TEXTS, AVA, 0)
    await has_said(speech)
    assert said(speech) == [(0, "queued"), (1, "queued")]


async def test_no_job_is_there_before_its_sentence_is_written_down(stack: Stack, speech: Speech) -> None:
    speech.add(TEXTS, AVA, 0)
    with redis.Redis.from_url(stack.redis_url, decode_responses=True) as admin:
        await asyncio.to_thread(wait_until, lambda: admin.llen(TALK_QUEUE) == len(TEXTS), "both jobs")
        assert {"s0", "s1"} <= admin.hgetall(keys.turn("told", 0)).keys()  # type: ignore[union-attr]


async def test_a_reply_that_is_cut_off_tells_of_each_sentence_before_it_ends_it(speech: Speech) -> None:
    speech.add(TEXTS, AVA, 0)
    speech.cancel("stopped")
    assert said(speech) == [(0, "queued"), (1, "queued"), (0, "cancelled"), (1, "cancelled")]
    await asyncio.sleep(0.3)
    assert len(said(speech)) == 4
