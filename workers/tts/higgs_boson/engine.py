"""boson-multimodal, Boson's own library for the first form of Higgs Audio v2: one sentence at a time. It knows no job.

For those who depend on it; `higgs` reads today's checkpoint and speaks many sentences together (docs/engines.md).

Oddities, all on purpose:

1. The library cannot read what is published now, so the checkpoint is that of a pinned revision; and it wants a
   transformers that nothing else here can live with, so it has an environment of its own (deploy/higgs-boson.txt).
2. Two sentences at once would spoil each other, unnoticed: whatever generates holds a lock, until it has really ended.
3. Its stream cannot be stopped, and waits for ever when the model fails. So we run its model in a thread of ours, with
   a streamer that stops it at the next row when nobody wants it, and that hands over what went wrong.
4. What it streams is delayed, each codebook a row later than the one before it, and nothing in it undoes that while it
   streams: here the last seven rows are kept.
"""

from __future__ import annotations

import base64
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from contract.audio import SAMPLE_RATE_HZ
from contract.errors import EngineBusy, EngineFailed, EngineUnavailable, VoiceUnknown
from contract.voice import Voice
from workers.recall.anchorage import Anchorage, Samples
from workers.settings import settings
from workers.tempo import altered
from workers.tts.engine import Codes, Pool, VoiceInfo
from workers.tts.higgs.engine import PIECE_CHARS, VOICES, most_frames
from workers.tts.higgs.prompt import QUIET_SCENE, SYSTEM, words
from workers.tts.plain import pieces, plain_text

log = logging.getLogger(__name__)

REVISION = "10840182ca4ad5d9d9113b60b9bb3c1ef1ba3f84"
"""Of bosonai/higgs-audio-v2-generation-3B-base: the last that this library can read."""
MEND = "It wants an environment of its own: see deploy/higgs-boson.txt."
BOOKS, CODES = 8, 1024
"""Codebooks, and codes in each; what is above are marks of where speech begins and ends."""
FRAME_SAMPLES, FIRST_FRAMES, FRAMES, REACH = 960, 10, 25, 10
"""A frame is 40 ms. What is decoded at first, and then at a time, with so many frames to each side that matter."""
ROW_S, BUSY_S, END_S = 30.0, 60.0, 10.0
"""How long a row may take, another sentence, and the end of what was stopped."""
_Row = npt.NDArray[np.int64]


