"""What every engine promises. One suite for all: a new engine adds a line to `ENGINES` and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.audio import bytes_to_ms
from contract.errors import EngineUnavailable, SpeechError, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from tests.fakes import FakeAzure, FakeMiniMax, FakeSpeechServer
from tests.workers.toy_coqui import write_toy_coqui
from tests.workers.toy_kyutai import write_toy_kyutai
from tests.workers.toy_voices import write_kokoro, write_piper_voice
from workers.settings import settings as worker_settings
from workers.tts.engine import Engine
from workers.tts.registry import engine_names, make_engine

ELSEWHERE = "it is not installed with the rest, see docs/engines.md"
ENGINES = (
    [os.environ["ENGINE"]]
    if "ENGINE" in os.environ
    else [
        "espeak",
        "openai_speech",
        "minimax",
        "azure",
        pytest.param(
            "piper", marks=pytest.mark.skipif(not find_spec("piper"), reason="NOT TESTED: needs the extra piper")
        ),
        pytest.param(
            "kokoro",
            marks=pytest.mark.skipif(not find_spec("kokoro_onnx"), reason="NOT TESTED: needs the extra kokoro"),
        ),
        pytest.param(
            "higgs", marks=pytest.mark.skipif(not find_spec("transformers"), reason="NOT TESTED: needs the extra higgs")
        ),
        pytest.param("coqui", marks=pytest.mark.skipif(not find_spec("TTS"), reason=f"NOT TESTED: {ELSEWHERE}")),
        pytest.param("kyutai", marks=pytest.mark.skipif(not find_spec("moshi"), reason=f"NOT TESTED: {ELSEWHERE}")),
    ]
)
"""`ENGINE=module:Class pytest tests/workers/test_engines.py` judges another one."""
HEAR_THE_LANGUAGE = {"openai_speech", "higgs"}
"""Engines that find the language in the text, and so know of no unknown one."""
WITHOUT_A_TONE = {"higgs", "kyutai"}
TEXT = "Hello there, this is a test of the emergency broadcast system."
OTHER = "Something quite different: and louder!"
PLAIN = Voice()
LOUD = Voice(name="en-us+iven")
"""Overdrives espeak, whose gain then stays down for a while."""


@pytest.fixture(scope="module", autouse=True)
def equipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the engines need beside their packages."""
    folder = tmp_path_factory.mktemp("voices")
    with (
        FakeSpeechServer() as server,
        FakeMiniMax() as minimax,
        FakeAzure() as azure,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("CUELINE_TTS_BASE_URL", server.url)
        patch.setenv("CUELINE_MINIMAX_BASE_URL", minimax.url)
        patch.setenv("CUELINE_MINIMAX_API_KEY", "a-key")
        patch.setenv("CUELINE_AZURE_BASE_URL", azure.url)
        patch.setenv("CUELINE_AZURE_KEY", "a-key")
        patch.setenv("CUELINE_PIPER_VOICES", str(folder))
        if find_spec("piper"):
            write_piper_voice(folder, "en_US-toy-low", "en_US", "en-us")
            write_piper_voice(folder, "de_DE-duo-low", "de_DE", "de", ("anna", "bert"))
        network, voices = write_kokoro(folder, ("af_bella", "af_heart", "bm_lewis", "ff_siwis"))
        patch.setenv("CUELINE_KOKORO_MODEL", str(network))
        patch.setenv("CUELINE_KOKORO_VOICES", str(voices))
        if find_spec("TTS"):
            patch.setenv("CUELINE_COQUI_MODEL", str(write_toy_coqui(folder / "coqui")))
        if find_spec("moshi"):
            patch.setenv("CUELINE_KYUTAI_MODEL", str(write_toy_kyutai(folder / "kyutai")))
        if find_spec("torch") and find_spec("transformers"):
            set_up_higgs(patch, folder)
        worker_settings.cache_clear()
        yield
        loaded.cache_clear()
        worker_settings.cache_clear()


def lengths_of_a_toy(patch: pytest.MonkeyPatch) -> None:
    """Random weights never end a sentence, so each is as long as it may be: as people would need for it."""
    import torch

    patch.setattr("workers.tts.higgs.engine.most_frames", lambda text: min(68, 5 + len(text)))
    torch.set_num_threads(1)


def set_up_higgs(patch: pytest.MonkeyPatch, folder: Path) -> None:
    from tests.higgs.tiny_checkpoint import write_tiny_checkpoint

    model, codec = write_tiny_checkpoint(folder / "higgs", ends=False)
    patch.setenv("CUELINE_HIGGS_MODEL", str(model))
    patch.setenv("CUELINE_HIGGS_CODEC", str(codec))
    lengths_of_a_toy(patch)


def names() -> list[str]:
    """Those of the engines whose packages are here."""
    packages = {"piper": "piper", "kokoro": "kokoro_onnx", "higgs": "transformers", "coqui": "TTS", "kyutai": "moshi"}
    every = [name if isinstance(name, str) else str(name.values[0]) for name in ENGINES]
    return [name for name in every if name not in packages or find_spec(packages[name])]


@cache
def loaded(name: str) -> Engine:
    engine = make_engine(name)
    engine.load()
    return engine


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return loaded(request.param)


@pytest.fixture
def espeak() -> Engine:
    return loaded("espeak")


def said(engine: Engine, text: str = TEXT, voice: Voice = PLAIN, seed: int = 7) -> bytes:
    return b"".join(engine.speak(text, voice, seed))


def cut_short(engine: Engine, text: str, voice: Voice = PLAIN) -> None:
    blocks = engine.speak(text, voice, 1)
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]


