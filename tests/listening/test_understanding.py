"""When a saying is looked at, when it is over, and what becomes of one that is empty, slow, endless or unfinished."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="NOT TESTED: listening needs the extra whisper (make .venv/.dev installs it)")

from api.admission import Pace
from api.listening.ear import Ear
from api.listening.sound.vad import VadModel
from api.listening.understanding import CUT_S, Understanding
from api.listening.words.language import Language
from api.listening.words.recognition import Wishes
from api.listening.words.turn_end import TurnEnd, TurnModel
from contract.transcribe import HEARING_BYTES_PER_S, Kind, Segment, Transcript
from contract.transcribe import HEARING_RATE_HZ as RATE
from tests.fakes import KeptLine, ScriptedRecognition
from tests.speaking import PLAYING, Pcm, frame, silence, spoken

SHORT, LONG = "stop", "please one two three four five six"
"""Below and above a second and a half of speech."""


@pytest.fixture(scope="module")
def model() -> VadModel:
    return VadModel()


def words(text: str, language: str = "en", probability: float = 0.9) -> Transcript:
    return Transcript((Segment(text, 0, 1, -0.2),) if text else (), language, probability)


def always(text: str) -> Callable[[Kind, Wishes], Awaitable[Transcript]]:
    async def hear(kind: Kind, wishes: Wishes) -> Transcript:
        return words(text)

    return hear


class Scene:
    """One ear, what it asks of a recognizer and what it tells its session."""

    def __init__(
        self,
        model: VadModel,
        hear: Callable[[Kind, Wishes], Awaitable[Transcript]],
        *,
        turn_model: TurnModel | None = None,
        language: str = "",
    ) -> None:
        self.recognition, self.line = ScriptedRecognition(hear), KeptLine()
        self.understanding = Understanding(
            self.recognition,  # type: ignore[arg-type]
            self.line,  # type: ignore[arg-type]
            Language(language),
            TurnEnd(turn_model),
        )
        self.ear = Ear(model, self.understanding, RATE)
        # A minute in one.
        self.ear._pace = Pace(1e6, 1e6)

    async def hear(self, *sounds: Pcm, flags: int = 0) -> None:
        sound = np.concatenate(sounds)
        for start in range(0, len(sound) - 319, 320):
            self.ear.hear(frame(sound[start : start + 320], flags))
            for _ in range(4):
                await asyncio.sleep(0)

    async def until(self, check: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not check():  # noqa: ASYNC110  what is waited for rings no bell
                await asyncio.sleep(0.005)


def say(text: str) -> Pcm:
    return spoken(text, rate_hz=RATE)


def quiet(ms: float) -> Pcm:
    return silence(ms, RATE)


async def test_words_that_come_late_do_not_join_what_is_said_after_a_long_silence(model: VadModel) -> None:
    may_answer, number = asyncio.Event(), 0

    async def hear(kind: Kind, wishes: Wishes) -> Transcript:
        nonlocal number
        number += kind == "final"
        mine = number
        await may_answer.wait()
        return words(f"It was number {mine}.")

    scene = Scene(model, hear)
    await scene.hear(quiet(300), say(SHORT), quiet(1600), say(SHORT), quiet(1600))
    assert scene.line.finals == []
    may_answer.set()
    await scene.until(lambda: len(scene.line.finals) == 2)
    assert scene.line.finals == ["It was number 1.", "It was number 2."]
    assert len(scene.recognition.finals) == 2


async def test_one_partial_at_most_is_out_however_long_it_takes(model: VadModel) -> None:
    may_answer = asyncio.Event()

    async def hear(kind: Kind, wishes: Wishes) -> Transcript:
        await may_answer.wait()
        return words("one two")

    scene = Scene(model, hear)
    await scene.hear(quiet(300), say(LONG))
    assert scene.recognition.most_partials == 1
    assert [kind for kind, _, _ in scene.recognition.looks].count("partial") == 1
    may_answer.set()
    await scene.hear(say(LONG), quiet(600))
    assert [kind for kind, _, _ in scene.recognition.looks].count("partial") >= 2
    assert scene.recognition.most_partials == 1
    await scene.until(lambda: scene.line.finals)


async def test_who_speaks_into_a_reply_and_says_nothing_lets_it_go_on(model: VadModel) -> None:
    """A recognizer that makes something up, or hears nothing: both are no words."""
    for transcript in (words(""), Transcript((Segment("Thanks for watching!", 0, 1, -1.6),), "en", 0.9)):

        async def hear(kind: Kind, wishes: Wishes, heard: Transcript = transcript) -> Transcript:
            return heard

        scene = Scene(model, hear)
        await scene.hear(quiet(600), say(LONG), quiet(700), flags=PLAYING | 150 << 16)
        await scene.until(lambda scene=scene: "resumed" in scene.line.steps)
        assert scene.line.steps == ["ducked", "held", "resumed"]
        assert scene.line.finals == []
        assert [(heard.content, heard.stable) for heard in scene.line.said if heard.what == "partial"][-1] == ("", "")


async def test_a_click_is_not_shown_to_the_recognizer(model: VadModel) -> None:
    scene = Scene(model, always("you"))
    click = np.zeros(RATE, "<i2")
    click[8000:8800] = 12_000
    await scene.hear(quiet(500), click, quiet(900))
    assert scene.recognition.looks == []
    assert scene.line.finals == []


async def test_a_language_that_is_sure_is_kept_and_asked_for(model: VadModel) -> None:
    made_up = Transcript((Segment("Gracias.", 0, 1, -1.6),), "es", 0.99)
    heard = iter(
        [words("Si.", "es", 0.99), made_up, words("Gut.", "de", 0.9), words("Bien.", "fr", 0.99), words("Ja.")]
    )

    async def hear(kind: Kind, wishes: Wishes) -> Transcript:
        return next(heard) if kind == "final" else words("")

    scene = Scene(model, hear)
    for number, text in enumerate((SHORT, LONG, LONG, LONG, LONG)):
        await scene.hear(quiet(300), say(text), quiet(600))
        await scene.until(lambda number=number: len(scene.recognition.finals) == number + 1)
        await scene.until(lambda: scene.understanding.current is None)
    assert [wishes.language for _, wishes in scene.recognition.finals] == ["", "", "", "de", "de"]
    assert scene.line.finals == ["Si.", "Gut.", "Bien.", "Ja."]
    chosen = Scene(model, always("Good."), language="en")
    await chosen.hear(quiet(300), say(LONG), quiet(600))
    assert {wishes.language for _, _, wishes in chosen.recognition.looks} == {"en"}


async def test_who_does_not_stop_is_understood_in_pieces(model: VadModel) -> None:
    number = 0

    async def hear(kind: Kind, wishes: Wishes) -> Transcript:
        nonlocal number
        number += kind == "final"
        return words(f"piece {number}" if kind == "final" else "")

    scene = Scene(model, hear)
    one = say(LONG)
    # Half a minute without a pause, then one that cuts, then a few words more.
    await scene.hear(quiet(300), np.tile(one, 1 + 30 * RATE // len(one)), say(LONG), quiet(700))
    await scene.until(lambda: scene.line.finals)
    assert scene.line.finals == ["piece 1 piece 2"]
    assert all(size <= (CUT_S + 0.1) * HEARING_BYTES_PER_S for size, _ in scene.recognition.finals)
    assert scene.recognition.finals[1][1].prompt == "piece 1"


class Judge:
    """A model of turns that says what it is told."""

    def __init__(self, *says: float | Exception) -> None:
        self._says = list(says)
        self.heard: list[int] = []

    def is_complete(self, samples: Pcm) -> float:
        self.heard.append(len(samples))
        said = self._says.pop(0) if len(self._says) > 1 else self._says[0]
        if isinstance(said, Exception):
            raise said
        return said


async def pause(scene: Scene, judge: Judge, count: int, ms: float) -> None:
    """Silence, in which the judge speaks his `count`th word before it grows long."""
    await scene.hear(quiet(300))
    await scene.until(lambda: len(judge.heard) == count)
    await asyncio.sleep(0.01)
    await scene.hear(quiet(ms - 300))


async def test_who_does_not_sound_finished_is_waited_for_and_heard_whole(model: VadModel) -> None:
    judge = Judge(0.1, 0.9)
    scene = Scene(model, always("It rains."), turn_model=judge)
    await scene.hear(quiet(300), say(LONG))
    await pause(scene, judge, 1, 2000)
    assert scene.line.finals == []
    await scene.hear(say(SHORT))
    await pause(scene, judge, 2, 700)
    assert scene.line.finals == ["It rains."]
    assert judge.heard[1] - judge.heard[0] > 2 * RATE, "the whole turn, not what followed the pause"
    assert len(judge.heard) == 2


async def test_who_sounds_finished_is_not_waited_for_whatever_the_words(model: VadModel) -> None:
    judge = Judge(0.9)
    scene = Scene(model, always("It rains and"), turn_model=judge)
    await scene.hear(quiet(300), say(LONG))
    await pause(scene, judge, 1, 700)
    assert scene.line.finals == ["It rains and"]


async def test_nobody_is_waited_for_for_ever(model: VadModel) -> None:
    judge = Judge(0.0)
    scene = Scene(model, always("It rains."), turn_model=judge)
    await scene.hear(quiet(300), say(LONG))
    await pause(scene, judge, 1, 3100)
    await scene.until(lambda: scene.line.finals == ["It rains."])


async def test_where_the_model_of_turns_breaks_words_decide(model: VadModel, caplog: pytest.LogCaptureFixture) -> None:
    judge = Judge(RuntimeError("broken"))
    scene = Scene(model, always("It rains."), turn_model=judge)
    await scene.hear(quiet(300), say(LONG))
    await pause(scene, judge, 1, 800)
    assert scene.line.finals == ["It rains."]
    assert "the model of turns broke" in caplog.text


async def test_a_long_turn_is_judged_by_its_last_eight_seconds(model: VadModel) -> None:
    judge = Judge(0.9)
    scene = Scene(model, always("It rains."), turn_model=judge)
    one = say(LONG)
    await scene.hear(quiet(300), np.tile(one, 1 + 12 * RATE // len(one)))
    await pause(scene, judge, 1, 700)
    assert judge.heard == [8 * RATE]


async def test_how_turns_are_taken_may_change_while_somebody_speaks(model: VadModel) -> None:
    async def hear(kind: Kind, wishes: Wishes) -> Transcript:
        return words("It is a fine day.")

    scene = Scene(model, hear)
    await scene.hear(quiet(300), say(SHORT))
    scene.ear.take_turns("push_to_talk")
    await scene.hear(quiet(1600))
    assert scene.line.finals == [], "the button ends it now"
    scene.ear.take_turns("barge_in")
    await scene.hear(quiet(1600))
    await scene.until(lambda: scene.line.finals)
