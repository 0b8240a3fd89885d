"""Who speaks which part; and everything that is unknown, before anything is made."""

from __future__ import annotations

import pytest

from api.characters import CAST
from api.errors import CastUnknown
from api.render.casting import assign
from api.render.reading.kinds import read_script
from api.render.script import Script
from contract.voice import Voice

VOICES = [
    {"name": "en-us", "language": "en-us", "engine": "espeak", "label": "English"},
    {"name": "de", "language": "de"},
]
AVA = CAST["ava"]


def script(text: str) -> Script:
    return read_script(text, kind="plain")


def test_speakers_are_the_characters_of_their_names() -> None:
    roles = assign(script("AVA: Hi.\nBen: Hi.\nNarrator: They met."), {}, CAST.values(), VOICES)
    assert {name: role.name for name, role in roles.items()} == {"AVA": "Ava", "Ben": "Ben", "Narrator": "Doran"}
    assert roles["AVA"].voice == AVA.voice


def test_a_cast_names_characters_voices_and_whoever_is_left() -> None:
    own = Voice("en-us+f3", rate=1.5)
    cast = {"ann": "cleo", "BOB": "de", "Cat": own, "DOG": "en-us+m3", "*": "en-us"}
    roles = assign(script("ANN: 1\nBOB: 2\nCAT: 3\nDOG: 4\nEve: 5\nAva: 6"), cast, CAST.values(), VOICES)
    assert roles["ANN"].voice == CAST["cleo"].voice
    assert (roles["BOB"].voice.name, roles["BOB"].voice.language) == ("de", "de")
    assert roles["CAT"].voice == own
    assert roles["DOG"].voice.name == "en-us+m3"
    assert roles["Eve"].voice == roles["Ava"].voice == Voice("en-us", "espeak", "en-us")


def test_everything_unknown_is_told_at_once_with_its_lines() -> None:
    text = "# x\nAvva: 1\nBEN: 2\nAvva: 3\nZOE: 4"
    cast = {"Ben": "enn-us", "Nobody": "ava"}
    with pytest.raises(CastUnknown) as raised:
        assign(script(text), cast, CAST.values(), VOICES)
    assert [problem.source_line for problem in raised.value.problems] == [0, 2, 3, 5]
    nobody, avva, ben, zoe = (problem.text for problem in raised.value.problems)
    assert "'Nobody', who says nothing" in nobody
    assert "'Avva' (lines 2, 4). Did you mean 'Ava'?" in avva
    assert "'enn-us'" in ben
    assert "'ZOE'" in zoe
    assert raised.value.text.count("Line") == 3


def test_without_workers_no_voice_is_refused() -> None:
    assert assign(script("ANN: Hi."), {"ANN": "some-voice"}, [], None)["ANN"].voice == Voice("some-voice")
    with pytest.raises(CastUnknown):
        assign(script("ANN: Hi."), {"ANN": "some-voice"}, [], [])


def test_a_line_has_its_own_speed_and_direction() -> None:
    text = "AVA (softly, speed 2): One.\nAVA: Two.\nBEN (speed 4): Three."
    play = script(text)
    roles = assign(play, {}, CAST.values(), VOICES)
    first, second, third = (roles[line.speaker].voice_for(line) for line in play.lines)
    assert (first.rate, second) == (2.0, AVA.voice)
    assert first.description == f"{AVA.voice.description}; softly"
    assert third.rate == pytest.approx(3.8)
