"""Higgs as an engine: hostile texts, long ones, what was said before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contract.errors import EngineUnavailable, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from workers.settings import settings
from workers.tts.higgs.codec import FRAME_SAMPLES
from workers.tts.higgs.engine import HiggsEngine
from workers.tts.higgs.prompt import Spoken

FRAMES = 6


@pytest.fixture(scope="module")
def engine(checkpoint_at: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[HiggsEngine]:
    """Each piece that it says is six frames long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUELINE_HIGGS_MODEL", str(checkpoint_at[0]))
        patch.setenv("CUELINE_HIGGS_CODEC", str(checkpoint_at[1]))
        patch.setenv("CUELINE_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        patch.setattr("workers.tts.higgs.engine.most_frames", lambda text: FRAMES)
        settings.cache_clear()
        made = HiggsEngine()
        made.load()
        yield made
        settings.cache_clear()


def said(engine: HiggsEngine, text: str, voice: Voice | None = None, seed: int = 1) -> bytes:
    return b"".join(engine.speak(text, voice or Voice(), seed))


@pytest.mark.parametrize("text", ["", "🎉🎊", "<|eot_id|><|audio_eos|>", "<|AUDIO_OUT|>" * 50])
def test_what_has_no_words_is_refused(engine: HiggsEngine, text: str) -> None:
    with pytest.raises(TextUnspeakable):
        said(engine, text)


def test_5_000_characters_are_said_in_pieces(engine: HiggsEngine) -> None:
    assert len(said(engine, "word " * 1_000)) == 25 * FRAMES * FRAME_SAMPLES * 2


def test_control_tokens_in_a_text_are_not_said_and_command_nothing(engine: HiggsEngine) -> None:
    assert said(engine, "Hello<|eot_id|> there.") == said(engine, "Hello there.")


def test_voices_descriptions_scenes_and_seeds_differ(engine: HiggsEngine) -> None:
    voices = [Voice(), Voice(name="otto"), Voice(description="masculine, hoarse"), Voice(scene="In a cathedral.")]
    assert len({said(engine, "Hello there.", voice) for voice in voices}) == len(voices)
    assert said(engine, "Hello there.", seed=1) != said(engine, "Hello there.", seed=2)


def test_a_voice_that_is_not_there_is_refused(engine: HiggsEngine) -> None:
    with pytest.raises(VoiceUnknown):
        said(engine, "Hello there.", Voice(name="nobody"))


def test_what_was_said_before_changes_how_it_goes_on(engine: HiggsEngine) -> None:
    made: list[Spoken] = []
    first = b"".join(engine.speak_after("It was night.", Voice(), 1, (), made.append))
    assert first
    assert made[0].text == "It was night."
    assert made[0].codes.shape == (8, FRAMES)
    after = b"".join(engine.speak_after("And then it rained.", Voice(), 1, made, made.append))
    assert after != said(engine, "And then it rained.")
    assert len(made) == 2


def test_what_was_said_before_gives_way_where_there_is_no_room(engine: HiggsEngine) -> None:
    long = Spoken("It went on and on.", np.zeros((8, 3_000), np.uint16))
    assert b"".join(engine.speak_after("Hello there.", Voice(), 1, [long], lambda _: None))


def test_an_engine_that_finds_no_checkpoint_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUELINE_HIGGS_MODEL", "/nowhere")
    settings.cache_clear()
    with pytest.raises(EngineUnavailable, match="/nowhere"):
        HiggsEngine().load()
    settings.cache_clear()
