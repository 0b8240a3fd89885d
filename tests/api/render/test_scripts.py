"""Scripts in every form that people bring: read whole, or refused with all that is wrong."""

from __future__ import annotations

import json
import re
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.errors import FormatUnknown, Problem, ScriptEmpty, ScriptInvalid, ScriptTooLong
from api.render.pieces import PIECE_CHARS, cut, pieces
from api.render.reading.kinds import KINDS, guess_kind, read_script
from api.render.script import MAX_LINE_CHARS, MAX_LINES, Line, Script

GOLDEN = Path(__file__).parents[2] / "golden/scripts"
HARBOUR = [
    ("AVA", "Good morning, and welcome aboard.", "", 1.0, None),
    ("BEN", "I have packed sandwiches, and I am not sharing: not one.", "gruffly", 0.9, None),
    ("BEN", "Not even with you.", "gruffly", 0.9, None),
    ("AVA", "Then there is nothing left to discuss.", "laughs", 1.0, 800),
    ("AVA", "Shall we?", "laughs", 1.0, 1500),
    ("BEN", "Fine.", "", 1.0, None),
]


def told(script: Script) -> list[tuple[str, str, str, float, int | None]]:
    return [(line.speaker, line.text, line.direction, line.speed, line.pause_before_ms) for line in script.lines]


def read(text: str, kind: str = "plain") -> list[tuple[str, str]]:
    return [(line.speaker, line.text) for line in read_script(text, kind=kind).lines]


def problems(text: str | bytes, kind: str = "plain", name: str = "") -> tuple[Problem, ...]:
    with pytest.raises(ScriptInvalid) as raised:
        read_script(text, name, kind)
    return raised.value.problems


@pytest.mark.parametrize("ending", ["txt", "md", "fountain", "jsonl"])
def test_one_scene_in_every_form_is_one_script(ending: str) -> None:
    path = GOLDEN / f"harbour.{ending}"
    script = read_script(path.read_bytes(), path.name)
    assert told(script) == HARBOUR
    assert [line.number for line in script.lines] == [1, 2, 3, 4, 5, 6]
    assert script.title == ("Harbour morning" if ending == "fountain" else "harbour")
    assert guess_kind(path.read_text()) == guess_kind(path.read_text(), ending), "found out without its ending"


def test_each_line_says_where_it_stands() -> None:
    script = read_script((GOLDEN / "harbour.txt").read_bytes())
    assert [line.source_line for line in script.lines] == [2, 3, 6, 8, 8, 10]
    assert [(one.source_line, one.text) for one in script.skipped] == [(9, "(A gull screams.)")]


def test_what_nobody_says_in_a_screenplay_is_skipped_or_read_by_the_narrator() -> None:
    data = (GOLDEN / "harbour.fountain").read_bytes()
    assert [one.text for one in read_script(data).skipped] == [
        *("EXT. PIER - MORNING", "Two people stand on a pier.", "A gull screams.", "> CUT TO:")
    ]
    whole = read_script(data, narrator="Doran")
    said = [line.text for line in whole.lines if line.speaker == "Doran"]
    assert said == ["EXT. PIER - MORNING", "Two people stand on a pier.", "A gull screams.", "CUT TO:"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("ANN: Hello.", [("ANN", "Hello.")]),
        ("ANN:\nHello.\nAgain.", [("ANN", "Hello. Again.")]),
        ("ANN: One.\n\nTwo.", [("ANN", "One."), ("ANN", "Two.")]),
        ("ANN: One.\n# note\nTwo.", [("ANN", "One. Two.")]),
        ("ANN: One.\n  Note: two.", [("ANN", "One. Note: two.")]),
        ("ANN: One.\n\\Note: two.\n\\# three", [("ANN", "One. Note: two. # three")]),
        ("Dr. Watson: It is 12:30 at http://x.", [("Dr. Watson", "It is 12:30 at http://x.")]),
        ("小明：你好。", [("小明", "你好。")]),
        ("ANN : Hello.", [("ANN", "Hello.")]),
        ("Ann: Hello.\nANN: Again.", [("Ann", "Hello."), ("Ann", "Again.")]),
        ("[SPEAKER0] Hello.\n[speaker_1]: Hi.", [("SPEAKER0", "Hello."), ("SPEAKER1", "Hi.")]),
        ("ANN: I said to him that this is: all.", [("ANN", "I said to him that this is: all.")]),
        ("ANN: (All of it.)", [("ANN", "(All of it.)")]),
        ("ANN: Look [over there] now.", [("ANN", "Look [over there] now.")]),
        ("ANN: ...\nBEN: Yes?", [("BEN", "Yes?")]),
        ("\ufeffANN: Hello.\r\nBEN: Hi.\rCAT: Ho.", [("ANN", "Hello."), ("BEN", "Hi."), ("CAT", "Ho.")]),
    ],
)
def test_the_plain_form(text: str, lines: list[tuple[str, str]]) -> None:
    assert read(text) == lines


