"""One log, many listeners: the same for each, at its own pace, at nobody else's cost."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.errors import ListenerTooSlow
from api.session import listeners
from api.session.listeners import Item, Listener, Log
from contract.chunk import Chunk


def text(number: int) -> Item:
    return Item(f'{{"n":{number}}}')


def sound(turn: int, part: int, last: bool = False) -> Item:
    return Item(chunk=Chunk(turn, 0, part, 1, b"xx", last))


def heard(log: Log, listener: Listener) -> list[Item]:
    found = []
    while (item := log.take(listener)) is not None:
        found.append(item)
    return found


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=60))
def test_every_listener_hears_what_was_said_since_it_joined(steps: list[int]) -> None:
    """0: say something · 1: somebody joins · 2: the first listens · 3: the last leaves."""
    log = Log()
    said: list[Item] = []
    joined: list[tuple[Listener, int, list[Item]]] = []
    for step in steps:
        if step == 0:
            said.append(text(len(said)))
            log.append(said[-1])
        elif step == 1:
            joined.append((log.join(), len(said), []))
        elif step == 2 and joined:
            joined[0][2].extend(heard(log, joined[0][0]))
        elif step == 3 and len(joined) > 1:
            log.leave(joined.pop()[0])
    for listener, since, got in joined:
        assert got + heard(log, listener) == said[since:]


def test_a_log_that_everybody_has_heard_keeps_nothing() -> None:
    log = Log()
    first, second = log.join(), log.join()
    for number in range(100):
        log.append(text(number))
    heard(log, first)
    assert len(log._items) == 100
    heard(log, second)
    log.append(text(0))
    assert len(log._items) == 1


def test_a_log_without_listeners_keeps_nothing_and_counts_on() -> None:
    log = Log()
    log.append(text(0))
    late = log.join()
    log.append(text(1))
    assert heard(log, late) == [text(1)]


async def test_who_falls_too_far_behind_is_let_go_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "MAX_LAG_BYTES", 100)
    log = Log()
    slow, fast = log.join(), log.join()
    for number in range(50):
        log.append(text(number))
        assert heard(log, fast) == [text(number)]
    assert sum(item.size for item in log._items) <= 100
    with pytest.raises(ListenerTooSlow):
        await slow.next()


def test_a_cancelled_turn_is_not_heard_by_a_slow_listener_but_its_sentences_end() -> None:
    log = Log()
    slow = log.join()
    for item in (sound(0, 0), text(1), sound(0, 1, last=True), sound(1, 0)):
        log.append(item)
    log.silence(0)
    got = heard(log, slow)
    assert [item.text for item in got if item.chunk is None] == ['{"n":1}']
    assert [(c.turn, c.last, c.pcm) for item in got if (c := item.chunk)] == [(0, True, b""), (1, False, b"xx")]


async def test_a_private_word_keeps_its_place_unless_it_is_urgent() -> None:
    log = Log()
    listener = log.join()
    log.append(text(1))
    listener.tell("private")
    log.append(text(2))
    listener.tell("urgent", at_once=True)
    # The urgent one stands behind the private one, which waits for what was said before it.
    got = [(await asyncio.wait_for(listener.next(), 1)).text for _ in range(4)]
    assert got.index("private") == 1 + got.index('{"n":1}')
    assert got.index("urgent") < got.index('{"n":2}')