def pitch_hz(pcm: bytes) -> float:
    """The most common pitch between 60 and 400 Hz, by autocorrelation."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    power = np.abs(np.fft.rfft(samples, 2 * len(samples))) ** 2
    correlation = np.fft.irfft(power)[24_000 // 400 : 24_000 // 60]
    return 24_000 / (int(correlation.argmax()) + 24_000 // 400)


def test_an_engine_knows_its_own_name(engine: Engine) -> None:
    assert engine.name in engine_names() or "ENGINE" in os.environ
    assert engine.pool in ("solo", "prefork", "threads")


def test_a_known_sentence_has_a_plausible_duration(engine: Engine) -> None:
    assert 2_500 < bytes_to_ms(len(said(engine))) < 6_000


def test_every_block_holds_whole_samples_and_some(engine: Engine) -> None:
    blocks = list(engine.speak(TEXT, PLAIN, 7))
    assert all(blocks)
    assert not any(len(block) % 2 for block in blocks)


def test_speech_is_neither_silent_nor_clipped(engine: Engine) -> None:
    samples = np.frombuffer(said(engine), "<i2").astype(float)
    assert 500 < np.sqrt((samples**2).mean()) < 12_000
    assert (np.abs(samples) >= 32_767).mean() < 0.001


def test_speech_arrives_while_it_is_being_made(engine: Engine) -> None:
    assert len(next(engine.speak(TEXT, PLAIN, 7))) < len(said(engine)) / 4


def test_a_faster_rate_shortens_and_a_slower_one_lengthens(engine: Engine) -> None:
    fast, normal, slow = (len(said(engine, voice=Voice(rate=rate))) for rate in (2.0, 1.0, 0.5))
    assert fast < 0.7 * normal < 0.7 * 0.7 * slow


def test_extreme_rates_are_clipped_and_not_refused(engine: Engine) -> None:
    fastest, slowest = (len(said(engine, voice=Voice(rate=rate))) for rate in (4.0, 0.25))
    assert fastest < 0.6 * len(said(engine)) < 0.6 * slowest


def test_pitch_raises_and_lowers_the_voice(engine: Engine) -> None:
    if engine.name in WITHOUT_A_TONE:
        pytest.skip(f"{engine.name} makes noise of random weights; what alters its pitch is tested apart")
    low, normal, high = (pitch_hz(said(engine, voice=Voice(pitch=pitch))) for pitch in (0.5, 1.0, 2.0))
    assert low < 0.9 * normal < 0.9 * 0.9 * high


def test_every_offered_voice_speaks(engine: Engine) -> None:
    for info in engine.voices():
        assert said(engine, "One, two.", Voice(name=info.name)), info


def test_offered_voices_have_names_of_their_own_and_labels(engine: Engine) -> None:
    voices = engine.voices()
    assert voices
    assert len({voice.name for voice in voices}) == len(voices)
    assert all(voice.label and voice.language == voice.language.lower() for voice in voices)


@pytest.mark.parametrize("name", ["nobody", "../../etc/passwd", "en-us+../x", "en-us+", "+nobody", "en us", "", "\0"])
def test_an_unknown_voice_is_refused(engine: Engine, name: str) -> None:
    with pytest.raises(VoiceUnknown):
        said(engine, voice=Voice(name=name))


def test_an_unknown_language_is_refused(engine: Engine) -> None:
    if engine.name in HEAR_THE_LANGUAGE:
        pytest.skip(f"{engine.name} is told no language")
    with pytest.raises(VoiceUnknown):
        said(engine, voice=Voice(language="xx-klingon"))


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\0", "\ud800", "…", "—", "{}", "\u200b"])
def test_text_without_a_sound_is_refused(engine: Engine, text: str) -> None:
    with pytest.raises(TextUnspeakable):
        said(engine, text)


def test_endless_text_is_refused(engine: Engine) -> None:
    with pytest.raises(TextUnspeakable):
        said(engine, "word " * 100_000)


@pytest.mark.parametrize(
    "text",
    [
        "bell \a, escape \x1b[31m, embedded command \x01100S \x01V and nul \0 in the middle",
        "a" * 2_000,
        "word " * 400,
        "9" * 1_000,
        "half a pair \ud83d and \udc00 the other",
        "private \ue000\ue123\uf8ff use, \ufffe no character, \U0010ffff the last",
        "a\u0301\u0301\u0301" * 200,
        "日本語 العربية हिन्दी 👩‍👩‍👧‍👦",
        "%s %n %d %x",
    ],
)
def test_hostile_text_is_spoken_and_harms_nobody(engine: Engine, text: str) -> None:
    assert said(engine, text)
    assert said(engine)


def test_nothing_but_marks_is_named_or_refused(engine: Engine) -> None:
    with contextlib.suppress(TextUnspeakable):
        assert said(engine, "!" * 5_000)


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(st.characters(), max_size=60),
    name=st.sampled_from(["default", "default", "de", "cmn+f3", "+croak", "ar"]),
)
def test_nothing_but_a_speech_error_leaves(text: str, name: str) -> None:
    for engine in map(loaded, names()):
        with contextlib.suppress(SpeechError):
            assert len(said(engine, text, Voice(name=name))) % 2 == 0


def test_an_engine_works_on_after_an_error(engine: Engine) -> None:
    before = len(said(engine))
    with pytest.raises(VoiceUnknown):
        said(engine, voice=Voice(name="nobody"))
    assert abs(len(said(engine)) - before) < 0.02 * before


def test_cancelling_leaves_the_engine_ready(engine: Engine) -> None:
    before = len(said(engine))
    for _ in range(20):
        cut_short(engine, TEXT * 20)
    assert abs(len(said(engine)) - before) < 0.02 * before


def test_an_iterator_never_started_costs_nothing(engine: Engine) -> None:
    engine.speak(TEXT, PLAIN, 1)
    assert said(engine)


def test_a_slow_listener_does_not_hold_up_the_others(engine: Engine) -> None:
    slow = engine.speak(TEXT, PLAIN, 7)
    head = next(slow)
    assert said(engine, OTHER)
    assert len(head + b"".join(slow)) == len(said(engine))


def test_sentences_spoken_at_once_do_not_mix(engine: Engine) -> None:
    names = ("default", "de", "+f3", "+croak")
    if engine.name != "espeak":
        names = ("default", *(info.name for info in engine.voices()[:3]))
    voices = [Voice(name=name) for name in names] * 4
    alone = [len(said(engine, voice=voice)) for voice in voices]
    with ThreadPoolExecutor(4) as pool:
        together = [len(pcm) for pcm in pool.map(lambda voice: said(engine, voice=voice), voices)]
    assert all(abs(a - b) < 0.02 * a for a, b in zip(alone, together, strict=True))


def test_an_engine_that_is_not_loaded_says_so() -> None:
    for name in names():
        with pytest.raises(EngineUnavailable):
            said(make_engine(name))


def voices_of(engine: Engine) -> list[Voice]:
    """Voices that differ in all that may leave something behind."""
    if engine.name == "espeak":
        return VOICES
    one, other, third = (info.name for info in engine.voices()[:3])
    return [Voice(), Voice(name=one, rate=4.0), Voice(name=other, pitch=1.4), Voice(name=third, rate=0.25)]


VOICES = [
    Voice(),
    Voice(name="de"),
    Voice(name="+f3", pitch=1.4),
    Voice(name="croak", rate=4.0),
    Voice(name="whisper", rate=0.25),
    Voice(name="en-gb+robosoft6"),
    Voice(name="vi+Demonic"),
]


@pytest.fixture
def repeatable(engine: Engine) -> Engine:
    if not engine.repeatable:
        pytest.skip(f"{engine.name} does not promise to repeat itself here")
    return engine


def histories(engine: Engine) -> Iterator[None]:
    """Leave the engine in a different state at every step."""
    yield
    said(engine, OTHER)
    yield
    if engine.name != "espeak":
        one, other = (info.name for info in engine.voices()[:2])
        said(engine, OTHER, Voice(name=one, rate=4.0), 99)
        cut_short(engine, TEXT * 5, Voice(name=other, pitch=2.0))
        yield
        return
    said(engine, OTHER, Voice(name="whisper", rate=4.0), 99)
    yield
    cut_short(engine, TEXT * 5, Voice(name="+f3", rate=4.0))
    yield
    said(engine, "A" * 40 + "!", Voice(name="+croak", pitch=2.0), 3)
    cut_short(engine, OTHER)
    cut_short(engine, OTHER, Voice(name="de", rate=0.3))
    yield
    said(engine, TEXT, LOUD)
    yield
    cut_short(engine, TEXT, LOUD)
    yield


@pytest.mark.parametrize("number", range(len(VOICES)))
def test_the_same_sentence_repeats_to_the_sample_whatever_came_before(repeatable: Engine, number: int) -> None:
    voices = voices_of(repeatable)
    if number >= len(voices):
        pytest.skip(f"{repeatable.name} has no more voices that differ so")
    assert len({said(repeatable, voice=voices[number]) for _ in histories(repeatable)}) == 1


def test_the_same_sentence_repeats_to_the_sample_among_others_spoken_at_once(repeatable: Engine) -> None:
    voices = voices_of(repeatable)
    alone = {voice: said(repeatable, voice=voice) for voice in voices}
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda voice: (voice, said(repeatable, voice=voice)), voices * 4)
        assert all(alone[voice] == pcm for voice, pcm in together)


IN_ANOTHER_PROCESS = """
import hashlib, sys
import pytest
from tests.workers.test_engines import loaded, lengths_of_a_toy, said, voices_of
if sys.argv[1] == "higgs":
    lengths_of_a_toy(pytest.MonkeyPatch())
