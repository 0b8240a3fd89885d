"""The one PCM format: signed 16-bit little-endian, mono, 24 kHz, whole samples. Not: resampling, codecs."""

SAMPLE_RATE_HZ = 24_000
SAMPLE_BYTES = 2
BYTES_PER_MS = SAMPLE_RATE_HZ * SAMPLE_BYTES // 1000
ENCODING = "pcm_s16le"


def ms_to_bytes(ms: int) -> int:
    """Bytes of `ms` milliseconds of PCM."""
    return ms * BYTES_PER_MS


def bytes_to_ms(size: int) -> int:
    """Milliseconds held by `size` bytes of PCM, rounded down."""
    return size // BYTES_PER_MS
