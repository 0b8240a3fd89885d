"""`python -m api.casting.clip_file` makes a recording on stdin fit to be spoken like, on stdout. Not: who speaks in it.

Which kind of file it is we see ourselves: what a library recognizes includes lists of further files and addresses. And
it may open nothing more; apart.py says what else this process may not do. Out comes s16le mono 24 kHz, without the
silence around it, as loud as speech is.
"""

from __future__ import annotations

import io
import re
import resource
import sys
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler

from api.encoding.apart import Refused, serve
from api.encoding.riff import wav_head
from api.render.sound.loudness import Loudness
from api.render.sound.trimming import Samples, SoundFinder, faded
from contract.audio import SAMPLE_RATE_HZ

MIN_S, MAX_S = 3.0, 30.0
"""Less does not show how somebody speaks; more costs every sentence that is spoken like it."""
MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 192_000
MAX_CHANNELS = 16
LUFS, CEILING, MAX_GAIN_DB = -20.0, 10 ** (-1 / 20), 30.0
SILENT_LUFS = -50.0
TOO_LONG, TOO_SHORT, SILENT, UNREADABLE = "audio_too_long", "audio_too_short", "audio_silent", "audio_unreadable"
NO_SOUND = "This is no sound file: wav, flac, ogg, opus, mp3, m4a, webm and aiff are."
_HEADS = (
    (re.compile(rb"RIFF.{4}WAVE", re.DOTALL), "wav"),
    (re.compile(rb"fLaC"), "flac"),
    (re.compile(rb"OggS"), "ogg"),
    (re.compile(rb"ID3"), "mp3"),
    (re.compile(rb"\xff[\xf0-\xf1\xf8-\xf9]"), "aac"),
    (re.compile(rb"\xff[\xe0-\xff]"), "mp3"),
    (re.compile(rb".{4}ftyp", re.DOTALL), "mp4"),
    (re.compile(rb"\x1a\x45\xdf\xa3"), "matroska"),
    (re.compile(rb"FORM.{4}AIF[FC]", re.DOTALL), "aiff"),
)
"""How each kind of file begins, and FFmpeg's name for it."""


def main() -> int:
    """Exit 0 with samples on stdout."""
    return serve(read)


def read(data: bytes) -> None:
    """Raises: Refused."""
    kind = next((kind for head, kind in _HEADS if head.match(data)), "")
    if not kind:
        raise Refused(UNREADABLE, NO_SOUND)
    _rehearse()
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    try:
        samples = np.concatenate([np.zeros(0, np.float32), *_decode(data, kind)])
    except (av.FFmpegError, ValueError, IndexError, OverflowError) as error:
        raise Refused(UNREADABLE, NO_SOUND) from error
    sys.stdout.buffer.write(np.rint(_fit(samples) * 32_767).astype("<i2").tobytes())


def _rehearse() -> None:
    """With a sound of our own: libraries open files of theirs when they are first needed."""
    sound = 0.1 * np.sin(np.arange(int(MIN_S * SAMPLE_RATE_HZ)) * np.float32(0.05))
    pcm = np.rint(sound * 32_767).astype("<i2").tobytes()
    _fit(np.concatenate(list(_decode(wav_head(len(pcm)) + pcm, "wav"))))


def _decode(data: bytes, kind: str) -> Iterator[Samples]:
    """Mono at 24 kHz. What a file says of its length is looked at first, and then not believed."""
    with av.open(io.BytesIO(data), "r", kind, metadata_errors="replace") as file:
        if not file.streams.audio:
            raise Refused(UNREADABLE, "There is no sound in this file.")
        stream = file.streams.audio[0]
        _check(stream, file.duration)
        made = 0
        resampler: AudioResampler | None = None
        for frame in file.decode(stream):
            mono = _mono(frame)
            resampler = resampler or AudioResampler("flt", "mono", SAMPLE_RATE_HZ)
            for block in resampler.resample(mono):
                yield block.to_ndarray()[0]
                made += block.samples
                if made > MAX_S * SAMPLE_RATE_HZ:
                    raise _too_long()
        for block in resampler.resample(None) if resampler else ():
            yield block.to_ndarray()[0]


def _check(stream: Any, duration_us: int | None) -> None:
    if not MIN_RATE_HZ <= stream.rate <= MAX_RATE_HZ:
        raise Refused(UNREADABLE, f"The sampling rate must lie between {MIN_RATE_HZ} and {MAX_RATE_HZ} Hz.")
    if not 1 <= stream.channels <= MAX_CHANNELS:
        raise Refused(UNREADABLE, f"A file may have {MAX_CHANNELS} channels at most.")
    if duration_us and duration_us / 1e6 > MAX_S + 0.5:
        raise _too_long(duration_us / 1e6)


def _too_long(seconds: float = 0.0) -> Refused:
    this = f"; this one lasts {seconds:.0f} s" if seconds else ""
    return Refused(TOO_LONG, f"A recording may last {MAX_S:.0f} s at most{this}.")


def _mono(frame: Any) -> Any:
    """All channels in equal parts: FFmpeg's own way needs to know where each stands, and leaves some out."""
    floats = AudioResampler("flt", frame.layout, frame.rate).resample(frame)
    packed = np.concatenate([np.nan_to_num(block.to_ndarray()[0]) for block in floats])
    mixed = packed.reshape(-1, frame.layout.nb_channels).mean(axis=1)
    mono = av.AudioFrame.from_ndarray(np.ascontiguousarray(mixed, np.float32)[None], "flt", "mono")
    mono.sample_rate = frame.rate
    return mono


def _fit(samples: Samples) -> Samples:
    """Without the silence around it, as loud as speech is, and never louder than the format holds."""
    finder = SoundFinder()
    finder.push(samples)
    start, end = finder.finish()
    kept = samples[start:end]
    loudness = Loudness()
    loudness.push(kept)
    lufs = loudness.finish()
    if lufs < SILENT_LUFS:
        raise Refused(SILENT, "Nobody can be heard in this recording.")
    if len(kept) < MIN_S * SAMPLE_RATE_HZ:
        seconds = len(kept) / SAMPLE_RATE_HZ
        raise Refused(TOO_SHORT, f"A recording has at least {MIN_S:.0f} s of speech; this one has {seconds:.1f} s.")
    gain = 10 ** (min(LUFS - lufs, MAX_GAIN_DB) / 20)
    loudest = float(np.abs(kept).max())
    return faded(kept * np.float32(min(gain, CEILING / loudest)), 0, len(kept))


if __name__ == "__main__":
    sys.exit(main())
