"""The starter cast speaks with whatever engine is here, and each of it as somebody else."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.characters import CAST
from contract.errors import EngineUnavailable
from contract.voice import Voice
from tests.fakes import FickleEngine
from tests.workers.asking import ready, said
from tests.workers.toy_voices import write_kokoro
from workers.tts.engine import VoiceInfo
from workers.tts.kokoro import KokoroEngine
from workers.tts.relief.chain import Chain
from workers.tts.relief.roles import ROLES, Cast, assign
from workers.tts.relief.watched import Watched

AVA, BEN, CLEO, DORAN = (character.voice for character in CAST.values())
KOKORO = ("af_heart", "af_bella", "af_sky", "am_adam", "am_michael", "bf_emma", "bm_daniel", "bm_lewis", "ff_siwis")
needs_kokoro = pytest.mark.skipif(not find_spec("kokoro_onnx"), reason="NOT TESTED: needs the extra kokoro")


def test_the_roles_are_those_of_the_starter_cast() -> None:
    assert list(ROLES) == [character.voice.name for character in CAST.values()]


@needs_kokoro
def test_the_cast_speaks_with_kokoro_each_in_a_voice_of_its_own(tmp_path: Path) -> None:
    model, voices = write_kokoro(tmp_path, KOKORO)
    with ready(KokoroEngine, CUELINE_KOKORO_MODEL=str(model), CUELINE_KOKORO_VOICES=str(voices)) as kokoro:
        played = [Cast(kokoro).play(voice) for voice in (AVA, BEN, CLEO, DORAN)]
        assert [voice.name for voice in played] == ["af_heart", "bm_daniel", "af_bella", "bm_lewis"]
        assert [voice.language for voice in played] == ["en-us", "en-gb", "en-us", "en-gb"]
        assert (played[3].rate, played[3].pitch) == (DORAN.rate, DORAN.pitch)
        assert len({said(Watched(kokoro), voice=voice) for voice in (AVA, BEN, CLEO, DORAN)}) == 4


def test_kokoro_without_its_files_names_the_command_that_brings_them(tmp_path: Path) -> None:
    missing = {"CUELINE_KOKORO_MODEL": "", "CUELINE_KOKORO_VOICES": "", "CUELINE_DATA_DIR": str(tmp_path)}
    with (
        pytest.raises(EngineUnavailable, match=r"cueline get kokoro|kokoro-onnx is missing"),
        ready(KokoroEngine, **missing),
    ):
        pass


def test_the_first_engine_of_a_chain_plays_them_although_a_later_one_has_their_names() -> None:
    first = FickleEngine("first", [VoiceInfo("anna", "Anna", "en-us", "female"), VoiceInfo("bob", "Bob", "de", "male")])
    second = FickleEngine("espeak", [VoiceInfo(name, name, "en-us") for name in ROLES])
    chain = Chain([first, second])
    chain.load()
    for voice in (AVA, BEN):
        list(chain.speak("It rains.", voice, 1))
    assert [voice.name for voice in first.spoken] == ["anna", "bob"]
    first.error = ZeroDivisionError()
    list(chain.speak("It rains.", BEN, 1))
    assert second.spoken == [BEN], "espeak has it as it is"


def test_an_engine_without_names_is_told_the_role_itself() -> None:
    engine = FickleEngine("plain", [VoiceInfo("default", "Plain", "en-us")])
    list(Watched(engine).speak("It rains.", CLEO, 1))
    assert engine.spoken == [CLEO]


def test_any_other_name_stays_what_it_is() -> None:
    engine = FickleEngine("first", [VoiceInfo("anna", "Anna", "en-us", "female")])
    for name in ("default", "anna", "en-us+f4", "nobody"):
        assert Cast(engine).play(Voice(name)) == Voice(name)


@given(
    st.lists(
        st.tuples(st.sampled_from(["female", "male", ""]), st.sampled_from(["en-us", "en-gb", "de", "en-au"])),
        max_size=8,
    )
)
def test_roles_are_shared_only_where_a_gender_has_too_few(kinds: list[tuple[str, str]]) -> None:
    voices = [VoiceInfo(str(n), str(n), language, gender) for n, (gender, language) in enumerate(kinds)]
    players = assign(voices)
    assert set(players) == (set(ROLES) if voices else set())
    for gender in ("female", "male"):
        mine = [players[role].name for role, (wanted, _) in ROLES.items() if wanted == gender and voices]
        fitting = [info for info in voices if info.gender in {gender, ""}]
        english = [info for info in voices if info.gender == gender and info.language.startswith("en")]
        if len(english) >= 2:
            assert len(set(mine)) == 2
        if fitting:
            assert all(players[role].gender in {gender, ""} for role, (wanted, _) in ROLES.items() if wanted == gender)
