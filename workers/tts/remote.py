"""Remote: how long a server elsewhere is waited for, and when it is asked again. Not: any server's own protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx

from contract.errors import EngineBusy, EngineFailed, EngineUnavailable
from workers.pcm import Resampler

CONNECT_S, SILENCE_S, WHOLE_S = 3.0, 8.0, 120.0
"""To be connected, for each next bytes, and for the whole of a request; the owner of a turn waits 20 s for a sound."""
SHORT_WAIT_S = 2.0
LONGEST_WAIT_S = 3600.0
BLOCK_BYTES = 1920
"""40 ms, as long as the first part of a sentence."""


class Line(httpx.Client):
    """A client that hangs up when nobody holds it any more."""

    def __del__(self) -> None:
        with suppress(Exception):  # the interpreter may be half gone
            self.close()


def ask(request: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
    """One request, and one more where the server asks for a short wait before it has sent anything."""
    try:
        yield from request()
    except EngineBusy as busy:
        if not 0 < busy.retry_after_s <= SHORT_WAIT_S:
            raise
        time.sleep(busy.retry_after_s)
        yield from request()


def to_pcm(blocks: Iterator[bytes], rate_hz: int) -> Iterator[bytes]:
    """What the network brings, s16le mono at `rate_hz` cut anywhere, as whole samples at 24 kHz.

    Raises: EngineFailed where nothing comes, or it takes too long.
    """
    until, resampler = time.monotonic() + WHOLE_S, Resampler(rate_hz)
    odd, sent = b"", False
    for block in blocks:
        if time.monotonic() > until:
            raise EngineFailed(f"The speech server took more than {WHOLE_S:.0f} s for a sentence.")
        held = odd + block
        odd = held[len(held) & ~1 :]
        if pcm := resampler.push(held[: len(held) & ~1]):
            sent = True
            yield pcm
    if rest := resampler.flush():
        sent = True
        yield rest
    if not sent:
        raise EngineFailed("The speech server answered without any sound.")


def check_key(key: str, setting: str) -> None:
    """Raises: EngineUnavailable if it cannot travel in a header, which would fail later and say less."""
    if not (key.isascii() and key.isprintable()):
        raise EngineUnavailable(f"{setting} holds characters that no key has.")


def read_retry_after(written: str) -> float:
    """Seconds that a server asks for; 0 where it does not say."""
    try:
        return min(max(float(written), 0.0), LONGEST_WAIT_S)
    except ValueError:
        return 0.0
