"""When a sentence passed each stage, and the histograms that are made of it. Not: what to do when one is late."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16)
FIRST_AUDIO = Histogram("cueline_first_audio_seconds", "Sentence ready to its first PCM at the api", buckets=_BUCKETS)
QUEUE_WAIT = Histogram("cueline_queue_wait_seconds", "Sentence ready to its job being claimed", buckets=_BUCKETS)
FIRST_TOKEN = Histogram("cueline_llm_first_token_seconds", "Request to the first token", buckets=_BUCKETS)
SENTENCES = Counter("cueline_sentences_total", "Sentences by how they ended", ["state"])
LINES = Counter("cueline_render_lines_total", "Lines of renders by how they ended", ["state"])
ATTEMPTS = Counter("cueline_sentence_attempts_total", "Jobs dispatched, by number of the attempt", ["attempt"])
CACHE = Counter("cueline_render_cache_total", "Sentences and lines by whether they were said before", ["result"])
SESSIONS = Gauge("cueline_sessions", "Sessions held by this process")
LISTENERS = Gauge("cueline_listeners", "Sockets open at this process")
REFUSED = Counter("cueline_admission_refused_total", "Requests refused for lack of room", ["what"])


@dataclass(slots=True)
class Timing:
    """Moments of one sentence, in seconds of this process's monotonic clock; 0 where it has not come to that."""

    is_heard: bool = True
    """Somebody waits for it: it belongs into the histograms of talk."""
    ready: float = field(default_factory=time.monotonic)
    claimed: float = 0.0
    first_audio: float = 0.0

    def mark_claimed(self) -> None:
        """A worker has taken the job; only the first claim counts."""
        if not self.claimed:
            self.claimed = time.monotonic()
            if self.is_heard:
                QUEUE_WAIT.observe(self.claimed - self.ready)

    def mark_audio(self) -> None:
        """The first chunk is here."""
        if not self.first_audio:
            self.first_audio = time.monotonic()
            if self.is_heard:
                FIRST_AUDIO.observe(self.first_audio - self.ready)

    @property
    def queue_ms(self) -> float | None:
        """Ready to claimed."""
        return round((self.claimed - self.ready) * 1000, 1) if self.claimed else None

    @property
    def first_audio_ms(self) -> float | None:
        """Ready to first chunk."""
        return round((self.first_audio - self.ready) * 1000, 1) if self.first_audio else None
