"""Kyutai's delayed streams model (DSM TTS, 1.6 billion parameters) through their library moshi. It must not know jobs.

Oddities, all on purpose:

1. The library calls back with each 80 ms of sound until all is made. That runs in a thread of its own, so that the
   first of it is heard at once; who closes the iterator ends it at the next frame.
2. The model's memory of what it is saying lies in the model: one sentence at a time, the next one waits.
3. It knows neither speed nor pitch; both are altered afterwards.
4. `<break time="…"/>` would be obeyed; in a text it is a word like any other, and is taken apart.
5. moshi pins an older torch than the rest of us, so this engine has an environment of its own: docs/engines.md.
"""

from __future__ import annotations

import json
import os
import queue
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from contract.data_dir import find_data_dir
from contract.errors import EngineFailed, EngineUnavailable, VoiceUnknown
from contract.voice import Voice
from workers.settings import settings
from workers.tempo import altered
from workers.tts.engine import Pool, VoiceInfo, file_version
from workers.tts.plain import pieces, plain_text

LANGUAGES = ("en", "fr")
"""What the published model speaks; it hears from the text which."""
VOICE_FILE = re.compile(r"(?P<name>[\w./-]+?)(?:\.wav|\.mp3)?(?:\.[0-9a-f]{4,16}@[0-9]+)?\.safetensors")
"""As the repository of voices has them: `expresso/ex03_happy.wav.1e68beda@240.safetensors`."""
PIECE_CHARS = 400
START_FRAMES, FRAMES_PER_CHAR = 40, 3
"""Three times as long as people need, 12.5 frames a second: whoever is still speaking then babbles."""
TEMPERATURE, GUIDANCE = 0.6, 2.0
"""Source: the library's own scripts."""


class KyutaiEngine:
    """One model in this process, and every voice in its folder `voices`."""

    name = "kyutai"
    pool: Pool = "prefork"
    repeatable = False
    version = ""

    def __init__(self) -> None:
        self._model: Any = None
        self._voices: dict[str, Path] = {}
        self._lock = threading.Lock()

    def load(self) -> None:
        """Load model and codec, half a minute on a GPU.

        Raises: EngineUnavailable.
        """
        folder = _folder()
        try:
            import torch

            is_gpu = torch.cuda.is_available()
            if not is_gpu:
                # It would look for a C++ compiler.
                os.environ.setdefault("NO_TORCH_COMPILE", "1")
            from moshi.models.loaders import CheckpointInfo
            from moshi.models.tts import TTSModel
        except ImportError as error:
            raise EngineUnavailable(
                "The package moshi is missing. It needs an environment of its own: deploy/setup.sh kyutai makes it, "
                "and docs/engines.md says how a worker is started there."
            ) from error
        self._voices = _find_voices(folder / "voices")
        config = folder / "config.json"
        if not config.is_file() or not self._voices:
            raise EngineUnavailable(
                f"Kyutai's model is not in {folder}: put the files of kyutai/tts-1.6b-en_fr there and voices of "
                "kyutai/tts-voices into its folder voices, or name another folder in CUELINE_KYUTAI_MODEL."
            )
        try:
            found = CheckpointInfo.from_hf_repo("", **_files(folder, config))
            self._model = TTSModel.from_checkpoint_info(
                found,
                device="cuda" if is_gpu else "cpu",
                dtype=torch.bfloat16 if is_gpu else torch.float32,
                temp=TEMPERATURE,
                n_q=int(found.raw_config["dep_q"]),
            )
        except Exception as error:
            raise EngineUnavailable(f"{folder} holds no model of Kyutai's: {type(error).__name__}: {error}.") from error
        self.version = file_version("moshi", [config, *self._voices.values()])

    def voices(self) -> list[VoiceInfo]:
        """Every voice of the folder, by its path in it."""
        return [VoiceInfo(name, name.rpartition("/")[2].replace("_", " ").capitalize(), "en") for name in self._voices]

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        """Yield s16le mono 24 kHz PCM in blocks of 80 ms, as they are made."""
        if self._model is None:
            raise EngineUnavailable("kyutai has not been loaded yet.")
        spoken, file = re.sub(r"<(?=break\b)", "< ", plain_text(text)), self._find(voice)
        yield from altered(self._blocks(spoken, file), voice.rate, voice.pitch)

    def _find(self, voice: Voice) -> Path:
        """Raises: VoiceUnknown."""
        if voice.name == "default":
            if voice.language.partition("-")[0] not in LANGUAGES:
                raise VoiceUnknown(f"kyutai does not speak {voice.language[:40]!r}.")
            return next(iter(self._voices.values()))
        if file := self._voices.get(voice.name):
            return file
        raise VoiceUnknown(f"kyutai has no voice {voice.name[:80]!r}.")

    def _blocks(self, text: str, voice: Path) -> Iterator[bytes]:
        for piece in pieces(text, PIECE_CHARS):
            with closing(_Take(self._model, self._lock, piece, voice)) as take:
                yield from take


