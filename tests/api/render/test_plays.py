"""A play is kept as it is, whatever its lines say, and as earlier versions kept it."""

from __future__ import annotations

import json
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from api.render.play import CastLine, Play
from contract.voice import Voice

TEXTS = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(['",\n"', "},\n{", "\u2028\x85", "]}", ""])
LINES = st.builds(CastLine, TEXTS, TEXTS, st.builds(Voice, rate=st.floats(0.25, 4)), TEXTS, pause_before_ms=st.none())
PLAYS = st.builds(Play, st.lists(LINES, max_size=5).map(tuple), st.lists(TEXTS).map(tuple), st.integers(0, 9))


@given(PLAYS)
def test_what_is_read_is_what_was_kept(play: Play) -> None:
    kept = play.to_json()
    assert Play.from_json(kept) == play
    assert len(json.loads(kept)["lines"]) == len(play.lines), "and anybody can read it"


@given(PLAYS)
def test_a_play_of_an_earlier_version_is_read(play: Play) -> None:
    assert Play.from_json(json.dumps(asdict(play), ensure_ascii=False)) == play
