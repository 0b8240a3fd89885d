"""Speaker tags in a streamed reply: however it is cut, the same words belong to the same speakers, and none is lost."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.ensemble.tags import Piece, TagSplitter

NAMES = ("Ava", "Ben", "Old Tom", "Anna")


def split(
    tokens: list[str], names: tuple[str, ...] = NAMES, mute: tuple[int, ...] = (), speaker: int = 0
) -> list[Piece]:
    splitter = TagSplitter(names, mute, speaker)
    pieces = [piece for token in tokens for piece in splitter.push(token)] + splitter.flush()
    joined: list[Piece] = []
    for place, text in pieces:
        before = joined.pop()[1] if joined and joined[-1][0] == place else ""
        joined.append((place, before + text))
    return joined


@pytest.mark.parametrize(
    ("reply", "pieces"),
    [
        ("Hello there. How are you?", [(0, "Hello there. How are you?")]),
        ("[SPEAKER1] Hello.[SPEAKER0] Hi.", [(1, "Hello."), (0, "Hi.")]),
        ("Hello. [ speaker_1 ]: Hi there.", [(0, "Hello. "), (1, "Hi there.")]),
        ("Ava: Hello.\nBen: Hi.\nOld Tom: Ahoy.", [(0, "Hello.\n"), (1, "Hi.\n"), (2, "Ahoy.")]),
        ("**Ben:** Hi. **Loud** words.", [(1, "Hi. **Loud** words.")]),
        ("**Ben**: *smiles* Hi.", [(1, "*smiles* Hi.")]),
        ("ben : Hi.", [(1, "Hi.")]),
        ("[SPEAKER1] Ben: Hi.", [(1, "Hi.")]),
        ("Anna: Hi.", [(3, "Hi.")]),
        ("I met Ben: he said hi.", [(0, "I met Ben: he said hi.")]),
        ("Ben said: hi.", [(0, "Ben said: hi.")]),
        ("Benny: hi.", [(0, "Benny: hi.")]),
        ("Note: this is text.\nZoe: So is this.", [(0, "Note: this is text.\nZoe: So is this.")]),
        ("Ben: Hi.\n[SPEAKER9] And more.", [(1, "Hi.\nAnd more.")]),
        ("[SPEAKER] and [SPEAKER1 are text.", [(0, "[SPEAKER] and [SPEAKER1 are text.")]),
        ("See [1] and [SPEA", [(0, "See [1] and [SPEA")]),
        ("```\nBen: 1\n[SPEAKER1]\n```\nBen: Done.", [(0, "```\nBen: 1\n[SPEAKER1]\n```\n"), (1, "Done.")]),
        ("Hello.\n\n  Ben: Hi.", [(0, "Hello.\n\n"), (1, "Hi.")]),
        ("Be", [(0, "Be")]),
        ("Ben", [(0, "Ben")]),
        ("Ben:", []),
    ],
)
def test_whose_words_are_whose(reply: str, pieces: list[Piece]) -> None:
    assert split([reply]) == pieces
    assert split(list(reply)) == pieces


def test_who_may_not_speak_changes_nothing_and_loses_nothing() -> None:
    assert split(["Ben: Hi. [SPEAKER1] And more.\nAnna: Yes."], mute=(1,)) == [(0, "Hi. And more.\n"), (3, "Yes.")]


def test_who_was_asked_may_speak_though_it_is_muted() -> None:
    assert split(["Ben: Hi.\nAva: Yes.\nBen: So."], mute=(1,), speaker=1) == [(1, "Hi.\n"), (0, "Yes.\n"), (1, "So.")]


WORDS = st.sampled_from(
    [
        "Ava",
        "Ben",
        "Old ",
        "Tom",
        "Anna",
        ":",
        " ",
        "\n",
        "[SPEAKER",
        "[",
        "0",
        "1",
        "7",
        "]",
        "*",
        "**",
        "Hi.",
        "```",
        "x",
    ]
)


@given(st.lists(WORDS, max_size=30).map("".join), st.data())
@example("**Ava:** [SPEAKER1]: Ben: x", None)
def test_however_it_is_cut_the_same_is_found(reply: str, data: st.DataObject | None) -> None:
    whole = split([reply])
    assert split(list(reply)) == whole
    if data:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(reply)), max_size=6)))
        tokens = [reply[start:end] for start, end in zip([0, *cuts], [*cuts, len(reply)], strict=True)]
        assert split(tokens) == whole


@given(st.text(max_size=200))
def test_a_text_without_names_and_places_comes_out_as_it_is(reply: str) -> None:
    assert (
        "".join(text for _, text in split(list(reply), names=("Quetzalcoatl",))) == reply or "SPEAKER" in reply.upper()
    )


@given(st.lists(WORDS, max_size=30).map("".join))
def test_no_word_is_lost(reply: str) -> None:
    """What is left out is tags, and signs and spaces around them."""
    kept = "".join(text for _, text in split([reply]))
    for word in ("Hi.", "x", "```"):
        assert kept.count(word) == reply.count(word)


def test_little_is_held_back() -> None:
    splitter = TagSplitter(NAMES, (), 0)
    assert splitter.push("Hel") == [(0, "Hel")]
    assert splitter.push("lo, An") == [(0, "lo, An")]
    assert splitter.push("\nOld") == [(0, "\n")]
    assert splitter.push(" Ma") == [(0, "Old Ma")]