class _Take:
    """One piece of text, made by a thread; its blocks wait here until somebody wants them."""

    def __init__(self, model: Any, lock: threading.Lock, text: str, voice: Path) -> None:
        self._model, self._lock = model, lock
        self._made: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()
        self._is_closed = threading.Event()
        threading.Thread(target=self._run, args=(text, voice), name="kyutai", daemon=True).start()

    def __iter__(self) -> Iterator[bytes]:
        while (made := self._made.get()) is not None:
            if isinstance(made, Exception):
                raise EngineFailed(f"kyutai failed: {type(made).__name__}.") from made
            yield made

    def close(self) -> None:
        """Have it end with the frame that is being made."""
        self._is_closed.set()

    def _run(self, text: str, voice: Path) -> None:
        try:
            with self._lock:
                if not self._is_closed.is_set():
                    self._generate(text, voice)
            self._made.put(None)
        except _Closed:
            self._made.put(None)
        except Exception as error:  # noqa: BLE001 -- whoever reads is given it
            self._made.put(error)

    def _generate(self, text: str, voice: Path) -> None:
        import torch

        model = self._model
        guided = sorted(model.valid_cfg_conditionings, key=lambda coefficient: abs(coefficient - GUIDANCE))
        about = model.make_condition_attributes([voice], cfg_coef=guided[0] if guided else None)
        model.max_gen_length = model.delay_steps + START_FRAMES + FRAMES_PER_CHAR * len(text)

        def take(frame: Any) -> None:
            if self._is_closed.is_set():
                raise _Closed
            # What is not known yet, at the start, is -1.
            if bool((frame != -1).all()):
                sound = model.mimi.decode(frame[:, 1:, :]).float().cpu().numpy()[0, 0]
                self._made.put(np.rint(np.clip(np.nan_to_num(sound), -1, 1) * 32_767).astype("<i2").tobytes())

        with torch.inference_mode(), model.mimi.streaming(1):
            model.generate([model.prepare_script([text], padding_between=1)], [about], on_frame=take)


class _Closed(Exception):
    """Nobody listens any more."""


def _folder() -> Path:
    if chosen := settings().kyutai_model:
        return Path(chosen).expanduser()
    try:
        return find_data_dir(os.environ) / "kyutai"
    except ValueError as error:
        raise EngineUnavailable(str(error)) from error


def _find_voices(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in sorted(folder.rglob("*.safetensors")):
        if named := VOICE_FILE.fullmatch(file.relative_to(folder).as_posix()):
            found.setdefault(named["name"], file)
    return found


def _files(folder: Path, config: Path) -> dict[str, Path]:
    """Every file by its place here, so that nothing is looked for elsewhere. Raises: ValueError, OSError, KeyError."""
    named = json.loads(config.read_text("utf-8"))
    files = {
        "config_path": config,
        "moshi_weights": folder / named["moshi_name"],
        "mimi_weights": folder / named["mimi_name"],
        "tokenizer": folder / named["tokenizer_name"],
    }
    if "mimi_config_name" in named:
        files["mimi_config_path"] = folder / named["mimi_config_name"]
    return files
