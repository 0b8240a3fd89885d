"""`python -m api.listening.decode MAX_S` makes any sound file on stdin s16le mono 16 kHz on stdout. Not: transcription.

A process of its own, because what decodes files of strangers has had holes and will have more: it may take little
memory, little time and no file, and what a file says of itself is looked at before any of it is decoded.
"""

from __future__ import annotations

import io
import json
import resource
import sys
from typing import Any

MEMORY_BYTES = 1536 * 1024 * 1024
"""Of addresses: the libraries alone take half a gigabyte of them."""
CPU_S = 60
MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 192_000
MAX_CHANNELS = 2
BLOCK_S = 10
EXIT_REFUSED = 3


class Refused(Exception):
    """A file that is not decoded; the code is for programs."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def main() -> int:
    """Exit 0 with samples on stdout; else 3, with why on stderr as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        decode(sys.stdin.buffer.read(), float(sys.argv[1]))
    except Refused as refusal:
        return _refuse(refusal.code, refusal.text)
    except MemoryError:
        return _refuse("audio_too_long", "The file takes too much memory.")
    return 0


def decode(data: bytes, max_s: float) -> None:
    """Raises: Refused."""
    import numpy as np
    import soundfile

    from api.listening.sound.resample import Resampler

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check(file, max_s)
            resampler, left = Resampler(file.samplerate), int(max_s * file.samplerate)
            for block in file.blocks(BLOCK_S * file.samplerate, dtype="float32", always_2d=True):
                # What a file says of its length need not be true.
                left -= len(block)
                if left < 0:
                    raise Refused("audio_too_long", f"A recording may last {max_s:g} s at most.")
                mono = np.ascontiguousarray(block.mean(axis=1), dtype=np.float32)
                samples = np.clip(resampler.push(np.nan_to_num(mono)), -1, 1)
                sys.stdout.buffer.write(np.rint(samples * 32_767).astype("<i2").tobytes())
    except (soundfile.LibsndfileError, ValueError, RuntimeError) as error:
        raise Refused("audio_unreadable", "This is no sound file: wav, flac, ogg, opus and mp3 are.") from error
    sys.stdout.buffer.flush()


def _check(file: Any, max_s: float) -> None:
    if not MIN_RATE_HZ <= file.samplerate <= MAX_RATE_HZ:
        raise Refused("audio_unreadable", f"The sampling rate must lie between {MIN_RATE_HZ} and {MAX_RATE_HZ} Hz.")
    if not 1 <= file.channels <= MAX_CHANNELS:
        raise Refused("audio_unreadable", f"A file may have {MAX_CHANNELS} channels at most.")
    if file.frames > max_s * file.samplerate:
        raise Refused("audio_too_long", f"A recording may last {max_s:g} s at most.")


def _refuse(code: str, text: str) -> int:
    sys.stderr.write(json.dumps({"code": code, "text": text}) + "\n")
    return EXIT_REFUSED


if __name__ == "__main__":
    sys.exit(main())
