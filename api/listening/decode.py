"""`python -m api.listening.decode MAX_S` makes any sound file on stdin s16le mono 16 kHz on stdout. Not: transcription.

What a file says of itself is looked at before any of it is decoded; apart.py says what else this process may not do.
"""

from __future__ import annotations

import io
import sys
from typing import Any

from api.encoding.apart import Refused, serve

MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 192_000
MAX_CHANNELS = 2
BLOCK_S = 10


def main() -> int:
    """Exit 0 with samples on stdout."""
    return serve(lambda data: decode(data, float(sys.argv[1])))


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


def _check(file: Any, max_s: float) -> None:
    if not MIN_RATE_HZ <= file.samplerate <= MAX_RATE_HZ:
        raise Refused("audio_unreadable", f"The sampling rate must lie between {MIN_RATE_HZ} and {MAX_RATE_HZ} Hz.")
    if not 1 <= file.channels <= MAX_CHANNELS:
        raise Refused("audio_unreadable", f"A file may have {MAX_CHANNELS} channels at most.")
    if file.frames > max_s * file.samplerate:
        raise Refused("audio_too_long", f"A recording may last {max_s:g} s at most.")


if __name__ == "__main__":
    sys.exit(main())
