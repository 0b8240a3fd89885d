"""Encoder: PCM into a stream that can be sent at once, or into a file. Not: what is in it, who wants it.

The same samples always give the same bytes: nothing here writes a time, a version or a random number. Memory does not
grow with the sound, except by an m4b's index, eight bytes per 43 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, Protocol, cast

import av
import numpy as np
from av.audio import AudioStream
from av.container import OutputContainer

from api.encoding.formats import FILES, STREAMED, Format, find_format
from api.encoding.riff import wav_head
from contract.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ

LAYOUTS = {1: "mono", 2: "stereo"}


@dataclass(frozen=True, slots=True)
class Chapter:
    """A named part of a file."""

    title: str
    start_ms: int
    end_ms: int


class StreamEncoder(Protocol):
    """PCM in, bytes of the file out."""

    media_type: str
    is_instant: bool
    """Whether `write` costs nothing, so that an event loop may call it."""

    def write(self, pcm: bytes) -> bytes:
        """Take s16le at 24 kHz, interleaved if stereo, blocks of any size; return what is ready of the file, its head
        included, perhaps nothing."""

    def finish(self) -> bytes:
        """The rest of the file; nothing may be written after it."""


class FileEncoder(Protocol):
    """PCM in, a file on disk."""

    def write(self, pcm: bytes) -> None:
        """Take s16le at 24 kHz, interleaved if stereo, blocks of any size. Raises: OSError."""

    def finish(self) -> None:
        """End the file; it stays open. Raises: OSError."""


def stream_encoder(name: str, channels: int = 1) -> StreamEncoder:
    """For one of `STREAMED`. Raises: FormatUnknown."""
    wanted = find_format(name, STREAMED)
    return _CodedStream(wanted, channels) if wanted.codec else _PlainStream(wanted, channels)


def file_encoder(
    file: BinaryIO, name: str, channels: int = 1, title: str = "", chapters: Sequence[Chapter] = ()
) -> FileEncoder:
    """For one of `FILES`, into an empty file that can be read and written anywhere. Only an m4b has chapters.

    Raises: FormatUnknown, OSError.
    """
    wanted = find_format(name, FILES)
    return _CodedFile(file, wanted, channels, title, chapters) if wanted.codec else _PlainFile(file, channels)


class _PlainStream:
    """wav and pcm."""

    def __init__(self, wanted: Format, channels: int) -> None:
        self.media_type, self.is_instant = wanted.media_type, True
        self._head = wav_head(None, channels) if wanted.name == "wav" else b""

    def write(self, pcm: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + pcm

    def finish(self) -> bytes:
        return self.write(b"")


class _PlainFile:
    """wav of known length."""

    def __init__(self, file: BinaryIO, channels: int) -> None:
        self._file, self._channels, self._size = file, channels, 0
        file.write(wav_head(None, channels))

    def write(self, pcm: bytes) -> None:
        self._file.write(pcm)
        self._size += len(pcm)

    def finish(self) -> None:
        self._file.seek(0)
        self._file.write(wav_head(self._size, self._channels))
        self._file.seek(0, 2)
        self._file.flush()


class _CodedStream:
    """Everything that FFmpeg makes, into memory that is taken out block by block."""

    def __init__(self, wanted: Format, channels: int) -> None:
        self.media_type, self.is_instant = wanted.media_type, False
        self._sink = _Sink()
        self._coder = _Coder(self._sink, wanted, channels)

    def write(self, pcm: bytes) -> bytes:
        self._coder.write(pcm)
        return self._sink.take()

    def finish(self) -> bytes:
        self._coder.finish()
        return self._sink.take()


class _CodedFile:
    """The same into a file, in which what was written first may be written again."""

    def __init__(self, file: BinaryIO, wanted: Format, channels: int, title: str, chapters: Sequence[Chapter]) -> None:
        self._file = file
        self._coder = _Coder(file, wanted, channels, title, chapters)

    def write(self, pcm: bytes) -> None:
        self._coder.write(pcm)

    def finish(self) -> None:
        self._coder.finish()
        self._file.flush()


class _Sink:
    """What FFmpeg takes for a pipe: it has no `seek`."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


class _Coder:
    """One codec and its container."""

    def __init__(
        self, sink: _Sink | BinaryIO, wanted: Format, channels: int, title: str = "", chapters: Sequence[Chapter] = ()
    ) -> None:
        options = {"fflags": "+bitexact", "flush_packets": "1", **wanted.container_options}
        self._layout, self._frame_bytes = LAYOUTS[channels], channels * SAMPLE_BYTES
        self._container: OutputContainer = av.open(sink, "w", format=wanted.container, options=options)
        codec = {"flags": "+bitexact", "threads": "1", **wanted.codec_options}
        stream = self._container.add_stream(wanted.codec, SAMPLE_RATE_HZ, codec, layout=self._layout)
        self._stream = cast(AudioStream, stream)
        if wanted.bit_rate:
            self._stream.bit_rate = wanted.bit_rate * channels
        self._held, self._samples = b"", 0
        if title:
            self._container.metadata["title"] = title
        if chapters and wanted.container == "ipod":
            self._container.set_chapters([_chapter(number, one) for number, one in enumerate(chapters)])

    def write(self, pcm: bytes) -> None:
        pcm = self._held + pcm if self._held else pcm
        whole = len(pcm) - len(pcm) % self._frame_bytes
        self._held = pcm[whole:]
        if whole:
            samples = np.frombuffer(pcm, "<i2", whole // SAMPLE_BYTES)[None]
            frame = av.AudioFrame.from_ndarray(samples, "s16", self._layout)
            frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, self._samples
            self._samples += whole // self._frame_bytes
            self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._container.start_encoding()
        self._container.mux(self._stream.encode(None))
        self._container.close()


def _chapter(number: int, one: Chapter) -> av.container.core.Chapter:
    return {
        "id": number,
        "start": one.start_ms,
        "end": one.end_ms,
        "time_base": Fraction(1, 1000),
        "metadata": {"title": one.title},
    }
