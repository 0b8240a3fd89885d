"""piper: neural voices as files, each a network (ONNX) and a description (JSON). It must never learn of jobs.

Oddities, all on purpose:

1. The network makes a whole text at once. It is given clause by clause, so that the first is heard while the rest is
   still to be made.
2. Its noise is drawn inside the network, out of reach of a seed: a sentence is never the same twice.
3. piper has no pitch. A voice that is to sound higher is made slower and played faster.
4. A voice is opened when it is first spoken with, and only the last few are kept: each is 20 to 110 MB.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.data_dir import find_data_dir
from contract.errors import EngineFailed, EngineUnavailable, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from workers.pcm import Resampler, blocks_of
from workers.settings import settings
from workers.tts.engine import Pool, VoiceInfo, file_version
from workers.tts.plain import clauses, plain_text

if TYPE_CHECKING:
    from piper import PiperVoice

MEND = "Install it with: CUELINE_TTS_ENGINE=piper make run, or pip install 'cueline[piper]'."
MIN_SCALE, MAX_SCALE = 0.3, 3.0
"""Of a phoneme's length; beyond, words are swallowed or drawn out into noise."""
MAX_OPEN = 4
PHONEMES = {"espeak", "text"}
"""What we have without more packages and downloads; voices for Chinese, Japanese or Thai need both and are left out."""
NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*(?:#[\w.-]+)?")


@dataclass(frozen=True, slots=True)
class _Speaker:
    file: Path
    number: int | None
    info: VoiceInfo


class PiperEngine:
    """The voices of one folder. A file with many speakers offers each as `file#speaker`.

    `Voice.rate` reaches from a third to three times the voice's own speed, what lies beyond is clipped.
    """

    name = "piper"
    pool: Pool = "prefork"
    repeatable = False
    version = ""

    def __init__(self) -> None:
        self._speakers: dict[str, _Speaker] = {}
        self._open: dict[Path, PiperVoice] = {}
        self._lock = threading.Lock()

    def load(self) -> None:
        """Read what the folder holds and open its first voice, about half a second.

        Raises: EngineUnavailable.
        """
        try:
            import piper  # noqa: F401
        except ImportError as error:
            raise EngineUnavailable(f"The package piper-tts is missing. {MEND}") from error
        # It warns of each letter that a voice has no sound for, with the text in debug.
        logging.getLogger("piper").setLevel(logging.ERROR)
        folder = _folder()
        found = [speaker for file in sorted(folder.glob("*.onnx")) for speaker in _read_speakers(file)]
        if not found:
            raise EngineUnavailable(
                f"There is no piper voice in {folder}. Get one with: cueline get piper, or name another folder in "
                "CUELINE_PIPER_VOICES."
            )
        self._speakers = {speaker.info.name: speaker for speaker in found}
        self._voice(found[0].file)
        self.version = file_version("piper-tts", dict.fromkeys(speaker.file for speaker in found))

    def voices(self) -> list[VoiceInfo]:
        """Every speaker of every file, by name."""
        return [speaker.info for speaker in self._speakers.values()]

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        """Yield s16le mono 24 kHz PCM in blocks of 100 ms, clause by clause."""
        if not self._speakers:
            raise EngineUnavailable("piper has not been loaded yet.")
        spoken, speaker = plain_text(text), self._find(voice)
        from piper.config import SynthesisConfig

        opened = self._voice(speaker.file)
        scale = opened.config.length_scale * voice.pitch / voice.rate
        config = SynthesisConfig(speaker_id=speaker.number, length_scale=min(max(scale, MIN_SCALE), MAX_SCALE))
        resampler = Resampler(round(opened.config.sample_rate * voice.pitch))
        silent = True
        for pcm in _clauses_to_pcm(opened, spoken, config):
            silent = silent and not any(pcm)
            yield from blocks_of(resampler.push(pcm))
        if silent:
            raise TextUnspeakable
        yield from blocks_of(resampler.flush())

    def _find(self, voice: Voice) -> _Speaker:
        """Raises: VoiceUnknown."""
        if voice.name != "default":
            if speaker := self._speakers.get(voice.name):
                return speaker
            raise VoiceUnknown(f"piper has no voice {voice.name[:80]!r}.")
        tag = voice.language.lower()
        for fits in (tag, tag.partition("-")[0]):
            for speaker in self._speakers.values():
                if speaker.info.language == fits or speaker.info.language.startswith(f"{fits}-"):
                    return speaker
        raise VoiceUnknown(f"piper has no voice for {voice.language[:40]!r}.")

    def _voice(self, file: Path) -> PiperVoice:
        """Raises: EngineUnavailable."""
        from piper import PiperVoice

        with self._lock:
            opened = self._open.pop(file, None)
            if opened is None:
                try:
                    opened = PiperVoice.load(file)
                except Exception as error:
                    raise EngineUnavailable(f"{file.name} is no piper voice: {type(error).__name__}.") from error
                while len(self._open) >= MAX_OPEN:
                    del self._open[next(iter(self._open))]
            self._open[file] = opened
            return opened


def _clauses_to_pcm(opened: PiperVoice, text: str, config: Any) -> Iterator[bytes]:
    for clause in clauses(text):
        try:
            for chunk in opened.synthesize(clause, config):
                yield chunk.audio_int16_bytes
        except Exception as error:
            # The network and the phonemizer raise whatever they like.
            raise EngineFailed(f"piper failed: {type(error).__name__}.") from error


def _folder() -> Path:
    if chosen := settings().piper_voices:
        return Path(chosen).expanduser()
    try:
        return find_data_dir(os.environ) / "piper"
    except ValueError as error:
        raise EngineUnavailable(str(error)) from error


def _read_speakers(file: Path) -> Iterator[_Speaker]:
    """Nothing for a file without a readable description."""
    try:
        said = json.loads(Path(f"{file}.json").read_text("utf-8"))
        tag = str((said.get("language") or {}).get("code") or said["espeak"]["voice"]).replace("_", "-").lower()
        named = {str(name): int(number) for name, number in (said.get("speaker_id_map") or {}).items()}
        phonemes = said.get("phoneme_type", "espeak")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    if phonemes not in PHONEMES:
        return
    speakers = named if len(named) > 1 else {"": None}
    for who, number in speakers.items():
        name = f"{file.stem}#{who}" if who else file.stem
        if NAME.fullmatch(name):
            label = file.stem.partition("-")[2].replace("-", ", ").replace("_", " ").capitalize() or file.stem
            yield _Speaker(file, number, VoiceInfo(name, f"{who.capitalize()} ({label})" if who else label, tag))
