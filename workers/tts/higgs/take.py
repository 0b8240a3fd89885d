"""Take: one text to be spoken by the batch, from whoever asks for it to its last sample. Not: how it is made."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass

from contract.errors import EngineFailed, SpeechError
from workers.tts.engine import Codes
from workers.tts.higgs.prompt import Prompt
from workers.tts.higgs.window import Windows

SILENCE_S = 60.0
"""A take that hears nothing of the batch for so long gives up: there are limits to how long a queue may be."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How codes are drawn."""

    temperature: float = 0.7
    """0: always the most likely."""
    top_k: int = 50
    """At most 64."""
    top_p: float = 0.95
    most_repeats: int = 2
    """A code that was drawn as often among the last seven is drawn anew; 0: never."""


@dataclass(frozen=True, slots=True)
class End:
    """How a take ended."""

    reason: str
    """"stop": it said all; "length": it was cut off; "cancelled"."""
    codes: Codes
    """All that was made, [codebooks, frames]."""


class Take:
    """Made by whoever wants to hear it, who reads `blocks` in a thread of its own."""

    def __init__(self, prefix: Prompt, rest: Prompt, *, seed: int, most_frames: int, sampling: Sampling) -> None:
        """`prefix` is what many takes begin with; it is read once for all of them."""
        self.prefix = prefix
        self.rest = rest
        self.seed = seed
        self.most_frames = most_frames
        self.sampling = sampling
        self.windows = Windows()
        self.is_retried = False
        self.is_cancelled = False
        self.asked_at = time.perf_counter()
        self.first_at = 0.0
        """When its first sound was there; 0: not yet."""
        self.end: End | None = None
        self._out: queue.SimpleQueue[bytes | End | SpeechError] = queue.SimpleQueue()
        self._has_ended = threading.Event()

    def __len__(self) -> int:
        """Positions that it may take up."""
        return len(self.prefix) + len(self.rest) + self.most_frames + int(self.rest.rows.shape[1]) + 2

    def push(self, pcm: bytes) -> None:
        """The batch: hand over what can be heard."""
        if pcm:
            self.first_at = self.first_at or time.perf_counter()
            self._out.put(pcm)

    def finish(self, end: End | SpeechError) -> None:
        """The batch: nothing follows. Once only; what comes later is ignored."""
        if not self._has_ended.is_set():
            self._has_ended.set()
            self._out.put(end)

    def restart(self) -> None:
        """The batch: nothing of it has been heard, and it begins once more."""
        self.is_retried = True
        self.windows = Windows()

    def cancel(self) -> None:
        """Nobody wants it any more: it leaves the batch before the next step."""
        self.is_cancelled = True

    def blocks(self) -> Generator[bytes]:
        """s16le mono 24 kHz, as it is made. Closing the iterator cancels the take; afterwards `end` says how it went.

        Raises: SpeechError.
        """
        try:
            while True:
                try:
                    said = self._out.get(timeout=SILENCE_S)
                except queue.Empty:
                    raise EngineFailed("The voice model has not answered for a minute.") from None
                if isinstance(said, bytes):
                    yield said
                    continue
                if isinstance(said, SpeechError):
                    raise said
                self.end = said
                return
        finally:
            self.cancel()
