"""What an engine is. Not: which engines exist (registry.py), who calls them (synthesis.py)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt

from contract.voice import Voice

Pool = Literal["solo", "prefork", "threads"]


Codes = npt.NDArray[np.uint16]
"""Codebooks × frames, as the engine that made them understands them."""


class Spoken(NamedTuple):
    """Something that was said before: what, and how it sounded."""

    text: str
    codes: Codes


@dataclass(frozen=True, slots=True)
class VoiceInfo:
    """One voice that a person may choose."""

    name: str
    """What goes into `Voice.name`."""
    label: str
    """For people."""
    language: str
    """BCP 47 tag, lower case."""
    gender: str = ""
    """"female", "male" or unknown."""
    engine: str = ""
    """Who speaks it, where a worker has several engines."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


class Engine(Protocol):
    """Text + Voice → PCM. Made once per process; `load` runs before the first sentence."""

    name: str
    """Its name in the registry."""
    pool: Pool
    """Celery pool it needs: solo where a sentence takes milliseconds, prefork where it takes long and the library is
    not thread-safe or may crash, threads where sentences are made together."""
    repeatable: bool
    """Whether the same text, voice and seed give the same samples on every worker."""
    version: str
    """Whatever else decides how it sounds: of the library, the model, their settings. What was said once under the same
    version, text and voice is not made again; empty: it is."""
    # An engine that can speak like a recording has `clones = True` as well; others are never given a voice with an
    # anchor. One that goes on from what a voice has said is `Recalling`.

    def load(self) -> None:
        """Get ready to speak.

        Raises: EngineUnavailable, with the command that mends it.
        """

    def voices(self) -> list[VoiceInfo]:
        """Voices a person may choose, best first."""

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        """Yield s16le mono 24 kHz PCM, whole samples, in blocks of any size, as early as they exist.

        The interpreter's lock must not be held for more than a tenth of a second on end: a worker that cannot say that
        it lives for 0.3 s is taken for dead. A library called through ctypes, numpy or torch lets go of it.
        Closing the iterator stops the engine within one block and leaves it ready for the next sentence.
        Raises: SpeechError and nothing else.
        """


CLONING = ("higgs", "higgs_boson")
"""Engines of ours that can speak like a recording."""


def cloning(engine: Engine) -> list[str]:
    """Names of the engines in this one that can speak like a recording; an engine says so by `clones`."""
    return [one.name for one in _links(engine) if getattr(one, "clones", False)]


class Recalling(Engine, Protocol):
    """An engine that can go on from what the voice has said."""

    def speak_after(
        self, text: str, voice: Voice, seed: int, before: Sequence[Spoken], done: Callable[[Spoken], None]
    ) -> Iterator[bytes]:
        """As `speak`, in the manner of what was said `before`, newest last. What was made goes to `done` once it is
        whole. With nothing before it is the same sound as `speak` makes."""


class Anchored(Engine, Protocol):
    """An engine whose voices begin with a recording, or with something that it has said before."""

    def find_anchors_at(self, anchorage: Any) -> None:
        """Where recordings are found and anchors kept: a `workers.recall.anchorage.Anchorage`."""


def anchored(engine: Engine) -> list[Anchored]:
    """Those in the engine that want to know where anchors are."""
    return [cast(Anchored, one) for one in _links(engine) if hasattr(one, "find_anchors_at")]


def recalling(engine: Engine) -> Recalling | None:
    """The engine as one that goes on from what was said, if it, or any in it, does."""
    does = any(hasattr(one, "speak_after") for one in _links(engine))
    return cast(Recalling, engine) if does else None


def _links(engine: Engine) -> Sequence[Engine]:
    return getattr(engine, "engines", None) or [engine]


def file_version(package: str, files: Iterable[Path]) -> str:
    """A version for an engine that is a library and files: another file under an old name changes it."""
    seen = [(file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    return f"{package} {version(package)} {hashlib.sha256(repr(seen).encode()).hexdigest()[:16]}"
