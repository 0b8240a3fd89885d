"""The reorder buffer, whatever comes in whatever order: the order of speech, each part once."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from api.turn.reorder import ReorderBuffer
from contract.chunk import Chunk, tombstone

MOST_SENTENCES = 4
MOST_PARTS = 5
LATER = 99
"""An attempt that wins over all before it."""


class ReorderMachine(RuleBasedStateMachine):
    """The model: of what has come and is not given out, the newest attempt's copy of each place."""

    @initialize(lengths=st.lists(st.integers(1, MOST_PARTS), min_size=1, max_size=MOST_SENTENCES))
    def begin(self, lengths: list[int]) -> None:
        self.lengths = lengths
        self.buffer = ReorderBuffer()
        self.waiting: dict[tuple[int, int], Chunk] = {}
        self.given: list[Chunk] = []

    def chunk(self, sentence: int, part: int, attempt: int) -> Chunk:
        """What an attempt makes of a place: its own bytes, as an engine that is not repeatable does."""
        pcm = f"{sentence}.{part}.{attempt};".encode()
        return Chunk(0, sentence, part, attempt, pcm, last=part == self.lengths[sentence] - 1)

    @property
    def due(self) -> tuple[int, int]:
        if not self.given:
            return 0, 0
        newest = self.given[-1]
        return (newest.sentence + 1, 0) if newest.last else (newest.sentence, newest.part + 1)

    def push(self, chunk: Chunk) -> None:
        place = chunk.sentence, chunk.part
        if chunk.failed and chunk.sentence == self.due[0]:
            place = max(place, self.due)
        if place >= self.due and (place not in self.waiting or chunk.attempt > self.waiting[place].attempt):
            self.waiting[place] = chunk
        for out in self.buffer.push(chunk):
            assert (out.sentence, out.part) == self.due, "out of order, doubled or with a hole"
            expected = self.waiting.pop(self.due)
            assert (out.pcm, out.attempt, out.last, out.failed) == (
                expected.pcm,
                expected.attempt,
                expected.last,
                expected.failed,
            )
            self.given.append(out)
            if out.last:
                self.waiting = {place: held for place, held in self.waiting.items() if place[0] > out.sentence}
        assert self.due not in self.waiting, "it was due and was kept back"

    @rule(data=st.data(), attempt=st.integers(1, 4))
    def a_chunk_comes(self, data: st.DataObject, attempt: int) -> None:
        sentence = data.draw(st.integers(0, len(self.lengths) - 1))
        self.push(self.chunk(sentence, data.draw(st.integers(0, self.lengths[sentence] - 1)), attempt))

    @rule(data=st.data(), attempt=st.integers(1, 4))
    def an_attempt_writes_a_run(self, data: st.DataObject, attempt: int) -> None:
        sentence = data.draw(st.integers(0, len(self.lengths) - 1))
        for part in range(data.draw(st.integers(0, self.lengths[sentence] - 1)), self.lengths[sentence]):
            self.push(self.chunk(sentence, part, attempt))

    @rule(data=st.data())
    def a_sentence_is_given_up(self, data: st.DataObject) -> None:
        """Its owner names the first part that is missing, or an earlier one: it may not have seen the newest."""
        sentence = data.draw(st.integers(0, len(self.lengths) - 1))
        self.push(tombstone(0, sentence, data.draw(st.integers(0, self.buffer.next_part(sentence))), LATER))

    @rule(sentence=st.integers(0, MOST_SENTENCES - 1))
    def what_waits_behind_a_hole_is_dropped(self, sentence: int) -> None:
        part = self.buffer.next_part(sentence)
        self.buffer.cut(sentence)
        for place in [place for place in self.waiting if place[0] == sentence and place[1] >= part]:
            del self.waiting[place]

    @rule(sentence=st.integers(0, MOST_SENTENCES - 1))
    def a_sentence_starts_again(self, sentence: int) -> None:
        may_forget = (sentence, 0) >= self.due
        assert self.buffer.forget(sentence) is may_forget
        if may_forget:
            self.waiting = {place: held for place, held in self.waiting.items() if place[0] != sentence}

    @precondition(lambda self: hasattr(self, "buffer"))
    @invariant()
    def the_place_is_right(self) -> None:
        assert self.buffer.position == self.due
        for sentence in range(self.due[0], len(self.lengths)):
            part = self.due[1] if sentence == self.due[0] else 0
            while (held := self.waiting.get((sentence, part))) and not held.failed:
                part += 1
            assert self.buffer.next_part(sentence) == part, "another attempt would go on at the wrong place"
            before = self.waiting.get((sentence, part - 1))
            has_end = (sentence, part) in self.waiting or (before is not None and before.last)
            assert self.buffer.is_whole(sentence) is has_end, "a hole, or the end is there"

    @precondition(lambda self: hasattr(self, "buffer"))
    @invariant()
    def nothing_is_kept_in_vain(self) -> None:
        kept = {(sentence, part) for sentence, parts in self.buffer._held.items() for part in parts}
        assert kept == set(self.waiting)

    def teardown(self) -> None:
        """Whatever happened, the rest can still be spoken, and every sentence ends once."""
        if not hasattr(self, "buffer"):
            return
        for sentence in range(len(self.lengths)):
            for part in range(self.lengths[sentence]):
                self.push(self.chunk(sentence, part, LATER))
        assert [chunk.sentence for chunk in self.given if chunk.last] == list(range(len(self.lengths)))


TestReorder = ReorderMachine.TestCase
TestReorder.settings = settings(max_examples=120, stateful_step_count=50, deadline=None)
