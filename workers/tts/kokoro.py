"""Kokoro, 82 million parameters on onnxruntime: one network, a file of voices, mixtures of them. It knows no job.

Oddities, all on purpose:

1. The network makes a whole text at once. It is given clause by clause, so that the first is heard while the rest is
   still to be made.
2. We hold espeak's phonemizer ourselves, one per language: the library opens a new one for each text, and leaves marks
   like "(fr)" in the phonemes, which the network would read out.
3. Kokoro has no pitch. A voice that is to sound higher is made slower and played faster.
4. The network draws noise, and sums in another order on another processor: no promise to repeat itself.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from contract.data_dir import find_data_dir
from contract.errors import EngineFailed, EngineUnavailable, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from workers.pcm import Resampler, blocks_of
from workers.settings import settings
from workers.tts.engine import Pool, VoiceInfo, file_version
from workers.tts.mixture import read_mixture
from workers.tts.plain import clauses, plain_text

if TYPE_CHECKING:
    from kokoro_onnx import Kokoro

MODEL_FILE, VOICES_FILE = "kokoro-v1.0.onnx", "voices-v1.0.bin"
RATE_HZ = 24_000
MIN_SPEED, MAX_SPEED = 0.5, 2.0
LANGUAGES = {"a": "en-us", "b": "en-gb", "e": "es", "f": "fr-fr", "h": "hi", "i": "it", "p": "pt-br"}
"""By the first letter of a voice's name. Japanese (j) and Chinese (z) need other phonemes than espeak's: left out."""
GENDERS = {"f": "female", "m": "male"}
FIRST_CHOICES = ("af_heart", "af_bella", "bf_emma", "am_michael")
SENTENCE_PAUSE_S, CLAUSE_PAUSE_S = 0.25, 0.1
"""Between what is made apart; the silence that the network puts there is trimmed away."""

Style = npt.NDArray[np.float32]
"""510 rows, one per number of phonemes, of 1 × 256."""


class KokoroEngine:
    """One network in this process.

    A voice may be several: `af_bella+bf_emma(2)`, spoken in the language of the first. `Voice.rate` reaches from half
    to twice the normal speed, what lies beyond is clipped.
    """

    name = "kokoro"
    pool: Pool = "prefork"
    repeatable = False
    version = ""

    def __init__(self) -> None:
        self._kokoro: Kokoro | None = None
        self._styles: dict[str, Style] = {}
        self._phonemizers: dict[str, Any] = {}
        self._lock = threading.Lock()

    def load(self) -> None:
        """Load network and voices, some seconds.

        Raises: EngineUnavailable.
        """
        try:
            from kokoro_onnx import Kokoro
        except ImportError as error:
            raise EngineUnavailable(
                "The package kokoro-onnx is missing (it needs Python below 3.14). Install it with: "
                "CUELINE_TTS_ENGINE=kokoro make run, or pip install 'cueline[kokoro]'."
            ) from error
        model, voices = _find_files()
        try:
            kokoro = Kokoro(str(model), str(voices))
            self._styles = {
                name: np.asarray(kokoro.voices[name], np.float32) for name in _best_first(kokoro.get_voices())
            }
        except Exception as error:
            raise EngineUnavailable(
                f"{model.name} and {voices.name} are no network and voices of Kokoro: {type(error).__name__}."
            ) from error
        if not self._styles:
            raise EngineUnavailable(f"{voices.name} holds no voice whose language Cueline can speak.")
        self._kokoro = kokoro
        self.version = file_version("kokoro-onnx", [model, voices])

    def voices(self) -> list[VoiceInfo]:
        """Every voice of the file whose language espeak has phonemes for."""
        return [_info(name) for name in self._styles]

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        """Yield s16le mono 24 kHz PCM in blocks of 100 ms, clause by clause."""
        kokoro = self._kokoro
        if kokoro is None:
            raise EngineUnavailable("kokoro has not been loaded yet.")
        spoken = plain_text(text)
        shares = self._find(voice)
        mixed = np.sum([share * self._styles[name] for name, share in shares.items()], axis=0)
        style: Style = np.asarray(mixed, np.float32)
        language = LANGUAGES[next(iter(shares))[0]]
        speed = min(max(voice.rate / voice.pitch, MIN_SPEED), MAX_SPEED)
        resampler = Resampler(round(RATE_HZ * voice.pitch))
        silent, pause = True, b""
        for clause in clauses(spoken):
            pcm = self._make(kokoro, clause, style, speed, language)
            if not any(pcm):
                continue
            yield from blocks_of(resampler.push(pause + pcm))
            silent, pause = False, _pause_after(clause, speed)
        if silent:
            raise TextUnspeakable
        yield from blocks_of(resampler.flush())

    def _find(self, voice: Voice) -> dict[str, float]:
        """Raises: VoiceUnknown."""
        if voice.name != "default":
            return read_mixture(voice.name, self._styles)
        tag = voice.language.lower()
        for fits in (tag, tag.partition("-")[0]):
            for name in self._styles:
                if (own := LANGUAGES[name[0]]) == fits or own.startswith(f"{fits}-"):
                    return {name: 1.0}
        raise VoiceUnknown(f"kokoro has no voice for {voice.language[:40]!r}.")

    def _make(self, kokoro: Kokoro, clause: str, style: Style, speed: float, language: str) -> bytes:
        """s16le mono at `RATE_HZ`; nothing where there is nothing to say. Raises: EngineFailed."""
        try:
            phonemes = self._phonemes(kokoro, clause, language)
            if not any(character.isalpha() for character in phonemes):
                return b""
            audio, _ = kokoro.create(phonemes, style, speed, is_phonemes=True)
        except Exception as error:
            # The network and the phonemizer raise whatever they like.
            raise EngineFailed(f"kokoro failed: {type(error).__name__}.") from error
        return bytes(np.rint(np.clip(np.nan_to_num(audio), -1, 1) * 32_767).astype("<i2").tobytes())

    def _phonemes(self, kokoro: Kokoro, text: str, language: str) -> str:
        from phonemizer.backend import EspeakBackend

        # espeak is one per process and not thread-safe.
        with self._lock:
            phonemizer = self._phonemizers.get(language)
            if phonemizer is None:
                phonemizer = self._phonemizers[language] = EspeakBackend(
                    language,
                    preserve_punctuation=True,
                    with_stress=True,
                    language_switch="remove-flags",
                    logger=_quiet(),
                )
            found = " ".join(phonemizer.phonemize([text]))
        return "".join(character for character in found if character in kokoro.tokenizer.vocab).strip()


def _find_files() -> tuple[Path, Path]:
    """Raises: EngineUnavailable."""
    chosen = settings()
    try:
        folder = find_data_dir(os.environ) / "kokoro"
    except ValueError as error:
        raise EngineUnavailable(str(error)) from error
    model = Path(chosen.kokoro_model).expanduser() if chosen.kokoro_model else folder / MODEL_FILE
    voices = Path(chosen.kokoro_voices).expanduser() if chosen.kokoro_voices else folder / VOICES_FILE
    for file, name in ((model, "CUELINE_KOKORO_MODEL"), (voices, "CUELINE_KOKORO_VOICES")):
        if not file.is_file():
            raise EngineUnavailable(
                f"Kokoro needs {file}: cueline get kokoro fetches {MODEL_FILE} and {VOICES_FILE} into {folder}; or "
                f"name other files in CUELINE_KOKORO_MODEL and CUELINE_KOKORO_VOICES ({name} is missing)."
            )
    return model, voices


def _best_first(names: list[str]) -> list[str]:
    spoken = [name for name in names if name[:1] in LANGUAGES]
    return [
        *(name for name in FIRST_CHOICES if name in spoken),
        *(name for name in spoken if name not in FIRST_CHOICES),
    ]


def _info(name: str) -> VoiceInfo:
    kind, _, person = name.partition("_")
    return VoiceInfo(name, (person or name).capitalize(), LANGUAGES[name[0]], GENDERS.get(kind[1:2], ""))


def _pause_after(clause: str, speed: float) -> bytes:
    pause_s = (SENTENCE_PAUSE_S if clause[-1] in ".!?…" else CLAUSE_PAUSE_S) / speed
    return bytes(2 * round(pause_s * RATE_HZ))


def _quiet() -> logging.Logger:
    """It warns of every word that espeak joins with the next."""
    logger = logging.getLogger("cueline.phonemizer")
    logger.setLevel(logging.ERROR)
    return logger
