"""Log and Listener under any order of events: each hears all of what was said since it came, and nothing silenced."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from api.session import listeners
from api.session.listeners import Item, Listener, Log
from contract.chunk import Chunk

MOST_BYTES = 600
MOST_ITEMS = 40
TURNS = 4


@dataclass(eq=False)
class Ear:
    """A listener, and where it came in."""

    listener: Listener
    since: int


class LogMachine(RuleBasedStateMachine):
    """The model is a list of everything that was said, and for each place the turns that were silent by then."""

    ears = Bundle("ears")

    @initialize()
    def begin(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(listeners, "MAX_LAG_BYTES", MOST_BYTES)
        self.patch.setattr(listeners, "MAX_LAG_ITEMS", MOST_ITEMS)
        self.log = Log()
        self.said: list[Item] = []
        self.silenced: set[int] = set()
        self.present: list[Ear] = []
        self.parts = [0] * TURNS

    def teardown(self) -> None:
        if hasattr(self, "patch"):
            self.patch.undo()

    def say(self, item: Item) -> None:
        self.said.append(item)
        self.log.append(item)

    @rule(count=st.integers(1, 12))
    def say_words(self, count: int) -> None:
        for _ in range(count):
            self.say(Item(f'{{"n":{len(self.said)}}}'))

    @rule(turn=st.integers(0, TURNS - 1), size=st.integers(0, 30), last=st.booleans())
    def say_sound(self, turn: int, size: int, last: bool) -> None:
        self.parts[turn] += 1
        self.say(Item(chunk=Chunk(turn, 0, self.parts[turn], 1, b"x" * 2 * size, last)))

    @rule(turn=st.integers(0, TURNS - 1))
    def silence(self, turn: int) -> None:
        self.log.silence(turn)
        self.silenced.add(turn)

    @rule(target=ears)
    def join(self) -> Ear:
        ear = Ear(self.log.join(), len(self.said))
        self.present.append(ear)
        return ear

    @rule(ear=consumes(ears))
    def leave(self, ear: Ear) -> None:
        self.log.leave(ear.listener)
        self.present.remove(ear)

    @rule(ear=ears, count=st.integers(1, 30))
    def take(self, ear: Ear, count: int) -> None:
        for _ in range(count):
            if ear.listener.lost:
                return
            before = ear.listener.position
            item = self.log.take(ear.listener)
            # What is skipped on the way is sound of silenced turns, and no end of a sentence.
            passed = self.said[before : ear.listener.position - (item is not None)]
            for skipped in passed:
                assert skipped.chunk
                assert skipped.chunk.turn in self.silenced
                assert not skipped.chunk.last
            if item is None:
                assert ear.listener.position == len(self.said)
                return
            self.check(item, self.said[ear.listener.position - 1])

    def check(self, item: Item, said: Item) -> None:
        chunk = said.chunk
        if chunk is None or chunk.turn not in self.silenced or not chunk.pcm:
            assert item is said
        else:
            assert item.chunk
            assert chunk.last
            assert (item.chunk.pcm, item.chunk.last) == (b"", True), "of a silenced turn only the ends are heard"
            assert (item.chunk.turn, item.chunk.sentence, item.chunk.part) == (chunk.turn, chunk.sentence, chunk.part)

    @invariant()
    def memory_is_bounded(self) -> None:
        if hasattr(self, "log"):
            assert self.log._size == sum(item.size for item in self.log._items)
            assert self.log._size <= MOST_BYTES
            assert len(self.log._items) <= MOST_ITEMS

    @invariant()
    def nothing_is_kept_that_all_have_heard(self) -> None:
        if hasattr(self, "log"):
            heard = [ear.listener.position for ear in self.present if not ear.listener.lost]
            assert self.log.end == len(self.said)
            assert len(self.log._items) == len(self.said) - min(heard, default=len(self.said))

    @invariant()
    def only_who_is_too_slow_is_let_go(self) -> None:
        if hasattr(self, "log"):
            for ear in self.present:
                behind = self.said[ear.listener.position :]
                is_too_slow = sum(item.size for item in behind) > MOST_BYTES or len(behind) > MOST_ITEMS
                assert (ear.listener.lost is None) or is_too_slow
                assert ear.listener.position >= ear.since


TestLog = LogMachine.TestCase
TestLog.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
