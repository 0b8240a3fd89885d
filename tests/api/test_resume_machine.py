"""Relay, replay and resume under any order of events: each listener has each sample once, or was told of a gap."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
import redis
import uvloop
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from api.events import Resume
from api.inbox import Inbox
from api.session.listeners import Item, Listener, Log
from api.session.resume import Place, is_new, missed
from api.streams import Streams
from api.turn.relay import Relay
from api.turn.replay import Newest, Position, TurnReader, sentence_field
from api.turn.timing import Timing
from contract import keys
from contract.chunk import Chunk
from tests.harness import Stack

PARTS = (3, 1, 4)
"""How many parts each sentence of the turn has."""
PLACES = [(sentence, part) for sentence, count in enumerate(PARTS) for part in range(count)]
SENTENCES = st.integers(0, len(PARTS) - 1)
EARS = st.integers(0, 2)
_NUMBERS = itertools.count()
Result = TypeVar("Result")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Redis alone."""
    stack = Stack(tmp_path_factory.mktemp("redis"))
    stack.start_redis()
    yield stack
    stack.stop()


def pcm_of(sentence: int, part: int) -> bytes:
    return bytes([sentence, part])


class Process:
    """What one api process has of the turn: as a follower first, then as its holder."""

    def __init__(self, streams: Streams, session: str) -> None:
        self.log = Log()
        self.position: Newest | None = None
        self.reader = TurnReader(streams, session, 0)
        self.inbox = Inbox(streams, f"{session}-{next(_NUMBERS)}")
        self.relay: Relay | None = None
        self._session = session

    async def follow(self, *, aloud: bool = True) -> None:
        while self.relay is None and (chunks := await self.reader.read()):
            for chunk in chunks:
                self.play(chunk, aloud=aloud)

    def hold(self) -> Relay:
        sentence, part = self.reader.position
        relay = self.relay = Relay(self.inbox, self._session, 0, self.play, (sentence, part - 1))
        for number in range(len(PARTS)):
            relay.follow(number, Timing(), lambda: None)
        return relay

    def play(self, chunk: Chunk, *, aloud: bool = True) -> None:
        self.position = (chunk.turn, chunk.sentence, chunk.part, chunk.last)
        if aloud:
            self.log.append(Item(chunk=chunk))


@dataclass
class Ear:
    """A client: what it has had over all its connections, and what it was told is gone."""

    process: Process | None = None
    listener: Listener | None = None
    resume: Resume = field(default_factory=lambda: Resume(type="resume"))
    joined: Place = field(default_factory=lambda: Place(0, None))
    had: list[Position] = field(default_factory=list)
    gap: Position | None = None
    """The sound goes on at least here."""
    is_at_end: bool = False
    """The rest is gone."""

    def take(self, item: Item) -> None:
        if item.chunk is None:
            message = json.loads(item.text)
            assert (message["type"], message["what"]) == ("gap", "audio")
            self.is_at_end = "sentence" not in message
            self.gap = None if self.is_at_end else (message["sentence"], message["part"])
            assert self.is_at_end or self.gap in (*PLACES, (len(PARTS), 0)), "it goes on where there is something"
            self.is_at_end = self.is_at_end or (self.gap is not None and self.gap > PLACES[-1])
            return
        place = (item.chunk.sentence, item.chunk.part)
        assert item.chunk.pcm == pcm_of(*place)
        assert place not in self.had, "nothing twice"
        due = PLACES[PLACES.index(self.had[-1]) + 1] if self.had else PLACES[0]
        if place != due:
            assert place > due, "nothing out of order"
            assert self.gap is not None, f"{due} was due and {place} came: a splice"
            assert place >= self.gap
        self.gap = None
        self.had.append(place)

    def place(self) -> Resume:
        sentence, part = self.had[-1] if self.had else (None, None)
        return Resume(type="resume", turn=0, sentence=sentence, part=part)


