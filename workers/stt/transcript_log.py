"""The recognition worker's way to Redis: the recording in, claim, beats and transcript out. Not: what was heard.

Entry ids are explicit and only grow, as in a sentence's stream: the claim of a newer look at the same recording makes
every older one stale, and Redis itself refuses what a stale one would still write.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from contract import keys
from contract.errors import RecognitionError
from contract.transcribe import TranscribeJob, Transcript

CLAIM_SEQ, RESULT_SEQ = 1, 2
BEAT_S = 0.1
_REFUSED = "equal or smaller"


class TranscriptLog:
    """Where one job reads and writes."""

    def __init__(self, redis: Redis, job: TranscribeJob, worker: str) -> None:
        self._redis = redis
        self._job = job
        self._worker = worker
        self._key = keys.transcript(job.recording)

    def claim(self) -> bytes | None:
        """Take the job, and the recording with it; None if the job is stale or its recording is gone.

        Raises: RedisError.
        """
        claimed, recording = self._write(CLAIM_SEQ, {"c": self._worker.encode()}, with_recording=True)
        return recording if claimed and len(recording) == self._job.size else None

    def finish(self, transcript: Transcript) -> bool:
        """Write what was heard; False if nobody wants it any more."""
        return self._write(RESULT_SEQ, {"j": json.dumps(transcript.to_dict()).encode()})[0]

    def fail(self, error: RecognitionError) -> bool:
        """Write why nothing was heard."""
        return self._write(RESULT_SEQ, {"e": json.dumps(error.to_dict()).encode()})[0]

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Say that this worker lives, as long as it works on the job."""
        end = threading.Event()
        thread = threading.Thread(target=self._beat, args=(end,), name="recognition-beat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _write(self, seq: int, fields: dict[str, bytes], *, with_recording: bool = False) -> tuple[bool, bytes]:
        pipe = self._redis.pipeline(transaction=False)
        entry_id = f"{self._job.revision}-{seq}"
        pipe.xadd(self._key, fields, id=entry_id, nomkstream=True)  # type: ignore[arg-type]
        self._ring(pipe, {"k": self._key, "i": entry_id, **fields})
        if with_recording:
            pipe.getrange(keys.recording(self._job.recording), 0, self._job.size - 1)
        written, rung, *rest = pipe.execute(raise_on_error=False)
        if isinstance(written, ResponseError) and _REFUSED in str(written):
            return False, b""
        for result in (written, rung, *rest):
            if isinstance(result, RedisError):
                raise result
        return written is not None, rest[0] if rest else b""

    def _beat(self, end: threading.Event) -> None:
        while not end.wait(BEAT_S):
            try:
                pipe = self._redis.pipeline(transaction=False)
                self._ring(pipe, {"k": self._key, "b": str(self._job.revision)})
                pipe.execute(raise_on_error=False)
            except RedisError:
                continue  # the result will meet the same Redis

    def _ring(self, pipe: Any, note: dict[str, str | bytes]) -> None:
        pipe.xadd(self._job.inbox, note, maxlen=keys.INBOX_MAXLEN, approximate=True, nomkstream=True)