@pytest.mark.parametrize(
    ("text", "lines", "words"),
    [
        ("Once upon a time.", [1], "nobody is named yet"),
        ("ANN (speed 9): Hi.\n\nBEN (speed -1): Hi.", [1, 3], "speed"),
        ("ANN: Hi [pause a while] you.\nANN: [pause 2 minutes] Hi.", [1, 2], "no pause"),
        ("ANN: Hi. [pause 70s]", [1], "60 seconds"),
        ("ANN: " + "word " * 11_000, [1], "50,000 characters"),
    ],
)
def test_everything_that_is_wrong_is_told_at_once_with_its_line(text: str, lines: list[int], words: str) -> None:
    found = problems(text)
    assert [problem.source_line for problem in found] == lines
    assert all(words in problem.text for problem in found)


def test_a_list_tells_each_entry_that_is_wrong() -> None:
    rows = [{"speaker": "A", "text": "x"}, {"text": 7}, {"speeker": "B"}, "what", {"speaker": "A", "speed": 99}]
    with pytest.raises(ScriptInvalid) as raised:
        read_script(rows)
    assert [problem.source_line for problem in raised.value.problems] == [2, 3, 4, 5]
    assert "speeker" in raised.value.text
    assert problems('{"speaker": "A", "text": "x"}\n{"speaker"', "list") == (
        Problem(2, "this is no JSON: expecting ':' delimiter in column 11."),
    )
    assert (
        problems('[{"speaker": "A", "text": "Hi \\ud83d"}]', "list")[0].text
        == "there are characters that cannot be text."
    )


def test_captions_become_lines_with_the_pauses_between_them() -> None:
    script = read_script(
        "1\n00:00:01,000 --> 00:00:02,500\nAVA: <i>Good morning.</i>\n\n"
        "2\n00:00:02,750 --> 00:00:04,000 position:50%\n<v Ben>All right &amp; well.\nMore.\n\n"
        "3\n00:01:04,000 --> 00:01:05,000\n{\\an8}No name.\n",
        "film.srt",
    )
    assert told(script) == [
        ("AVA", "Good morning.", "", 1.0, None),
        ("Ben", "All right & well. More.", "", 1.0, 250),
        ("Narrator", "No name.", "", 1.0, 5000),
    ]
    vtt = "WEBVTT\n\nNOTE nothing\n\n00:01.000 --> 00:02.000\n<v Ava>Good morning.\n"
    assert read(vtt, "captions") == [("Ava", "Good morning.")]
    assert problems("1\n00:00:x --> 00:00:02,000\nHi.\n", "captions")[0].source_line == 2


def test_chapters_are_named_where_they_begin() -> None:
    script = read_script(
        "ANN: Before.\n[chapter The Harbour]\nANN: One.\n[chapter Empty]\n[chapter Home: again]\nANN: Two."
    )
    assert script.chapters == ("", "The Harbour", "Home: again")
    assert [line.chapter for line in script.lines] == [0, 1, 2]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"%PDF-1.7 \x00", "a PDF"),
        (b"PK\x03\x04word/document.xml", "an archive or an office document"),
        (bytes(range(256)) * 20, "no text file"),
        (b"ANN: Hello.\x00\x00", "no text file"),
        ("ANN: One.\nANN: Zwölf.".encode("latin-1"), "Line 2 is not UTF-8"),
        (b"\xff\xfeA", "not UTF-16"),
    ],
)
def test_what_is_no_text_is_refused_with_a_reason(data: bytes, words: str) -> None:
    with pytest.raises(ScriptInvalid, match=words):
        read_script(data, "play.txt")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_may_say_its_encoding(encoding: str) -> None:
    assert read_script("ANNÉ: Zwölf.".encode(encoding)).lines[0].text == "Zwölf."


def test_another_encoding_may_be_named() -> None:
    assert read_script("ANN: Zwölf.".encode("latin-1"), encoding="latin-1").lines[0].text == "Zwölf."
    with pytest.raises(ScriptInvalid, match="no encoding"):
        read_script(b"ANN: x", encoding="klingon")


@pytest.mark.parametrize("text", ["", " \n\t\n", "# only a comment", "ANN:", "ANN: ...", "[pause 1s]", "[]"])
def test_an_empty_script_is_none(text: str) -> None:
    with pytest.raises(ScriptEmpty):
        read_script(text)


