"""spoken: markup and control tokens never reach an engine, words always do."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.turn.sentences import SentenceBuffer, open_fence
from api.turn.spoken import MAX_CHARS, spoken

MARKDOWN = [
    ("**Bold** and *italic* and __bold__ and _italic_.", "Bold and italic and bold and italic."),
    ("***Both*** and ~~struck~~ and `code()`.", "Both and struck and code()."),
    ("# A heading", "A heading"),
    ("### A heading ###\nText here", "A heading. Text here"),
    ("- one\n- two\n- [x] three", "one. two. three"),
    ("* one\n+ two\n• three", "one. two. three"),
    ("1. first\n2. second", "1. first. 2. second"),
    ("> quoted\n>> twice", "quoted twice"),
    ("| a | b |\n|---|:-:|\n| c | d |", "a, b. c, d"),
    ("Text\n\n---\n\nMore", "Text. More"),
    ("See [the docs](http://a.b/c_(d)) now.", "See the docs now."),
    ("See [the docs][1] and ![a cat](cat.png).", "See the docs and a cat."),
    ("A claim[^1] with a note.", "A claim with a note."),
    (r"Not \*emphasised\* here.", "Not emphasised here."),
    ("Go to https://a.b/c?d=e. Then www.x.de, ok?", "Go to link. Then link, ok?"),
    ("Mail <https://a.b> or (http://x.y/z).", "Mail link or (link)."),
    ("```py\nfoo()\n```", "code omitted"),
    ("Try this: ```py\nfoo()\n```\nThat is all.", "Try this: code omitted. That is all."),
    ("~~~\nfoo", "code omitted"),
    ("A hard\nwrapped line", "A hard wrapped line"),
]
CONTROL = [
    ("Hi <|im_end|> there", "Hi there"),
    ("Hi <|<|a|>|>there", "Hi there"),
    ("Hi <|im_<|x|>end|> there", "Hi there"),
    ("Hi ＜｜im_end｜＞ there", "Hi there"),
    ("Hi <|im\u200b_\u202eend|> there", "Hi there"),
    ("<|open only", "open only"),
    ("[SPEAKER0] Hello [Speaker 12]: you", "Hello you"),
    ("[SPEA[SPEAKER1]KER2] Hi", "[SPEA KER2] Hi"),
    ("<SE>[Laughter]</SE> Hi <SE_s>[Cough]<SE_e>", "Hi"),
    ("<speak>Hi <break time='3s'/>you</speak>", "Hi you"),
    ('<voice name="x" effect=y>Hi</voice>', "Hi"),
    ("<!-- hidden --> Hi <?xml version='1'?>", "Hi"),
    ("<b<b>>Hi</b>", "Hi"),
    ("a\x00b\x1bc", "abc"),
    ("\u202eabc\u202c \u2066def\u2069", "abc def"),
    ("\ud800a\udc00b", "ab"),
    ("tab\tand\u00a0wide\u3000space", "tab and wide space"),
]
KEPT = [
    "a < b and c > d",
    "I <3 you, 5<6 and 7>6",
    "2 * 3 = 6 and 2**3 = 8",
    "snake_case and C# and #tag",
    "22°C, 50% of $5.99 at 10:30",
    "don't “quote” me (please) [now]",
    "Straße, naïve, 你好。 مرحبا؟ नमस्ते।",
    "می\u200cخواهم بروم",
    "jane.doe@example.com or main.py",
    "A | B",
    "well-known — or not – who knows?",
]
SILENT = [
    "",
    " ",
    "...",
    "?!",
    "😀",
    "👍🏽 👨‍👩‍👧 🇩🇪",
    "---",
    "|---|---|",
    "**",
    "<|im_end|>",
    "<br/>",
    "\u200b\ud800",
    "—",
]
HOSTILE = st.lists(
    st.sampled_from(
        [
            *"aA1 .!\n*_`~#>-<|[]()/\\:=+😀ﬁ½ﷺ＜｜＞\u200d\u200c\ufe0f\ud800\u202e\u0301",
            *[
                "<|",
                "|>",
                "[SPEAKER",
                "</SE>",
                "<SE>",
                "http://",
                "www.",
                "```",
                "~~~",
                "\n- ",
                "| ",
                "[^",
                "](",
                "<b ",
            ],
            *["می", "1. ", "code omitted", "x" * 90 + " "],
        ]
    ),
    max_size=80,
).map("".join)
HOSTILE_UNITS = [
    *["<|", "<a ", "[", "](", "[](", "[](a", "*", "_", "`", "www.", "http://a", "<SE>", "<b x=", "> ", "# ", "|"],
    *["[^", "😀", "[SPEAKER", "<!--", "\u200d", "~", "<|a|>", "<", "ﷺ", "<<|x|>", "!", ")", "a\u0301", "\n", "\\"],
]
fuzz = settings(max_examples=400, deadline=None)


@pytest.mark.parametrize(("sentence", "said"), MARKDOWN)
def test_markup_is_not_spoken(sentence: str, said: str) -> None:
    assert spoken(sentence) == said


@pytest.mark.parametrize(("sentence", "said"), CONTROL)
def test_control_tokens_never_reach_an_engine(sentence: str, said: str) -> None:
    assert spoken(sentence) == said


@pytest.mark.parametrize("sentence", KEPT)
def test_words_numbers_and_plain_signs_stay(sentence: str) -> None:
    assert spoken(sentence) == unicodedata.normalize("NFKC", sentence)


@pytest.mark.parametrize("sentence", SILENT)
def test_nothing_is_said_where_nothing_can_be(sentence: str) -> None:
    assert spoken(sentence) == ""


def test_emoji_are_silent_but_their_digits_are_not() -> None:
    assert spoken("Great! 😀👍🏽 1️⃣ and ❤️ done") == "Great! 1 and done"


def test_what_looks_like_a_tag_is_spaced_so_that_no_engine_reads_one() -> None:
    assert spoken("x<y and y>z") == "x< y and y >z"


def test_deep_nesting_leaves_words_only() -> None:
    assert spoken("<|" * 40 + "hello" + "|>" * 40 + " world") in {"hello world", "world"}
    assert spoken("- " * 40 + "hello **world**") == "hello world"


@fuzz
@given(HOSTILE | st.text(max_size=300))
def test_saying_it_twice_changes_nothing(sentence: str) -> None:
    said = spoken(sentence)
    assert spoken(said) == said


@fuzz
@given(HOSTILE)
def test_no_token_no_control_and_no_line_break_survives(sentence: str) -> None:
    said = spoken(sentence)
    assert len(said) <= MAX_CHARS
    assert said == " ".join(said.split())
    assert not any(mark in said for mark in ("<|", "|>", "`", "</", "<b"))
    assert all(unicodedata.category(char)[0] != "C" or char in "\u200c\u200d" for char in said)


def test_a_long_sentence_is_bounded_at_a_word() -> None:
    said = spoken("word " * 1_000)
    assert MAX_CHARS - 5 <= len(said) <= MAX_CHARS
    assert said.endswith("word")


def test_of_a_fence_cut_in_pieces_only_the_first_is_mentioned() -> None:
    code = "".join(f"line_{n} = {n}\n" for n in range(60))
    buffer = SentenceBuffer()
    fence, said = "", []
    for sentence in buffer.push(f"Look at this:\n```py\n{code}```\nThat was all.") + buffer.flush():
        said.append(spoken(sentence, fence))
        fence = open_fence(sentence, fence)
    assert [text for text in said if text] == ["Look at this:", "code omitted", "That was all."]


def test_what_follows_a_fence_is_said_again() -> None:
    assert spoken("b = 2\n```\nThen this.", "```") == "Then this."


@pytest.mark.parametrize("unit", HOSTILE_UNITS)
def test_hostile_text_takes_no_more_time_than_other_text(unit: str) -> None:
    start = time.process_time()
    spoken(unit * (1_000_000 // len(unit)))
    assert time.process_time() - start < 0.5
