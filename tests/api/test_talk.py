"""What is said and remembered: utterances, history, the demo character, the cast."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.characters import CAST, find_character
from api.demo import DemoModel, answer
from api.errors import CharacterUnknown, ModelCut, TextEmpty, TextInvalid, TextTooLong
from api.history import MAX_TOKENS, History, Spoken, count_tokens, heard_text
from api.turn.tokens import with_pauses
from api.turn.utterance import typed


@given(st.text(max_size=200))
def test_what_is_typed_is_taken_as_it_is_or_refused(text: str) -> None:
    try:
        utterance = typed(text)
    except (TextEmpty, TextInvalid):
        return
    assert utterance.text == utterance.text.strip() != ""
    utterance.text.encode()


@pytest.mark.parametrize(("text", "error"), [("x" * 4001, TextTooLong), ("\x00", TextInvalid), ("\udc00", TextInvalid)])
def test_what_is_no_text_is_refused(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        typed(text)


def test_line_breaks_and_tabs_are_text() -> None:
    assert typed("one\n\ttwo\r\n").text == "one\n\ttwo"


SENTENCES = [Spoken("One two three four.", 1000), Spoken("Five six seven eight.", 2000), Spoken("Nine.", 0)]


@pytest.mark.parametrize(
    ("sentence", "ms", "heard"),
    [
        (0, 0, ""),
        (0, 500, "One two"),
        (0, 9999, "One two three four."),
        (1, 1000, "One two three four. Five six"),
        (2, 50, "One two three four. Five six seven eight."),
        (7, 0, "One two three four. Five six seven eight. Nine."),
    ],
)
def test_what_was_heard_is_whole_words_in_proportion_to_the_time(sentence: int, ms: float, heard: str) -> None:
    assert heard_text(SENTENCES, sentence, ms) == heard


@pytest.mark.parametrize(
    ("ms", "heard"),
    [(600, ""), (700, ""), (1200, "One two"), (1700, "One two three four.")],
)
def test_of_a_sentence_that_was_started_again_only_the_last_start_counts(ms: float, heard: str) -> None:
    assert heard_text([Spoken("One two three four.", 1700, restart_ms=700)], 0, ms) == heard


@pytest.mark.parametrize(
    ("made_ms", "ms", "heard"),
    [
        (500, 500, "Five six seven"),  # of 750, as long as it would be at the pace of the first
        (1500, 750, "Five six"),  # it is longer than that already
        (40, 40, ""),
    ],
)
def test_of_a_sentence_that_is_being_made_what_was_heard_is_reckoned_from_the_pace_of_the_others(
    made_ms: int, ms: float, heard: str
) -> None:
    before = Spoken("One two three four five six seven eight.", 1500)
    now = Spoken("Five six seven eight", made_ms, is_whole=False)
    assert heard_text([before, now], 1, ms) == f"{before.text} {heard}".strip()


def test_a_first_sentence_that_is_being_made_is_taken_for_as_long_as_speech_is() -> None:
    assert heard_text([Spoken("One two three four five.", 60, is_whole=False)], 0, 60) == ""
    assert heard_text([Spoken("One two three four five.", 700, is_whole=False)], 0, 700) == "One two"


def test_of_a_restart_of_which_nothing_came_what_there_was_counts() -> None:
    assert heard_text([Spoken("One two three four.", 700, restart_ms=700)], 0, 350) == "One two"


@pytest.mark.parametrize("word", ["x", "海", "🚢"])
def test_a_prompt_is_the_persona_and_as_much_of_the_end_as_fits_in_tokens(word: str) -> None:
    history = History()
    for turn in range(100):
        history.add_user(turn, f"question {turn} " + word * 400)
        history.set_reply(turn, ("Ava", f"answer {turn}"))
    prompt = history.prompt("You are Ava.")
    assert prompt[0] == {"role": "system", "content": "You are Ava."}
    assert prompt[-1]["content"] == "answer 99"
    costs = [count_tokens(message["content"]) for message in prompt[1:]]
    assert MAX_TOKENS - max(costs) - 20 < sum(costs) <= MAX_TOKENS
    assert [message["role"] for message in prompt[-4:]] == ["user", "assistant"] * 2


def test_a_last_message_is_told_however_long_it_is() -> None:
    history = History()
    history.add_user(0, "first")
    history.add_user(1, "x" * 5 * MAX_TOKENS)
    assert [message["content"][:5] for message in history.prompt("You are Ava.")[1:]] == ["xxxxx"]


def test_a_reply_that_is_cut_later_replaces_itself_and_nothing_heard_leaves_no_trace() -> None:
    history = History()
    history.add_user(0, "hello")
    history.set_reply(0, ("Ava", "A long answer."))
    history.set_reply(0, ("Ava", "A long"))
    assert [said.text for said in history.messages] == ["hello", "A long"]
    history.set_reply(0, ("Ava", ""))
    assert [said.text for said in history.messages] == ["hello"]


def ask(*texts: str, persona: str = "You are Ava, warm.") -> str:
    past = [message for text in texts[:-1] for message in (_user(text), {"role": "assistant", "content": "x"})]
    return answer([{"role": "system", "content": persona}, *past, _user(texts[-1])])


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("What is 6 times 7?", "42"),
        ("1 / 0", "divided by zero"),
        ("Count to 3", "1, 2, 3."),
        ("Tell me a story", "lighthouse"),
        ("how do I connect a language model?", "CUELINE_LLM_BASE_URL"),
        ("Who are you?", "Ava"),
        ("My name is Iris", "Iris"),
        ("How does this work?", "job of its own"),
        ("Colourless ideas sleep furiously", "Colourless ideas"),
        ("Why?", "language model could"),
    ],
)
def test_the_demo_converses_sensibly(text: str, part: str) -> None:
    assert part in ask("hello", text)


def test_the_demo_says_once_and_plainly_that_it_is_one() -> None:
    assert "not a language model" in ask("hello")
    assert "not a language model" not in ask("hello", "Tell me a joke")


def test_the_demo_repeats_and_nothing_else() -> None:
    assert ask("Say: It is a fine day.") == "It is a fine day."


@given(st.text(max_size=300))
def test_the_demo_always_answers(text: str) -> None:
    assert ask("hello", text).strip()


async def test_the_demo_streams_word_by_word_what_it_says() -> None:
    messages = [_user("hello")]
    tokens = [token async for token in DemoModel(pause_s=0).reply(messages)]
    assert len(tokens) > 10
    assert "".join(tokens) == answer(messages)


def test_a_character_is_found_by_id_and_by_name_and_no_other_way() -> None:
    assert find_character("BEN") is find_character("ben") is CAST["ben"]
    assert find_character(None) is CAST["ava"]
    with pytest.raises(CharacterUnknown):
        find_character("somebody")


def test_the_cast_has_distinct_voices() -> None:
    assert len({character.voice for character in CAST.values()}) == len(CAST)


async def test_a_pause_between_tokens_is_noticed_and_nothing_is_lost() -> None:
    async def tokens():  # type: ignore[no-untyped-def]
        yield "a"
        await asyncio.sleep(0.15)
        yield "b"
        raise ModelCut

    got: list[str | None] = []
    with pytest.raises(ModelCut):
        async for token in with_pauses(tokens(), 0.05):
            got.append(token)
    assert [token for token in got if token] == ["a", "b"]
    assert got.index(None) == 1