def test_too_many_lines_are_refused_and_many_are_not() -> None:
    with pytest.raises(ScriptTooLong, match="50,000 lines"):
        read_script("A: B\n" * (2 * MAX_LINES), kind="plain")
    assert len(read_script("A: B\n" * (MAX_LINES // 10), kind="plain").lines) == MAX_LINES // 10
    with pytest.raises(ScriptTooLong, match="MiB"):
        read_script(b"x" * (21 << 20))


def test_an_unknown_kind_names_those_that_are_known() -> None:
    with pytest.raises(FormatUnknown, match="plain"):
        read_script("ANN: Hi.", kind="opera")


def test_a_line_of_fifty_thousand_characters_is_one_line_in_many_pieces() -> None:
    text = ("It was a long day, and nobody came to the harbour. " * 1000)[: MAX_LINE_CHARS - 1] + "."
    script = read_script(f"ANN: {text}")
    assert [line.text for line in script.lines] == [text]
    parts = cut(text)
    assert max(map(len, parts)) <= PIECE_CHARS
    assert len(parts) < len(text) / PIECE_CHARS * 1.5, "pieces are filled up"
    assert sum(part[-1] == "." for part in parts) >= len(parts) - 1


def test_pieces_are_what_is_spoken() -> None:
    assert pieces("**Hello**, see https://example.com!") == ("Hello, see link!",)
    assert pieces("<br>") == ()


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=2000))
def test_nothing_is_lost_between_pieces(text: str) -> None:
    assert "".join("".join(cut(text)).split()) == "".join(text.split())


names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
words = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="[]()\\#"), min_size=1, max_size=60)
sentences = st.builds(lambda text: " ".join(f"x{text}".split()), words)
directions = st.text(st.characters(categories=["L"]), max_size=10)
pauses = st.none() | st.integers(0, 60_000)
rows = st.lists(
    st.tuples(names, sentences, directions, st.sampled_from([1.0, 0.5, 1.25]), pauses), min_size=1, max_size=12
)


@settings(max_examples=30, deadline=None)
@given(rows)
def test_what_was_written_in_the_plain_form_is_read_again(
    written: list[tuple[str, str, str, float, int | None]],
) -> None:
    spelling: dict[str, str] = {}
    text, expected = "", []
    for first, said, direction, speed, pause_ms in written:
        name = spelling.setdefault(first.casefold(), first)
        text += f"[pause {pause_ms}ms]\n" if pause_ms is not None else ""
        text += f"{name} ({direction}, speed {speed}): {said}\n"
        expected.append((name, said, direction, speed, pause_ms))
    assert told(read_script(text, kind="plain")) == expected


@settings(max_examples=30, deadline=None)
@given(rows)
def test_rows_read_as_the_same_script(written: list[tuple[str, str, str, float, int | None]]) -> None:
    keys = ("speaker", "text", "direction", "speed", "pause_before_ms")
    script = read_script([dict(zip(keys, row, strict=True)) for row in written])
    again = read_script(json.loads(json.dumps(script.to_rows())))
    assert again == script


def test_rows_keep_chapters_and_the_last_pause() -> None:
    script = read_script("ANN: 1\n[chapter B]\nANN: 2\nBEN: 3\n[pause 2s]")
    assert script.pause_after_ms == 2000
    again = read_script(script.to_rows())
    assert (again.chapters, again.pause_after_ms) == (script.chapters, 2000)
    assert [line.chapter for line in again.lines] == [0, 1, 1]


shapes = st.lists(
    st.sampled_from(
        [
            *("ANN: {}", "{}", "  {}", "**BEN:** {}", "({})", "[{}]", "ANN ({}): {}", "CAT\n{}", "CAT\n({})\n{}"),
            *("- {}", "> {}", "{}:", "{} {} [pause 1s] {}", "[chapter {}]", "INT. {}", "", "\n", "---", "1. {}", "~{}"),
        ]
    ),
    max_size=14,
)


@settings(max_examples=80, deadline=None)
@given(
    shapes, st.sampled_from(["plain", "markdown", "fountain", "book", "markdown_book"]), st.sampled_from(["", "Max"])
)
def test_no_word_is_lost_on_the_way(lines: list[str], kind: str, narrator: str) -> None:
    number = count()
    text = "ANN: Begin.\n" + "\n".join(re.sub(r"\{\}", lambda _: f"word{next(number)}x", line) for line in lines)
    text += "\n\nEVE\nThe end.\n"
    script = read_script(text, kind=kind, narrator=narrator)
    kept = f"{script.title} {script.chapters} {script.skipped} {script.lines}"
    missing = [f"word{n}x" for n in range(next(number)) if not re.search(f"word{n}x", kept, re.IGNORECASE)]
    # A speaker who says nothing leaves nothing.
    assert [word for word in missing if not re.search(rf"(?m)^\W*{word}:\W*$", text)] == []


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=400)
    | st.text(max_size=400).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.text(st.sampled_from('A:b ()[]{}\n#*->.,0123"\\pause@_~|speed'), max_size=200).map(str.encode),
    st.sampled_from(["", *KINDS]),
    st.sampled_from(["", "x.txt", "x.md", "x.fountain", "x.srt", "x.json", "x.epub"]),
)
def test_any_bytes_are_a_script_or_a_clear_refusal(data: bytes, kind: str, name: str) -> None:
    try:
        script = read_script(data, name, kind, narrator="N")
    except ScriptInvalid as error:
        assert error.text
        assert len(error.text) < 3000
    else:
        assert script.lines
        assert all(isinstance(line, Line) and line.text and line.speaker for line in script.lines)
