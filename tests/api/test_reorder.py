"""Law 3: arrival order does not matter."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from api.turn.reorder import ReorderBuffer
from contract.chunk import Chunk, tombstone


def _pcm(sentence: int, part: int) -> bytes:
    return f"{sentence}.{part};".encode()


def _turn(parts: list[int], attempt: int = 1) -> list[Chunk]:
    """A turn whose sentences have so many parts each."""
    return [
        Chunk(0, sentence, part, attempt, _pcm(sentence, part), last=part == count - 1)
        for sentence, count in enumerate(parts)
        for part in range(count)
    ]


def _play(buffer: ReorderBuffer, arrivals: list[Chunk]) -> list[Chunk]:
    return [due for chunk in arrivals for due in buffer.push(chunk)]


TURNS = st.lists(st.integers(1, 6), min_size=1, max_size=5)


@settings(max_examples=300, deadline=None)
@given(TURNS, st.data())
def test_any_shuffle_with_duplicates_and_a_stale_attempt_plays_the_same(parts: list[int], data: st.DataObject) -> None:
    stale, fresh = _turn(parts, attempt=1), _turn(parts, attempt=2)
    extra = data.draw(st.lists(st.sampled_from(stale + fresh), max_size=20))
    arrivals = data.draw(st.permutations(fresh + extra))
    played = _play(ReorderBuffer(), arrivals)
    assert [(c.sentence, c.part, c.pcm, c.last) for c in played] == [(c.sentence, c.part, c.pcm, c.last) for c in fresh]


@settings(max_examples=200, deadline=None)
@given(TURNS, st.data())
def test_an_attempt_that_goes_on_leaves_no_seam(parts: list[int], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, sum(parts)))
    whole = _turn(parts)
    arrivals = whole[:cut] + [replace(chunk, attempt=2) for chunk in whole[cut:]]
    played = _play(ReorderBuffer(), data.draw(st.permutations(arrivals)))
    assert [chunk.pcm for chunk in played] == [chunk.pcm for chunk in whole]


@settings(max_examples=200, deadline=None)
@given(TURNS, st.data())
def test_a_listener_who_comes_back_gets_the_rest_and_nothing_twice(parts: list[int], data: st.DataObject) -> None:
    whole = _turn(parts)
    had = data.draw(st.integers(1, len(whole)))
    last = whole[had - 1]
    after = (last.sentence, last.part)
    played = _play(ReorderBuffer(after), data.draw(st.permutations(whole)))
    assert [chunk.pcm for chunk in played] == [chunk.pcm for chunk in whole[had:]]


@settings(max_examples=200, deadline=None)
@given(TURNS, st.data())
def test_a_sentence_always_ends_once(parts: list[int], data: st.DataObject) -> None:
    """Law 1: exactly one last chunk per sentence, wherever it failed and whatever came too late."""
    failed = data.draw(st.integers(0, len(parts) - 1))
    at = data.draw(st.integers(0, parts[failed] - 1))
    whole = _turn(parts)
    arrivals = [c for c in whole if c.sentence != failed or c.part < at] + [tombstone(0, failed, at, 2)]
    late = [c for c in whole if c.sentence == failed and c.part >= at]
    played = _play(ReorderBuffer(), data.draw(st.permutations(arrivals)) + late)
    assert [c.sentence for c in played if c.last] == list(range(len(parts)))
    assert [c.pcm for c in played if c.sentence != failed] == [c.pcm for c in whole if c.sentence != failed]
    assert [c.part for c in played if c.sentence == failed] == list(range(at + 1))


def test_an_end_that_comes_after_more_than_it_knew_takes_the_place_that_is_due() -> None:
    buffer = ReorderBuffer()
    _play(buffer, [Chunk(0, 0, part, 1, b"xx") for part in range(3)])
    assert buffer.push(tombstone(0, 0, 1, 2)) == [tombstone(0, 0, 3, 2)]
    assert buffer.position == (1, 0)


def test_the_first_missing_part_is_where_another_attempt_goes_on() -> None:
    buffer = ReorderBuffer()
    _play(buffer, [Chunk(0, 0, 0, 1, b"xx"), Chunk(0, 1, 0, 1, b"xx"), Chunk(0, 1, 2, 1, b"xx")])
    assert buffer.next_part(0) == 1
    assert buffer.next_part(1) == 1
    assert buffer.next_part(2) == 0
