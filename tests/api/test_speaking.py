"""What a program wants to hear: markup, readings of words, names of voices. Nothing here needs a process."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.characters import CAST
from api.speaking.lexicon import Lexicon, LexiconInvalid, read_lexicon
from api.speaking.markup import MAX_PAUSE_MS, Passage, passages
from api.speaking.passages import text_to_pieces
from api.speaking.voices import OPENAI_VOICES, find_voice, list_voices
from contract.errors import VoiceUnknown
from contract.voice import Voice
from workers.tts.espeak import EspeakEngine

GOLDEN: list[tuple[str, list[Passage]]] = [
    ("Plain text.", [Passage("Plain text.")]),
    ("One [pause 500ms] two", [Passage("One "), Passage(pause_ms=500), Passage(" two")]),
    ("One [PAUSE 1.5 s] two", [Passage("One "), Passage(pause_ms=1500), Passage(" two")]),
    ("[pause 90000ms]", [Passage(pause_ms=MAX_PAUSE_MS)]),
    ("[pause 6s][pause 6s]", [Passage(pause_ms=MAX_PAUSE_MS)]),
    ("[pause] [pause soon] [pause 5]", [Passage("[pause] [pause soon] [pause 5]")]),
    ('A<break time="250ms"/>b', [Passage("A"), Passage(pause_ms=250), Passage("b")]),
    ("A<break strength='strong'/>b", [Passage("A"), Passage(pause_ms=800), Passage("b")]),
    ("A<break/>b", [Passage("A"), Passage(pause_ms=500), Passage("b")]),
    ('<prosody rate="50%">slow</prosody> so', [Passage("slow", rate=0.5), Passage(" so")]),
    ('<prosody rate="+20%" pitch="-10%">x</prosody>', [Passage("x", rate=1.2, pitch=0.9)]),
    ('<prosody pitch="+12st">x</prosody>', [Passage("x", pitch=2.0)]),
    ('<prosody rate="fast">a <prosody rate="2">b</prosody> c</prosody>',
     [Passage("a ", rate=1.25), Passage("b", rate=2.5), Passage(" c", rate=1.25)]),
    ('<prosody rate="zzz">x</prosody>', [Passage("x")]),
    ('<sub alias="World Wide Web">WWW</sub> it is', [Passage("World Wide Web it is")]),
    ('<sub>WWW</sub>', [Passage("WWW")]),
    ('<say-as interpret-as="characters">AB1</say-as>', [Passage(" A B 1 ")]),
    ("<speak>Hi.</speak>", [Passage(" Hi. ")]),
    ("</prosody>never opened", [Passage("never opened")]),
    ('<prosody rate="2">never closed', [Passage("never closed", rate=2.0)]),
    ("a <b> and <script>x</script> 1 < 2", [Passage("a <b> and <script>x</script> 1 < 2")]),
    ("<prosody rate=fast", [Passage("<prosody rate=fast")]),
    ("", []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), GOLDEN, ids=[text for text, _ in GOLDEN])
def test_markup_means_what_is_documented(text: str, expected: list[Passage]) -> None:
    found = passages(text)
    assert [(p.text, p.pause_ms) for p in found] == [(p.text, p.pause_ms) for p in expected]
    for one, other in zip(found, expected, strict=True):
        assert (one.rate, one.pitch) == pytest.approx((other.rate, other.pitch))


@given(st.text(alphabet=st.sampled_from('<>/="[]ab .1sm%+-') | st.characters(), max_size=80))
def test_text_without_our_tags_is_said_as_it_is(text: str) -> None:
    found = passages(text)
    if not any(word in text.lower() for word in ("pause", "<p", "</p", "<s", "</s", "<br", "</br")):
        assert "".join(passage.text for passage in found) == text


@given(st.lists(st.sampled_from(
    ["<prosody rate='x-fast'>", "<prosody pitch='+900%'>", "</prosody>", "<sub alias='z'>", "</sub>", "<say-as>",
     "<break/>", "[pause 9s]", "word ", "<p>", "</speak>", "<break time='"]), max_size=60))  # fmt: skip
def test_no_nesting_leaves_the_limits(marks: list[str]) -> None:
    for passage in passages("".join(marks)):
        assert 0.25 <= passage.rate <= 4
        assert 0.5 <= passage.pitch <= 2
        assert 0 <= passage.pause_ms <= MAX_PAUSE_MS
        assert bool(passage.text) != bool(passage.pause_ms)


def test_a_text_becomes_sentences_in_their_manner_and_pauses() -> None:
    text = "First sentence here. Second one follows. [pause 300ms] <prosody rate='2'>Third is said fast.</prosody>"
    pieces = text_to_pieces(text, Voice("x", rate=1.5), Lexicon())
    assert [piece.text for piece in pieces] == [
        "First sentence here.",
        "Second one follows.",
        "",
        "Third is said fast.",
    ]
    assert [piece.pause_ms for piece in pieces] == [0, 0, 300, 0]
    assert [piece.voice.rate for piece in pieces] == [1.5, 1.5, 1.5, 3.0]
    assert text_to_pieces("*** [pause 1s] ***", Voice(), Lexicon()) == []


def test_words_are_said_as_the_lexicon_has_them() -> None:
    words = Lexicon({"*": {"SQL": "sequel", "gif": "jif", "New York": "big apple"}, "deep": {"SQL": "S Q L"}})
    assert words.say("SQL in MySQL, sql; a GIF of New York.", "any") == "sequel in MySQL, sql; a jif of big apple."
    assert words.say("SQL gif", "deep") == "S Q L jif"
    # What is put in is not looked up again.
    assert Lexicon({"*": {"a": "b", "b": "a"}}).say("a b", "") == "b a"
    assert Lexicon().say("SQL", "") == "SQL"


@pytest.mark.parametrize(
    "content",
    [b"[]", b"{", b'{"*": ["a"]}', b'{"*": {"a": 1}}', b'{"*": {" ": "x"}}', b"\xff\xfe", b'{"*": {"a": ""}}'],
)
def test_a_file_that_is_no_lexicon_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "words.json").write_bytes(content)
    with pytest.raises(LexiconInvalid) as told:
        read_lexicon(tmp_path / "words.json")
    assert len(str(told.value).splitlines()) == 1
    with pytest.raises(LexiconInvalid):
        read_lexicon(tmp_path / "nowhere.json")


def offered() -> list[dict[str, str]]:
    engine = EspeakEngine()
    engine.load()
    return [{**voice.to_dict(), "engine": "espeak"} for voice in engine.voices()]


def test_each_of_openais_names_is_another_voice() -> None:
    known = offered()
    voices = [find_voice(name, CAST.values(), known) for name in OPENAI_VOICES]
    assert len(set(voices)) == len(OPENAI_VOICES) == 13
    assert {voice.language[:2] for voice in voices} == {"en"}
    # The same name is the same voice each time.
    assert voices == [find_voice(name.upper(), CAST.values(), known) for name in OPENAI_VOICES]


def test_an_engine_that_has_a_voice_of_that_name_speaks_with_it() -> None:
    kokoro = [{"name": name, "language": "en-us", "gender": "female", "engine": "k"} for name in ("af_sky", "af_nova")]
    assert find_voice("nova", [], kokoro).name == "af_nova"


def test_characters_and_an_engines_own_names_are_voices_too() -> None:
    known = offered()
    assert find_voice("Ben", CAST.values(), known) == CAST["ben"].voice
    assert find_voice("en-gb+f2", CAST.values(), known).name == "en-gb+f2"
    assert find_voice("espeak:en-gb+f2", CAST.values(), known).name == "en-gb+f2"
    # A variant that no list has: the engine knows.
    assert find_voice("en-us+croak", CAST.values(), known).name == "en-us+croak"
    for nonsense in ("", "x" * 200, "a\nb"):
        with pytest.raises(VoiceUnknown):
            find_voice(nonsense, CAST.values(), known)
    ids = [voice["id"] for voice in list_voices(CAST.values(), known)]
    assert len(ids) == len(set(ids))
    assert {"alloy", "ava", "en-us+f3"} <= set(ids)
