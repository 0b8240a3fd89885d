"""What reaches an engine is words: no markup, no command, no mixture that is none."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.errors import TextUnspeakable, VoiceUnknown
from workers.tts.mixture import read_mixture
from workers.tts.plain import MAX_CLAUSE_CHARS, UNSPOKEN, clauses, pieces, plain_text

KNOWN = {"af_bella", "bm_lewis", "a.b-c"}


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=100))
def test_no_command_and_no_phoneme_brackets_get_through(text: str) -> None:
    with contextlib.suppress(TextUnspeakable):
        spoken = plain_text(text)
        assert not UNSPOKEN.search(spoken)
        assert "[[" not in spoken
        assert "]]" not in spoken
        assert any(character.isalnum() for character in spoken)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_clauses_lose_no_word(text: str) -> None:
    with contextlib.suppress(TextUnspeakable):
        spoken = plain_text(text)
        cut = clauses(spoken)
        letters = [character for character in spoken if character.isalnum()]
        assert [character for character in "".join(cut) if character.isalnum()] == letters
        assert all(0 < len(clause) <= MAX_CLAUSE_CHARS for clause in cut)


@given(st.text("ab ", max_size=200), st.integers(1, 20))
def test_pieces_fit_and_lose_no_letter(text: str, most: int) -> None:
    cut = pieces(" ".join(text.split()), most)
    assert all(0 < len(piece) <= most for piece in cut)
    assert "".join(cut).replace(" ", "") == text.replace(" ", "")


def test_a_sentence_is_cut_where_one_would_breathe() -> None:
    text = "Hello there, this is a test; it is short. Yes!"
    assert clauses(text) == ["Hello there,", "this is a test;", "it is short.", "Yes!"]
    assert clauses("No, it is not.") == ["No, it is not."]


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        ("af_bella", {"af_bella": 1.0}),
        ("af_bella+bm_lewis", {"af_bella": 0.5, "bm_lewis": 0.5}),
        ("af_bella+bm_lewis(3)", {"af_bella": 0.25, "bm_lewis": 0.75}),
        ("af_bella(0.5)+bm_lewis(1.5)", {"af_bella": 0.25, "bm_lewis": 0.75}),
        ("af_bella+af_bella", {"af_bella": 1.0}),
    ],
)
def test_a_mixture_has_shares_of_one(name: str, shares: dict[str, float]) -> None:
    assert read_mixture(name, KNOWN) == pytest.approx(shares)


@pytest.mark.parametrize(
    "name",
    ["", "+", "af_bella+", "nobody", "af_bella+nobody", "af_bella(0)", "af_bella(-1)", "af_bella(1", "af_bella(nan)",
     "af_bella (2)", "+".join(["af_bella"] * 9), "../af_bella", "af_bella(9999)"],
)  # fmt: skip
def test_what_is_no_mixture_is_refused(name: str) -> None:
    with pytest.raises(VoiceUnknown):
        read_mixture(name, KNOWN)
