"""SentenceBuffer: the same sentences however the tokens were cut, nothing lost, nothing too long."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.turn import abbreviations
from api.turn.sentences import LOOK_AHEAD, SentenceBuffer, open_fence

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "sentences.json").read_text("utf-8"))
"""`‖` stands where a sentence ends; the text is the case without it."""
DEVIATIONS = GOLDEN.pop("deviations")
CASES = [pytest.param(case, id=f"{kind}-{n}") for kind, cases in GOLDEN.items() for n, case in enumerate(cases)]

PIECES = st.sampled_from(
    [
        *"aAbzIé1 3.!?,;:-–\n\t\"'()[]«»“”*_`~#>|@/…。！？؟।，「」と\u0301\u200d\u200b\u202e\u2028\u0085\u00a0\x00😀🏽",
        *["\ud800", "\udc00", "🇩🇪", "\r\n", "\n```\n", "```", "~~~", ": ```py\n", "- ", "\n1. "],
        *[
            "Dr. ",
            "U.S. ",
            "e.g. ",
            "The ",
            "hello ",
            "a.m. ",
            "end. ",
            "https://a.b/c?d ",
            "v2.0.1",
            "你好。",
            "مرحبا ",
        ],
    ]
)
TEXTS = st.lists(PIECES, max_size=120).map("".join)
LIMITS = st.sampled_from([(1, 1), (1, 15), (5, 8), (10, 12), (10, 40), (10, 240)])
fuzz = settings(max_examples=300, deadline=None)


def cut(tokens: list[str], **options: Any) -> list[str]:
    buffer = SentenceBuffer(**options)
    found = [sentence for token in tokens for sentence in buffer.push(token)]
    return found + buffer.flush()


def plain(text: str) -> list[str]:
    return cut([text], min_chars=1, first_clause=False)


def marked(case: str) -> list[str]:
    return [sentence.strip() for sentence in case.split("‖")]


def solid(text: str) -> str:
    return "".join(text.split())


def partition(data: st.DataObject, text: str) -> list[str]:
    edges = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=40)))
    return [text[a:b] for a, b in zip([0, *edges], [*edges, len(text)], strict=True)]


@pytest.mark.parametrize("case", CASES)
def test_golden_sentences(case: str) -> None:
    assert plain(case.replace("‖", "")) == marked(case)


@pytest.mark.parametrize("case", CASES)
def test_golden_sentences_survive_a_cut_at_every_character(case: str) -> None:
    text = case.replace("‖", "")
    assert cut(list(text), min_chars=1, first_clause=False) == marked(case)
    assert cut(list(text)) == cut([text])


@pytest.mark.parametrize("case", DEVIATIONS, ids=lambda case: case["ours"][:20])
def test_known_deviations_are_still_as_known(case: dict[str, str]) -> None:
    assert case["ours"].replace("‖", "") == case["better"].replace("‖", "")
    assert plain(case["ours"].replace("‖", "")) == marked(case["ours"]) != marked(case["better"])


def test_the_golden_table_is_large_enough_to_mean_something() -> None:
    assert len(CASES) + len(DEVIATIONS) >= 120


@fuzz
@given(st.data(), TEXTS, LIMITS, st.booleans())
def test_how_tokens_were_cut_never_changes_the_sentences(
    data: st.DataObject, text: str, limits: tuple[int, int], first_clause: bool
) -> None:
    options = {"min_chars": limits[0], "max_chars": limits[1], "first_clause": first_clause}
    whole = cut([text], **options)
    assert cut(list(text), **options) == whole
    assert cut(partition(data, text), **options) == whole


@fuzz
@given(st.text(max_size=300), LIMITS)
def test_no_character_is_lost_doubled_or_moved(text: str, limits: tuple[int, int]) -> None:
    sentences = cut([text], min_chars=limits[0], max_chars=limits[1])
    assert solid("".join(sentences)) == solid(text)
    assert all(sentence == sentence.strip() != "" for sentence in sentences)


@fuzz
@given(TEXTS, LIMITS)
def test_lengths_stay_within_their_limits(text: str, limits: tuple[int, int]) -> None:
    least, most = limits
    sentences = cut([text], min_chars=least, max_chars=most)
    assert solid("".join(sentences)) == solid(text)
    assert all(len(sentence) <= most for sentence in sentences)
    at = 0
    for sentence in sentences[:-1]:
        at = text.index(sentence, at) + len(sentence)
        # Too short only where white space fills the rest of the longest sentence possible.
        assert len(sentence) >= least or not text[at : at + most - len(sentence)].strip()


@fuzz
@given(st.data(), TEXTS, LIMITS)
def test_idle_loses_nothing_and_keeps_the_limit(data: st.DataObject, text: str, limits: tuple[int, int]) -> None:
    buffer = SentenceBuffer(min_chars=limits[0], max_chars=limits[1])
    found: list[str] = []
    for token in partition(data, text):
        found += buffer.push(token)
        if data.draw(st.booleans()):
            found += buffer.idle()
    found += buffer.flush()
    assert solid("".join(found)) == solid(text)
    assert all(len(sentence) <= limits[1] for sentence in found)


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("That is all I know.", True),
        ("That is all I know. ", True),
        ("That is all I know! 😀", True),
        ("He said “That is all.”", True),
        ("这就是我所知道的一切。", True),
        ("That is all I know. What", True),
        ("That is all I know, friend.", True),
        ("That is all I know", False),
        ("That is all I know,", False),
        ("Then I met Dr.", False),
        ("It was at 5 a.m.", False),
        ("The number is 3.", False),
        ("The number is 3. ", False),
        ("I think so...", False),
        ('He said "That is all.', False),
        ("(That is all I know.", False),
        ("Go to https://a.b/c?", False),
        ("Use `list.append.", False),
        ("```\nprint. Done.", False),
        ("Yes.", False),
    ],
)
def test_idle_gives_whole_sentences_and_tears_none(text: str, complete: bool) -> None:
    buffer = SentenceBuffer()
    assert buffer.push(text) == []
    found = buffer.idle()
    assert bool(found) is complete
    assert solid("".join(found + buffer.flush())) == solid(text)


def test_after_idle_the_look_ahead_works_as_before() -> None:
    buffer = SentenceBuffer()
    assert buffer.push("That is all I know.") + buffer.idle() == ["That is all I know."]
    assert buffer.push(" Then I met Dr.") + buffer.idle() == []
    assert buffer.push(" Smith. He") == []
    assert buffer.push(" was fine") == ["Then I met Dr. Smith."]
    assert buffer.flush() == ["He was fine"]


def test_idle_twice_gives_nothing_twice() -> None:
    buffer = SentenceBuffer()
    assert buffer.push("That is all I know.") + buffer.idle() + buffer.idle() == ["That is all I know."]


def test_after_flush_the_buffer_is_as_new() -> None:
    buffer = SentenceBuffer()
    text = "Well, that is an interesting question, and I will answer it. ```"
    first = buffer.push(text) + buffer.flush()
    assert buffer.push(text) + buffer.flush() == first


def test_only_the_first_sentence_may_end_at_a_clause() -> None:
    text = "Well, that is an interesting question, and I will answer. Now, that is an interesting one, and so on."
    assert cut([text]) == [
        "Well, that is an interesting question,",
        "and I will answer.",
        "Now, that is an interesting one, and so on.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "It is 22,1 degrees outside right now.",
        "Of course I can do that, sir. Next please.",
        "In some cases (in winter, in autumn) it rains.",
        "The well-known and long-lived black-bird.",
        "It begins at ten o'clock: 10:30 I mean",
    ],
)
def test_a_clause_cut_leaves_whole_what_belongs_together(text: str) -> None:
    first = cut([text])[0]
    assert first == text or first.endswith((".", "clock:"))


def test_short_sentences_are_joined_to_the_next() -> None:
    assert cut(["Yes. No. Sure! I can do that. Ok."]) == ["Yes. No. Sure!", "I can do that.", "Ok."]


def test_a_sentence_over_the_limit_is_cut_at_a_clause_then_a_word_then_anywhere() -> None:
    words = ["word"] * 20
    assert cut([" ".join(words)], max_chars=52, first_clause=False)[0] == " ".join(words[:10])
    assert cut(["word word word word word, word word word"], max_chars=30, first_clause=False)[0][-1] == ","
    assert cut(["x" * 100], max_chars=30) == ["x" * 30] * 3 + ["x" * 10]


@pytest.mark.parametrize("unit", ["e\u0301", "👍🏽", "👨‍👩‍👧", "❤️", "🇩🇪", "\ud83d\ude00"])
def test_a_hard_cut_breaks_no_character(unit: str) -> None:
    sentences = cut([unit * 40], max_chars=31, first_clause=False)
    assert len(sentences) > 1
    assert all(len(sentence) % len(unit) == 0 for sentence in sentences)


def test_a_fence_longer_than_the_limit_is_cut_at_its_lines() -> None:
    code = "".join(f"line_{n} = {n}. Done!\n" for n in range(40))
    sentences = cut([f"Look here:\n```py\n{code}```\nThat was all."])
    fence = ""
    inside = []
    for sentence in sentences:
        before, fence = fence, open_fence(sentence, fence)
        inside.append(bool(before or fence))
    assert sentences[0] == "Look here:"
    assert sentences[-1] == "That was all."
    assert inside == [False, *[True] * (len(sentences) - 2), False]
    assert all(sentence.startswith(("```py", "line_")) for sentence in sentences[1:-1])


def test_without_the_library_the_tables_decide_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abbreviations, "sentencex", None)
    assert plain("Dr. Smith came at 5 a.m. sharp. He left. (So.) Then") == [
        "Dr. Smith came at 5 a.m. sharp.",
        "He left.",
        "(So.)",
        "Then",
    ]


@pytest.mark.parametrize("space", ["\u00a0", "\u2028", "\u0085", "\u202f", "\u3000"])
def test_the_library_does_not_panic_after_a_wide_space(space: str) -> None:
    text = f"We met{space}D. Smith there. Then we left."
    assert solid("".join(plain(text))) == solid(text)


def test_a_panic_of_the_library_leaves_the_decision_to_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """As pyo3 raises it."""

    def segment(language: str, text: str) -> list[str]:
        raise PanicException

    monkeypatch.setattr("api.turn.abbreviations.sentencex.segment", segment)
    assert plain("He left home. Then it rained.") == ["He left home.", "Then it rained."]


@pytest.mark.parametrize(("least", "most"), [(0, 10), (11, 10), (-1, -1)])
def test_impossible_limits_are_refused(least: int, most: int) -> None:
    with pytest.raises(ValueError, match="min_chars"):
        SentenceBuffer(min_chars=least, max_chars=most)


@pytest.mark.parametrize(
    "unit", ["a", "word ", ".", ". ", " ", "\n", "Dr. ", "`", "[a. ", "!😀", "a, ", "« a. »", "e\u0301"]
)
def test_a_long_text_takes_linear_time_and_little_memory(unit: str) -> None:
    buffer = SentenceBuffer()

    def seconds(chars: int) -> float:
        start = time.process_time()
        buffer.push(unit * (chars // len(unit)))
        return time.process_time() - start

    seconds(10_000)
    assert seconds(100_000) < 2
    assert len(buffer.flush()) <= 1 + LOOK_AHEAD


def test_a_megabyte_without_a_stop_is_no_trouble() -> None:
    start = time.process_time()
    assert solid("".join(cut(["word " * 200_000]))) == "word" * 200_000
    assert time.process_time() - start < 5
