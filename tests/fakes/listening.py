"""Recognizers that misbehave, and what stands where recognition and its line stand."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from contract.transcribe import Kind, TranscribeJob, Transcript

if TYPE_CHECKING:
    from api.listening.words.recognition import Wishes
    from api.session.voiced import Voiced


class BrokenRecognizer:
    """One that raises what it may not raise."""

    name = "broken"

    def load(self, *, may_download: bool = True) -> None:
        pass

    def about(self) -> dict[str, str]:
        return {}

    def transcribe(self, samples: object, job: TranscribeJob) -> Transcript:
        raise ZeroDivisionError


class HangingRecognizer(BrokenRecognizer):
    """One that takes a job, leaves a file and never ends."""

    name = "hanging"

    def transcribe(self, samples: object, job: TranscribeJob) -> Transcript:
        (Path(os.environ["FAKE_STARTS"]).parent / "hanging").touch()
        time.sleep(60)
        return Transcript()


class ScriptedRecognition:
    """Stands where Recognition stands: each look at a recording is answered by `hear(kind, wishes)`, at once or, where
    that waits, later. It counts what is asked of it.
    """

    def __init__(self, hear: Callable[[Kind, Wishes], Awaitable[Transcript]]) -> None:
        self.hear = hear
        self.looks: list[tuple[Kind, int, Wishes]] = []
        self.partials = self.most_partials = 0
        """That are out now, and were at most."""
        self._recordings = 0

    def record(self, session: str) -> ScriptedRecording:
        self._recordings += 1
        return ScriptedRecording(self, f"{session}-{self._recordings}")

    @property
    def finals(self) -> list[tuple[int, Wishes]]:
        return [(size, wishes) for kind, size, wishes in self.looks if kind == "final"]


class ScriptedRecording:
    """One recording of ScriptedRecognition."""

    def __init__(self, recognition: ScriptedRecognition, name: str) -> None:
        self._recognition = recognition
        self.name = name
        self.pcm = bytearray()

    async def look(self, kind: Kind, size: int, wishes: Wishes) -> Transcript:
        recognition = self._recognition
        recognition.looks.append((kind, size, wishes))
        recognition.partials += kind == "partial"
        recognition.most_partials = max(recognition.partials, recognition.most_partials)
        try:
            return await recognition.hear(kind, wishes)
        finally:
            recognition.partials -= kind == "partial"

    async def close(self) -> None:
        pass


class KeptLine:
    """Stands where Line stands, and keeps what is said on it."""

    session_id = "somebody"

    def __init__(self) -> None:
        self.said: list[Voiced] = []

    def say(self, heard: Voiced) -> None:
        self.said.append(heard)

    @property
    def finals(self) -> list[str]:
        return [heard.content for heard in self.said if heard.what == "final"]

    @property
    def steps(self) -> list[str]:
        return [heard.step for heard in self.said if heard.what == "barge_in"]

    async def flush(self) -> None:
        pass

    async def close(self) -> None:
        pass