engine = loaded(sys.argv[1])
for voice in reversed(voices_of(engine)):
    print(hashlib.sha256(said(engine, voice=voice)).hexdigest())
"""


def test_the_same_sentence_repeats_to_the_sample_in_another_process(repeatable: Engine) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, os.environ.get("ENGINE", repeatable.name)]
    other = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=100)
    assert other.returncode == 0, other.stderr
    here = [hashlib.sha256(said(repeatable, voice=voice)).hexdigest() for voice in voices_of(repeatable)]
    assert other.stdout.split() == here[::-1]


# Only espeak.


def test_espeak_repeats_itself_where_its_library_keeps_its_symbols(espeak: Engine) -> None:
    if sys.platform != "linux":
        pytest.skip("the libraries for macOS and Windows are stripped")
    assert espeak.repeatable


def test_the_seed_changes_breathy_voices_and_no_others(espeak: Engine) -> None:
    breathy, plain = Voice(name="whisper"), Voice()
    assert said(espeak, voice=breathy, seed=1) != said(espeak, voice=breathy, seed=2)
    if espeak.repeatable:
        assert said(espeak, voice=plain, seed=1) == said(espeak, voice=plain, seed=2)


@pytest.mark.parametrize(
    ("name", "language", "same_as"),
    [
        ("default", "de", "de"),
        ("default", "de-at", "de"),
        ("default", "en", "en-gb"),
        ("default", "zh-cn", "cmn"),
        ("+f3", "fr", "fr-fr+f3"),
        ("female", "es", "es+f3"),
        ("EN-US+F3", "de", "en-us+f3"),
        ("pt-br", "de", "pt-br"),
    ],
)
def test_a_voice_is_found_by_name_language_or_both(espeak: Engine, name: str, language: str, same_as: str) -> None:
    found, wanted = Voice(name=name, language=language), Voice(name=same_as)
    assert bytes_to_ms(len(said(espeak, voice=found))) == bytes_to_ms(len(said(espeak, voice=wanted)))


@pytest.mark.parametrize("text", ["<speak>hi</speak>", '<break time="9s"/> hi', "<audio src='x'/> hi"])
def test_markup_is_read_out_and_not_obeyed(espeak: Engine, text: str) -> None:
    assert 1_000 < bytes_to_ms(len(said(espeak, text))) < 6_000


def test_phoneme_brackets_are_read_as_words(espeak: Engine) -> None:
    spoken, hello = said(espeak, "[[hello]]"), said(espeak, "hello")
    assert abs(bytes_to_ms(len(spoken)) - bytes_to_ms(len(hello))) < 200


def test_commands_inside_the_text_do_nothing(espeak: Engine) -> None:
    assert len(said(espeak, "\x01450S" + TEXT)) > len(said(espeak))
