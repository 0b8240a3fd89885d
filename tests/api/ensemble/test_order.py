"""Who speaks next: the same each time, and nobody who may not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.characters import CAST
from api.ensemble.changing import chosen
from api.ensemble.dialogue import Dialogue
from api.ensemble.order import first_speaker, mentioned, next_speaker
from api.ensemble.playbill import MAX_ANSWERS, MAX_MEMBERS, Order, Playbill, Tuning
from api.ensemble.stretch import Stretch
from api.errors import CastInvalid
from api.history import History, Said
from contract.voice import Voice

AVA, BEN, CLEO, DORAN = CAST.values()
FOUR = Playbill(AVA, (AVA, BEN, CLEO, DORAN))


def talk(*speakers: str) -> list[Said]:
    """Turns, each with its speakers: "Ava Ben" is one turn in which both spoke."""
    said = []
    for turn, names in enumerate(speakers):
        said += [Said("user", "hello", turn), *(Said("assistant", "hi", turn, name) for name in names.split())]
    return said


@pytest.mark.parametrize(
    ("text", "before", "first"),
    [
        ("Hello.", [], AVA),
        ("What do you say, Cleo?", ["Ben"], CLEO),
        ("Doran, did Ben say that?", ["Ava"], DORAN),
        ("BEN!", [], BEN),
        ("The bench and a havana.", [], AVA),
        ("And then?", ["Ava", "Ben Cleo"], BEN),
        ("And then?", ["Somebody"], AVA),
    ],
)
def test_in_talk_a_name_decides_then_whom_one_talked_with_last(text: str, before: list[str], first: object) -> None:
    assert first_speaker(FOUR, text, talk(*before)) is first


def test_in_talk_a_character_is_answered_by_whom_it_names_or_who_was_silent_longest() -> None:
    assert next_speaker(FOUR, "Ask Cleo, says Ava.", ["Ava"]) is CLEO
    assert next_speaker(FOUR, "And so on.", ["Ava"]) is BEN
    assert next_speaker(FOUR, "And so on.", ["Ben", "Cleo", "Doran", "Ava"]) is BEN
    assert next_speaker(FOUR, "And so on.", ["Ben", "Ava", "Ben"]) is CLEO


def test_in_a_list_one_speaks_after_the_other_and_the_muted_do_not() -> None:
    bill = replace(FOUR, order="list", muted=frozenset({"cleo"}))
    assert first_speaker(bill, "Cleo?", []) is AVA
    assert first_speaker(bill, "Cleo?", talk("Ben")) is DORAN
    assert next_speaker(bill, "Cleo?", ["Ben"]) is DORAN
    assert next_speaker(bill, "", ["Doran"]) is AVA


def test_of_the_chosen_nobody_is_answered() -> None:
    bill = replace(FOUR, order="chosen", character=CLEO, answers=4)
    assert first_speaker(bill, "Ben?", talk("Ben")) is CLEO
    assert next_speaker(bill, "Ben?", ["Cleo"]) is None


def test_who_is_chosen_joins_a_group_and_takes_the_place_of_one_alone() -> None:
    bill = replace(FOUR.with_members((AVA, BEN), frozenset({"ben"})), order="chosen")
    assert chosen(bill, CLEO).members == (AVA, BEN, CLEO)
    assert chosen(bill, BEN).speakers == [AVA, BEN]
    assert chosen(Playbill(AVA), BEN).members == (BEN,)
    full = FOUR.with_members(tuple(replace(AVA, id=str(n), name=str(n)) for n in range(MAX_MEMBERS)), frozenset())
    for group, stranger in ((full, CLEO), (bill, replace(CLEO, name="ava"))):
        with pytest.raises(CastInvalid):
            chosen(group, stranger)


def test_a_name_is_a_word_of_its_own_and_the_longer_one_counts() -> None:
    tom, old_tom = replace(AVA, id="t", name="Tom"), replace(AVA, id="o", name="Tom Old")
    assert mentioned("hello tom old.", [tom, old_tom]) is old_tom
    assert mentioned("hello tomorrow", [tom]) is None
    assert mentioned("(.*)", [replace(AVA, name=".*")]) is not None


@given(
    order=st.sampled_from(["talk", "list", "chosen"]),
    muted=st.sets(st.sampled_from(["ava", "ben", "cleo", "doran"]), max_size=3),
    text=st.sampled_from(["", "Ava", "ask Ben", "Cleo and Doran"]),
    spoken=st.lists(st.sampled_from(["Ava", "Ben", "Cleo", "Doran", "Nobody"]), max_size=6),
    answers=st.integers(0, MAX_ANSWERS),
)
def test_who_may_not_speak_does_not_and_answers_end(
    order: Order, muted: set[str], text: str, spoken: list[str], answers: int
) -> None:
    bill = replace(FOUR, order=order, answers=answers).with_members(FOUR.members, frozenset(muted))
    history = History()
    history.messages = [*talk(*spoken), Said("user", text, len(spoken))]
    dialogue = Dialogue(bill, history, len(spoken))
    assert dialogue.first.id not in muted
    assert Dialogue(bill, history, len(spoken)).first is dialogue.first
    stretches, speaker = [], dialogue.first
    while speaker:
        assert speaker.id not in muted
        stretches.append(Stretch(speaker, f"{text} indeed"))
        following = dialogue.next(stretches, len(stretches))
        assert following is not speaker
        speaker = following  # type: ignore[assignment]
    most = 1 if order == "chosen" or len(bill.speakers) == 1 else 1 + answers
    assert len(stretches) == most


def test_each_sees_the_talk_from_its_own_side() -> None:
    history = History()
    history.add_user(0, "Hello all.")
    history.set_reply(0, ("Ava", "I am Ava."), ("Ben", "And I am Ben."))
    history.add_user(1, "Ben?")
    dialogue = Dialogue(FOUR, history, 1)
    history.add_user(2, "Later.")
    system, *said = dialogue.prompt(CLEO, [Stretch(BEN, "Here I am. "), Stretch(AVA, "")])
    assert system["content"].startswith(CLEO.persona + "\n\n")
    assert "with Ava, Ben, Doran." in system["content"]
    assert said == [
        {"role": "user", "content": "Hello all."},
        {"role": "user", "content": "Ava: I am Ava."},
        {"role": "user", "content": "Ben: And I am Ben."},
        {"role": "user", "content": "Ben?"},
        {"role": "user", "content": "Ben: Here I am."},
    ]
    assert [one["role"] for one in dialogue.prompt(BEN, [])] == ["system", "user", "user", "assistant", "user"]


def test_alone_a_character_is_told_nothing_of_others() -> None:
    history = History()
    history.add_user(0, "Hello.")
    dialogue = Dialogue(Playbill(AVA), history, 0)
    assert dialogue.prompt(AVA, [])[0] == {"role": "system", "content": AVA.persona}
    assert dialogue.splitter(AVA) is None


def test_what_engines_remember_of_a_voice_ends_with_a_reset_and_with_the_voice() -> None:
    louder = replace(BEN, voice=replace(BEN.voice, name="other"))
    contexts = [
        FOUR.context_of(BEN),
        FOUR.context_of(louder),
        replace(FOUR, epoch="new").context_of(BEN),
        replace(FOUR, tuning=Tuning(speed=1.5)).context_of(BEN),
    ]
    assert len(set(contexts)) == 4
    assert replace(FOUR, order="list").context_of(replace(BEN, persona="Another.")) == contexts[0]


def test_a_voice_is_set_for_the_chosen_one_and_a_speed_for_all() -> None:
    bill = replace(FOUR, tuning=Tuning(voice="other", speed=0.5))
    assert bill.voice_of(AVA) == replace(AVA.voice, name="other", rate=0.5 * AVA.voice.rate)
    assert bill.voice_of(BEN) == replace(BEN.voice, rate=0.5 * BEN.voice.rate)
    assert bill.voice_of(replace(BEN, voice=Voice(rate=0.3))).rate == 0.25