class HiggsBosonEngine:
    """One model in this process, and one sentence in it."""

    name = "higgs_boson"
    pool: Pool = "prefork"
    repeatable = False
    version = ""
    clones = True

    def __init__(self) -> None:
        self._boson: Any = None
        self._anchorage: Anchorage | None = None
        self._generating = threading.Lock()

    def load(self) -> None:
        """Load the checkpoint, a minute.

        Raises: EngineUnavailable.
        """
        try:
            from boson_multimodal.serve.serve_engine import HiggsAudioServeEngine
        except Exception as error:
            # Its neighbours break with whatever they like where they do not fit together.
            raise EngineUnavailable(f"boson-multimodal cannot be used here ({type(error).__name__}). {MEND}") from error
        told = settings()
        device = ("cuda" if _has_cuda() else "cpu") if told.higgs_device == "auto" else told.higgs_device
        try:
            model = _find(told.higgs_boson_model, REVISION)
            self._boson = HiggsAudioServeEngine(model, told.higgs_boson_codec, device=device)
        except Exception as error:
            raise EngineUnavailable(
                f"boson-multimodal cannot read {told.higgs_boson_model} and {told.higgs_boson_codec}: "
                f"{type(error).__name__}. It reads the checkpoint of revision {REVISION[:8]} only, not today's."
            ) from error
        self.version = f"boson-multimodal {version('boson-multimodal')} {told.higgs_boson_model} {REVISION[:8]}"

    def voices(self) -> list[VoiceInfo]:
        """The same as those of `higgs`."""
        return [VoiceInfo(name, part.label, "en-us", part.gender) for name, part in VOICES.items()]

    def find_anchors_at(self, anchorage: Anchorage) -> None:
        """Speak like recordings that are there. A voice that is only described is somebody else each time."""
        self._anchorage = anchorage

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        """Yield s16le mono 24 kHz PCM, once 20 frames are there, then a second at a time."""
        if voice.name not in VOICES:
            raise VoiceUnknown(f"Higgs has no voice {voice.name[:40]!r}; it has {', '.join(VOICES)}.")
        if self._boson is None:
            raise EngineUnavailable("higgs_boson has not been loaded yet.")
        said = plain_text(words(plain_text(text)))
        recording = self._recording(voice)
        blocks = self._blocks(said, voice, seed, recording)
        with closing(blocks):
            yield from altered(blocks, min(max(voice.rate, 0.25), 4.0), voice.pitch)

    def _blocks(self, text: str, voice: Voice, seed: int, recording: tuple[Samples, str] | None) -> Any:
        silent = True
        for number, piece in enumerate(pieces(text, PIECE_CHARS)):
            sample, most = _prompt(piece, voice, recording), most_frames(piece)
            frames = self._frames(sample, most, seed + number)
            with closing(frames):
                for pcm in windows(frames, self._decode):
                    silent = False
                    yield pcm
        if silent:
            raise EngineFailed("The voice model made no sound of this sentence.")

    def _recording(self, voice: Voice) -> tuple[Samples, str] | None:
        if not voice.anchor:
            return None
        found = self._anchorage.recording(voice.anchor) if self._anchorage else None
        if found is None:
            raise VoiceUnknown("The recording of this voice is not there any more.")
        return found

    def _frames(self, sample: Any, most: int, seed: int) -> Any:
        """Each frame as soon as it is whole, [codebooks]. Closing it stops the model at its next row."""
        if not self._generating.acquire(timeout=BUSY_S):
            raise EngineBusy("The voice model is still busy with another sentence.", retry_after_s=END_S)
        streamer = _Streamer()
        arguments = (sample, most, seed, streamer)
        thread = threading.Thread(target=self._generate, args=arguments, name="higgs-boson", daemon=True)
        thread.start()
        try:
            yield from undelayed(streamer.rows())
        finally:
            streamer.is_wanted = False
            thread.join(END_S)
            if thread.is_alive():
                log.error("the voice model does not stop; what comes next has to wait for it")

    def _generate(self, sample: Any, most: int, seed: int, streamer: _Streamer) -> None:
        """In a thread of its own, which alone lets go of the lock."""
        try:
            import torch

            boson = self._boson
            with torch.no_grad():
                inputs = boson._prepare_inputs(sample, force_audio_gen=True)
                boson._prepare_kv_caches()
                boson.model.generate(
                    **inputs,
                    max_new_tokens=most + BOOKS,
                    use_cache=True,
                    stop_strings=["<|end_of_text|>", "<|eot_id|>"],
                    tokenizer=boson.tokenizer,
                    do_sample=True,
                    temperature=0.7,
                    top_k=50,
                    top_p=0.95,
                    past_key_values_buckets=boson.kv_caches,
                    ras_win_len=7,
                    ras_win_max_num_repeat=2,
                    seed=seed,
                    streamer=streamer,
                )
        except _Unwanted:
            log.debug("a sentence was stopped")
        except Exception as error:
            log.exception("boson-multimodal failed")
            streamer.fail(error)
        finally:
            self._generating.release()
            streamer.finish()

    def _decode(self, codes: Codes) -> Samples:
        import torch

        with torch.no_grad():
            heard = self._boson.audio_tokenizer.decode(torch.from_numpy(codes.astype(np.int64))[None])[0, 0]
        return np.asarray(heard, np.float32)


class _Unwanted(Exception):
    """Nobody wants the rest."""