class ResumeMachine(RuleBasedStateMachine):
    """Workers write, are fenced and go on; listeners come and go; Redis is wiped; the holder dies."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.loop = uvloop.new_event_loop()
        self.redis = redis.Redis.from_url(url)
        self.streams = Streams(url)

    @initialize()
    def begin(self) -> None:
        self.session = f"machine{next(_NUMBERS)}"
        self.ears = [Ear() for _ in range(3)]
        self.attempts = [0] * len(PARTS)
        self.next_parts = [0] * len(PARTS)
        """What the worker of each sentence's newest attempt writes next."""
        self.stale: list[tuple[int, int, int]] = []
        """(sentence, attempt, part) that workers who were given up would still write."""
        self.write_down()
        self.holder, self.follower = self.process(), self.process()
        self.relay = self.holder.hold()
        for sentence in range(len(PARTS)):
            self.fence(sentence)

    def teardown(self) -> None:
        if hasattr(self, "holder"):
            self.finish()
            self.redis.delete(*self.keys())
        self.do(self.streams.close())
        self.redis.close()
        self.loop.close()

    def do(self, work: Awaitable[Result]) -> Result:
        return self.loop.run_until_complete(_wait(work))

    def keys(self) -> list[str]:
        return [keys.turn(self.session, 0), *(keys.sentence(self.session, 0, n) for n in range(len(PARTS)))]

    def write_down(self) -> None:
        self.redis.hset(keys.turn(self.session, 0), "state", "running")
        for sentence in range(len(PARTS)):
            self.redis.hset(keys.turn(self.session, 0), sentence_field(sentence), '["", ""]')

    def process(self) -> Process:
        found = Process(self.streams, self.session)
        self.do(found.follow(aloud=False))
        return found

    def pull_all(self) -> None:
        self.do(self.holder.inbox.pull({keys.sentence(self.session, 0, n) for n in range(len(PARTS))}))

    def write(self, sentence: int, attempt: int, part: int) -> None:
        last = part == PARTS[sentence] - 1
        frame = Chunk(0, sentence, part, attempt, pcm_of(sentence, part), last).pack()
        try:
            self.redis.xadd(
                keys.sentence(self.session, 0, sentence), {"f": frame}, f"{attempt}-{part + 2}", nomkstream=True
            )
        except redis.ResponseError as error:
            assert "equal or smaller" in str(error)

    # what happens

    @rule(sentence=SENTENCES, count=st.integers(1, 4))
    def speak(self, sentence: int, count: int) -> None:
        for _ in range(count):
            if (part := self.next_parts[sentence]) < PARTS[sentence]:
                self.write(sentence, self.attempts[sentence], part)
                self.next_parts[sentence] += 1

    @rule(sentence=SENTENCES)
    def fence(self, sentence: int) -> None:
        """The worker is given up; another goes on with the first part that is missing."""
        self.stale += (
            [(sentence, self.attempts[sentence], self.next_parts[sentence])] if self.attempts[sentence] else []
        )
        self.attempts[sentence] += 1
        key = keys.sentence(self.session, 0, sentence)
        self.do(self.streams.fence(key, self.attempts[sentence]))
        self.do(self.holder.inbox.pull({key}))
        is_over = self.relay.position[0] > sentence
        self.next_parts[sentence] = PARTS[sentence] if is_over else self.relay.next_part(sentence)

    @rule(which=st.integers(0, 9))
    def one_who_was_given_up_wakes(self, which: int) -> None:
        if self.stale:
            sentence, attempt, part = self.stale.pop(which % len(self.stale))
            for late in range(part, PARTS[sentence]):
                self.write(sentence, attempt, late)

    @rule(sentence=SENTENCES)
    def hear_a_bell(self, sentence: int) -> None:
        self.do(self.holder.inbox.pull({keys.sentence(self.session, 0, sentence)}))

    @rule()
    def follow(self) -> None:
        self.do(self.follower.follow())

    @rule(ear=EARS, follows=st.booleans())
    def join(self, ear: int, follows: bool) -> None:
        client = self.ears[ear]
        if client.process is None:
            process = client.process = self.follower if follows else self.holder
            client.listener, client.joined = process.log.join(), Place(0, process.position)
            client.resume = client.place()
            for item in self.do(_all_missed(self.streams, self.session, client.resume, client.joined)):
                client.take(item)

    @rule(ear=EARS)
    def leave(self, ear: int) -> None:
        client = self.ears[ear]
        if client.process and client.listener:
            client.process.log.leave(client.listener)
            client.process = client.listener = None

    @rule(ear=EARS, count=st.integers(1, 9))
    def listen(self, ear: int, count: int) -> None:
        client = self.ears[ear]
        for _ in range(count):
            item = client.process.log.take(client.listener) if client.process and client.listener else None
            if item and is_new(item, client.resume, client.joined):
                client.take(item)

    @rule()
    def wipe(self) -> None:
        """Redis forgets all; what is not given yet is made again from where the ear is."""
        self.redis.delete(*self.keys())
        self.write_down()
        for sentence in range(self.relay.position[0], len(PARTS)):
            self.fence(sentence)

    @rule()
    def die(self) -> None:
        """Who follows goes on from what Redis has, before those who listen there."""
        for ear, client in enumerate(self.ears):
            if client.process is self.holder:
                self.leave(ear)
        self.do(self.follower.follow())
        self.holder, self.follower = self.follower, self.process()
        self.relay = self.holder.hold()
        for sentence in range(self.relay.position[0], len(PARTS)):
            self.fence(sentence)

    @invariant()
    def memory_is_what_somebody_waits_for(self) -> None:
        for process in (self.holder, self.follower) if hasattr(self, "holder") else ():
            if not any(ear.process is process for ear in self.ears):
                assert len(process.log._items) == 0

    # in the end

    def finish(self) -> None:
        """All is spoken and everybody who listens hears it out."""
        for ear in range(len(self.ears)):
            self.join(ear, follows=False)
        for sentence in range(self.relay.position[0], len(PARTS)):
            self.fence(sentence)
            self.speak(sentence, PARTS[sentence])
        self.pull_all()
        assert self.relay.position == (len(PARTS), 0), "the turn came to its end"
        self.do(self.follower.follow())
        for ear, client in enumerate(self.ears):
            if client.process is self.follower and self.follower.reader.position != (len(PARTS), 0):
                continue  # what it misses is gone; `tail.py` tells of it when the turn has ended
            self.listen(ear, 2 * len(PLACES))
            assert client.is_at_end or (client.had and client.had[-1] == PLACES[-1]), "nobody waits for what is gone"


async def _wait(work: Awaitable[Result]) -> Result:
    return await work


async def _all_missed(streams: Streams, session: str, resume: Resume, joined: Place) -> list[Item]:
    return [item async for item in missed(streams, session, resume, joined)]


def test_each_sample_once_or_a_gap(alone: Stack) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: ResumeMachine(alone.redis_url),
        settings=settings(max_examples=120, stateful_step_count=40, deadline=None),
    )
