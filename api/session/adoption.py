"""Adoption: a session goes on where another process has left it. Not: whether it may (holdings.py)."""

from __future__ import annotations

import logging
from bisect import bisect_right
from contextlib import nullcontext
from dataclasses import dataclass, field

from api.ensemble.changing import read_playbill
from api.errors import ServerRestarted
from api.events import LlmStatus, TtsEnd, TtsStop, TurnState, error_message
from api.history import History, Spoken
from api.session.memory import Memory
from api.session.mirror import MAX_WAITING
from api.session.session import Session
from api.session.turns import Turns, Waiting
from api.store.archive import Archive
from api.streams import Holder, Streams
from api.turn.record import Left, load_left
from api.turn.replay import TurnReader
from api.turn.stage import Parts
from api.turn.turn import Turn
from contract import keys
from contract.chunk import tombstone

log = logging.getLogger(__name__)

MAX_ORPHANS = 12
"""Turns that one process can leave: the running one, those that wait, and some grace."""


async def adopt(parts: Parts, archive: Archive, session: Session, epoch: int, before: Holder) -> None:
    """Hold a session, whose claim is ours already, and go on with what was running and waiting in it.

    Raises: StreamsError, and then it is not held.
    """
    for name in before.names - {parts.inbox.name}:
        await parts.inbox.inherit(name)
    async with session.tail.standing_still() if session.tail else nullcontext():
        left = await _find(parts, archive, session, epoch)
        # From here to the end nobody else comes in between: who speaks next finds the session whole.
        turns = Turns(parts, session, left.memory, max(left.next_turn, session.next_turn), session.at_rest)
        # The process before may have told its listeners more than it could still write down.
        session.hold(turns, epoch, skipped=MAX_WAITING if before.name else 0)
        _go_on(parts, session, turns, left)


@dataclass(slots=True)
class _Found:
    """A session as the process before has left it in Redis."""

    memory: Memory
    next_turn: int
    running: list[tuple[Waiting, Left]] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    untold: list[tuple[Waiting, Left]] = field(default_factory=list)
    """Turns that have ended, though nobody could be told."""
    lost: set[int] = field(default_factory=set)
    """Of those that ran, turns that were over or cut already, or whose audio is gone: nobody waits for the rest."""


async def _find(parts: Parts, archive: Archive, session: Session, epoch: int) -> _Found:
    streams = parts.streams
    fields = await streams.load_session(session.id)
    if "owner" in fields:
        session.playbill = await read_playbill(parts.cast, fields)
    next_turn = int(fields.get("next_turn", 0))
    # A turn that was taken while the session could not be saved.
    while (await streams.load_turn(session.id, next_turn)).get("said"):
        next_turn += 1
    history = History(await streams.load_history(session.id))
    keeper = archive.keeper(session.id, session.owner, session.character.id, session.playbill.at_rest())
    memory = Memory(streams, session.id, keeper, epoch, history, await streams.load_messages(session.id))
    keeper.catch_up(history.messages)
    found = _Found(memory, next_turn)
    are_told = False
    for number in reversed(range(max(0, next_turn - MAX_ORPHANS), next_turn)):
        record = await streams.load_turn(session.id, number)
        state = record.get("state") if "said" in record else None
        if state == "waiting":
            found.waiting.insert(0, Waiting.from_json(number, record["said"]))
        elif state == "running":
            reader = session.tail.readers.get(number) if session.tail else None
            left = await load_left(streams, session.id, number, reader or TurnReader(streams, session.id, number))
            found.running.insert(0, (Waiting.from_json(number, record["said"]), left))
            if await _is_beyond_help(streams, session, number, left):
                found.lost.add(number)
        elif state == "ended" and not are_told:
            left = await load_left(streams, session.id, number, TurnReader(streams, session.id, number))
            # Ends are told in the order of the turns: those before one that was told were told too.
            are_told = left.has_said("turn", state="ended")
            if not are_told:
                found.untold.insert(0, (Waiting.from_json(number, record["said"]), left))
    for said in (*found.waiting, *(said for said, _ in found.running), *(said for said, _ in found.untold)):
        memory.recognize(said.utterance.id, said.turn)
    return found


def _go_on(parts: Parts, session: Session, turns: Turns, left: _Found) -> None:
    for said, ended in left.untold:
        if ended.reason == "complete" and ended.is_whole and said.character:
            stretches = ended.stretches(said.character)
            spoken = [
                Spoken(sentence.text, 0, stretch=bisect_right([end for _, end in stretches], number))
                for number, sentence in enumerate(ended.sentences)
            ]
            turns.memory.keep(said.turn, [(one.character.name, one.text) for one, _ in stretches], spoken)
        _tell_end(session, said.turn, ended)
    first: Turn | None = None
    for said, turn_left in left.running:
        if said.turn in left.lost or first:
            turns.bury(_bury(parts.streams, session, said.turn, turn_left))
            _tell_end(session, said.turn, turn_left)
        else:
            first = _turn(session, turns, said, turn_left)
    if first or left.waiting:
        log.warning("going on with what another process has left")
    turns.go_on(first, left.waiting)


def _turn(session: Session, turns: Turns, said: Waiting, left: Left) -> Turn:
    is_fresh = not left.sentences and not left.is_whole
    turn = turns.begin(said, None if is_fresh else left)
    if not left.has_said("turn", state="started"):
        turn.announce()
    elif is_fresh:
        # Nothing of it was heard, so the model is asked again, and what was seen of it counts no more.
        session.emit(LlmStatus(turn=said.turn))
    return turn


async def _is_beyond_help(streams: Streams, session: Session, number: int, left: Left) -> bool:
    """Whether a turn was over or cut already, or is so old that its audio is gone: nobody waits for the rest."""
    if left.has_said("tts_stop") or left.has_said("tts_end"):
        return True
    return bool(left.sentences) and not await streams.count_sentences(session.id, number)


async def _bury(streams: Streams, session: Session, number: int, left: Left) -> None:
    """End its streams, for replays that would wait, and for workers who still speak it."""
    count = len(left.sentences)
    stones = {
        keys.sentence(session.id, number, sentence): tombstone(number, sentence, 0, 0).pack()
        for sentence in range(left.position[0], count)
    }
    await streams.end_sentences(stones)
    await streams.save_turn(session.id, number, {"state": "ended", "sentences": str(count)})


def _tell_end(session: Session, number: int, left: Left) -> None:
    """Say how a turn ended, to listeners who would wait."""
    if left.has_said("turn", state="ended"):
        return
    stopped = next((message for message in left.messages if message["type"] == "tts_stop"), None)
    if stopped or left.reason in {"interrupted", "stopped"}:
        reason = stopped["reason"] if stopped else left.reason
        if not stopped:
            session.emit(TtsStop(turn=number, reason=reason))
        session.emit(TurnState(turn=number, state="ended", reason=reason))
        return
    is_told = left.has_said("tts_end") or left.reason == "complete"
    if not is_told:
        session.emit(error_message(ServerRestarted(), number))
    if not left.has_said("tts_end"):
        # Not tts_stop: what was made is still good to be heard.
        session.emit(TtsEnd(turn=number))
    is_complete = left.reason == "complete" or (is_told and not left.failure and left.reason != "failed")
    session.emit(TurnState(turn=number, state="ended", reason="complete" if is_complete else "failed"))