class _Streamer:
    """What the model writes rows into; transformers asks for `put` and `end`."""

    def __init__(self) -> None:
        self.is_wanted = True
        self._is_prompt = True
        self._rows: queue.SimpleQueue[_Row | Exception | None] = queue.SimpleQueue()

    def put(self, value: Any) -> None:
        """The prompt first, then text tokens or rows. Raises: _Unwanted, which ends the model's loop."""
        if not self.is_wanted:
            raise _Unwanted
        if self._is_prompt:
            self._is_prompt = False
        elif value.shape[0] == BOOKS:
            self._rows.put(np.asarray(value.tolist(), np.int64))

    def end(self) -> None:
        """Told by the model; whoever runs it says so as well, also when it fails."""

    def fail(self, error: Exception) -> None:
        """Hand over what went wrong."""
        self._rows.put(error)

    def finish(self) -> None:
        """There are no more rows."""
        self._rows.put(None)

    def rows(self) -> Iterator[_Row]:
        """Each as it comes. Raises: EngineFailed."""
        while True:
            try:
                row = self._rows.get(timeout=ROW_S)
            except queue.Empty:
                raise EngineFailed("The voice model has stopped answering.") from None
            if row is None:
                return
            if isinstance(row, Exception):
                raise EngineFailed(f"The voice model failed: {type(row).__name__}.") from row
            yield row


def undelayed(rows: Iterator[_Row]) -> Iterator[Codes]:
    """Rows as the model makes them → frames, [codebooks]: codebook i of a frame stands i rows later. What begins and
    ends speech is in no frame."""
    held: list[_Row] = []
    for row in rows:
        held.append(row)
        if len(held) == BOOKS:
            frame = np.array([held[book][book] for book in range(BOOKS)])
            if (frame < CODES).all():
                yield frame.astype(np.uint16)
            del held[0]


def windows(frames: Iterator[Codes], decode: Callable[[Codes], Samples]) -> Iterator[bytes]:
    """Frames → PCM, in pieces without a seam: each is decoded with `REACH` frames to both sides, and cut out.

    `decode` makes samples of [codebooks, frames].
    """
    held: list[Codes] = []
    done, dropped, has_ended = 0, 0, False
    while not has_ended:
        wanted = FIRST_FRAMES if done == 0 else FRAMES
        while dropped + len(held) < done + wanted + REACH:
            if (frame := next(frames, None)) is None:
                has_ended = True
                break
            held.append(frame)
        end = dropped + len(held) if has_ended else done + wanted
        if end > done:
            samples = decode(np.stack(held, axis=1))
            at = (done - dropped) * FRAME_SAMPLES
            yield _pcm(samples[at : at + (end - done) * FRAME_SAMPLES])
            done = end
            drop = max(0, done - REACH - dropped)
            del held[:drop]
            dropped += drop


def _pcm(samples: Samples) -> bytes:
    return bytes(np.rint(np.clip(np.nan_to_num(samples), -1, 1) * 32_767).astype("<i2").tobytes())


def _prompt(text: str, voice: Voice, recording: tuple[Samples, str] | None) -> Any:
    """A chat in boson's form: how it sounds, the recording as something that was said, and what to say."""
    from boson_multimodal.data_types import AudioContent, ChatMLSample, Message

    scene = " ".join(words(voice.scene).split()) or QUIET_SCENE
    description = " ".join(words(voice.description or VOICES[voice.name].description).split())
    told = f"{SYSTEM}\n\n<|scene_desc_start|>\n{scene}\n\nSPEAKER0: {description}\n<|scene_desc_end|>"
    messages = [Message("system", told)]
    if recording:
        samples, said = recording
        sound = AudioContent("placeholder", raw_audio=base64.b64encode(_wav(samples)).decode())
        messages += [Message("user", f"[SPEAKER0] {words(said)}"), Message("assistant", sound)]
    return ChatMLSample([*messages, Message("user", f"[SPEAKER0] {text}")])


def _wav(samples: Samples) -> bytes:
    import io
    import wave

    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(_pcm(samples))
    return written.getvalue()


def _find(at: str, revision: str) -> str:
    """A folder; what is no folder is fetched from the hub, in that revision."""
    if Path(at).is_dir():
        return at
    from huggingface_hub import snapshot_download

    return str(snapshot_download(at, revision=revision))


def _has_cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())
