"""coqui-tts, with Glow-TTS or any other of its models that needs no recording, as files. It must never learn of jobs.

Oddities, all on purpose:

1. The model makes a whole text at once. It is given clause by clause, so that the first is heard while the rest is
   still to be made. The library puts 10 000 samples of silence behind each; they are taken off, ours are shorter.
2. How long its sounds are is a switch of the whole model, so one clause is made at a time.
3. It has no pitch. A voice that is to sound higher is made slower and played faster.
4. Without a vocoder beside it the sound is found by Griffin and Lim's way, which is rough.
"""

from __future__ import annotations

import logging
import os
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from contract.data_dir import find_data_dir
from contract.errors import EngineFailed, EngineUnavailable, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from workers.pcm import Resampler, blocks_of
from workers.settings import settings
from workers.tts.engine import Pool, VoiceInfo, file_version
from workers.tts.plain import clauses, plain_text

MODEL_FILES = ("model_file.pth", "model.pth")
"""As the library's own downloads name them."""
MIN_SCALE, MAX_SCALE = 0.3, 3.0
"""Of a sound's length; beyond, words are swallowed or drawn out into noise."""
PAUSE_S = 0.15


class CoquiEngine:
    """One model in this process. One with many speakers offers each by its name.

    `Voice.rate` reaches from a third to three times the model's own speed, what lies beyond is clipped.
    """

    name = "coqui"
    pool: Pool = "prefork"
    repeatable = False
    version = ""

    def __init__(self) -> None:
        self._synthesizer: Any = None
        self._voices: dict[str, VoiceInfo] = {}
        self._scale = 1.0
        self._lock = threading.Lock()

    def load(self) -> None:
        """Read the model and its vocoder, some seconds.

        Raises: EngineUnavailable.
        """
        folder = _folder()
        try:
            from TTS.utils.synthesizer import Synthesizer
        except (ImportError, OSError) as error:
            # OSError: a torchaudio that was built for another torch.
            raise EngineUnavailable(
                f"coqui-tts cannot be imported ({type(error).__name__}). Install it with: CUELINE_TTS_ENGINE=coqui "
                "make run, or pip install 'cueline[coqui]'."
            ) from error
        # It tells of every text.
        logging.getLogger("TTS").setLevel(logging.ERROR)
        model, vocoder = _find_model(folder), _find_model(folder / "vocoder")
        if model is None:
            raise EngineUnavailable(
                f"There is no model of coqui's in {folder}: put config.json and {MODEL_FILES[0]} of "
                "tts_models/en/ljspeech/glow-tts there, and those of its vocoder into its folder vocoder; or name "
                "another folder in CUELINE_COQUI_MODEL."
            )
        try:
            self._synthesizer = Synthesizer(
                tts_checkpoint=model,
                tts_config_path=folder / "config.json",
                vocoder_checkpoint=vocoder,
                vocoder_config=folder / "vocoder/config.json" if vocoder else None,
            )
            self._scale = float(self._synthesizer.tts_model.length_scale)
            self._voices = _read_voices(self._synthesizer)
        except Exception as error:
            raise EngineUnavailable(f"coqui cannot speak with {model}: {type(error).__name__}.") from error
        self.version = file_version("coqui-tts", [model, folder / "config.json", *([vocoder] if vocoder else [])])

    def voices(self) -> list[VoiceInfo]:
        """Every speaker of the model; one that has none offers itself."""
        return list(self._voices.values())

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        """Yield s16le mono 24 kHz PCM in blocks of 100 ms, clause by clause."""
        if self._synthesizer is None:
            raise EngineUnavailable("coqui has not been loaded yet.")
        spoken, speaker = plain_text(text), self._find(voice)
        rate_hz = int(self._synthesizer.output_sample_rate)
        scale = min(max(voice.pitch / voice.rate, MIN_SCALE), MAX_SCALE)
        resampler = Resampler(round(rate_hz * voice.pitch))
        silent, pause = True, b""
        for clause in clauses(spoken):
            pcm = self._make(clause, speaker, scale)
            if not any(pcm):
                continue
            yield from blocks_of(resampler.push(pause + pcm))
            silent, pause = False, bytes(2 * round(PAUSE_S * rate_hz))
        if silent:
            raise TextUnspeakable
        yield from blocks_of(resampler.flush())

    def _find(self, voice: Voice) -> VoiceInfo:
        """Raises: VoiceUnknown."""
        if voice.name in self._voices:
            return self._voices[voice.name]
        first = next(iter(self._voices.values()))
        if voice.name != "default":
            raise VoiceUnknown(f"coqui has no voice {voice.name[:80]!r}.")
        if voice.language.partition("-")[0].lower() != first.language.partition("-")[0]:
            raise VoiceUnknown(f"coqui has no voice for {voice.language[:40]!r}.")
        return first

    def _make(self, clause: str, speaker: VoiceInfo, scale: float) -> bytes:
        """s16le mono at the model's rate; nothing where there is nothing to say. Raises: EngineFailed."""
        import torch
        from TTS.utils.synthesizer import PAD_SILENCE_SAMPLES

        model = self._synthesizer.tts_model
        if not model.tokenizer.text_to_ids(clause):
            # It may know a letter without its accents.
            apart = unicodedata.normalize("NFKD", clause)
            clause = "".join(letter for letter in apart if not unicodedata.combining(letter))
            if not model.tokenizer.text_to_ids(clause):
                return b""
        with self._lock, torch.inference_mode():
            model.length_scale = self._scale * scale
            try:
                made = self._synthesizer.tts(
                    clause, speaker_name=speaker.name if model.num_speakers > 1 else "", split_sentences=False
                )
            except Exception as error:
                # The model raises whatever it likes.
                raise EngineFailed(f"coqui failed: {type(error).__name__}.") from error
        samples = np.asarray(made, np.float32)[:-PAD_SILENCE_SAMPLES]
        # Griffin and Lim's way knows no measure of loudness.
        loudest = float(np.abs(np.nan_to_num(samples)).max(initial=0.0))
        samples = np.nan_to_num(samples) / max(loudest, 1.0)
        return bytes(np.rint(samples * 32_767).astype("<i2").tobytes())


def _folder() -> Path:
    if chosen := settings().coqui_model:
        return Path(chosen).expanduser()
    try:
        return find_data_dir(os.environ) / "coqui"
    except ValueError as error:
        raise EngineUnavailable(str(error)) from error


def _find_model(folder: Path) -> Path | None:
    if not (folder / "config.json").is_file():
        return None
    return next((folder / name for name in MODEL_FILES if (folder / name).is_file()), None)


def _read_voices(synthesizer: Any) -> dict[str, VoiceInfo]:
    model, config = synthesizer.tts_model, synthesizer.tts_config
    language = str(getattr(config, "phoneme_language", None) or "en-us").lower()
    manager = getattr(model, "speaker_manager", None)
    speakers = list(manager.name_to_id) if manager is not None and model.num_speakers > 1 else []
    if not speakers:
        return {"coqui": VoiceInfo("coqui", str(config.model).replace("_", " ").capitalize(), language)}
    return {name: VoiceInfo(name, name, language) for name in map(str, speakers)}
