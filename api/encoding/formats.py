"""Formats: their names, media types and what makes them. Not: the making."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from api.errors import FormatUnknown


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of sound file."""

    name: str
    """As requests say it."""
    media_type: str
    extension: str
    codec: str = ""
    """FFmpeg's encoder; empty: the samples as they are."""
    container: str = ""
    """FFmpeg's muxer."""
    bit_rate: int = 0
    """Bits per second and channel; 0: what the samples need."""
    codec_options: Mapping[str, str] = field(default_factory=dict)
    container_options: Mapping[str, str] = field(default_factory=dict)


FORMATS: Mapping[str, Format] = {
    one.name: one
    for one in (
        Format("wav", "audio/wav", "wav"),
        Format("pcm", "audio/pcm", "pcm"),
        # Half the work of the default, and speech does not tell.
        Format("mp3", "audio/mpeg", "mp3", "libmp3lame", "mp3", 64_000, {"compression_level": "7"}),
        # Frames of 100 ms: the default of 192 ms would hold back the first sound.
        Format(
            *("flac", "audio/flac", "flac", "flac", "flac"),
            codec_options={"frame_size": "2400"},
            container_options={"metadata_header_padding": "0"},
        ),
        # Ogg's own page of a second would, too.
        Format(
            *("opus", "audio/ogg", "opus", "libopus", "ogg", 32_000),
            codec_options={"application": "audio"},
            container_options={"page_duration": "100000"},
        ),
        # A quarter of the work of its other coder; at this rate speech does not tell, either.
        Format("aac", "audio/aac", "aac", "aac", "adts", 64_000, {"aac_coder": "fast"}),
        Format(
            *("m4b", "audio/mp4", "m4b", "aac", "ipod", 64_000, {"aac_coder": "fast"}),
            container_options={"brand": "M4B "},
        ),
    )
}
STREAMED = ("wav", "pcm", "mp3", "flac", "opus", "aac")
"""Those that can be sent while they are made; an m4b is written again at its beginning when its end is known."""
FILES = ("wav", "mp3", "flac", "opus", "m4b")
"""Those that know their length and their first sample, so that subtitles fit them."""


def find_format(name: str, among: tuple[str, ...]) -> Format:
    """Raises: FormatUnknown."""
    if name not in among:
        raise FormatUnknown(f"Known formats are {', '.join(among)}.")
    return FORMATS[name]
