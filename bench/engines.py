"""First chunk and real-time factor of each engine that is present: through the queue, and raw in this process.

    cueline bench engines [--rounds 20] [--engine NAME ...]

Raw is the engine alone, from the call to its first block and to its last; through the queue is the same sentence from
the moment at which the api has it to its first sound at a client, by `POST /v1/audio/speech` and everything behind it.
Both in one run, turn and turn about. The factor is the time that a sentence takes, by the time that it lasts: below 1
it is made faster than it is heard.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import tempfile
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from contract.audio import bytes_to_ms
from contract.data_dir import find_data_dir
from contract.errors import EngineUnavailable
from contract.voice import Voice
from tests.harness import Stack
from workers.tts.engine import Engine
from workers.tts.registry import engine_names, make_engine

SENTENCES = (
    "The tide is coming in and the wind is fair.",
    "I have packed sandwiches and three kinds of tea.",
    "Nobody had seen the lighthouse keeper since Tuesday.",
    "That is a good question and I have no answer to it.",
)
WARM_UP = 2
OWN = {"CUELINE_REDIS_URL", "CUELINE_TTS_ENGINE", "CUELINE_DATA_DIR", "CUELINE_CACHE_MB"}
"""What the stack decides itself."""


@dataclass(slots=True)
class Taken:
    """Of each sentence: milliseconds to its first sound, and the factor."""

    first_ms: list[float] = field(default_factory=list)
    factor: list[float] = field(default_factory=list)

    def note(self, first_ms: float, whole_ms: float, sound_bytes: int) -> None:
        """One sentence."""
        self.first_ms.append(first_ms)
        self.factor.append(whole_ms / bytes_to_ms(sound_bytes))


def speak_raw(engine: Engine, text: str, voice: Voice, taken: Taken) -> None:
    """The engine alone."""
    started = time.perf_counter()
    first_ms, size = 0.0, 0
    for block in engine.speak(text, voice, 1):
        first_ms = first_ms or (time.perf_counter() - started) * 1000
        size += len(block)
    taken.note(first_ms, (time.perf_counter() - started) * 1000, size)


def speak_queued(port: int, text: str, voice: str, taken: Taken) -> None:
    """The same through api, queue and worker."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = {"model": "tts-1", "input": text, "voice": voice, "response_format": "pcm"}
    line.connect()
    started = time.perf_counter()
    line.request("POST", "/v1/audio/speech", json.dumps(body), {"Content-Type": "application/json"})
    answer = line.getresponse()
    if answer.status != 200:
        raise SystemExit(f"the server answers {answer.status}: {answer.read(300)!r}")
    first = answer.read1()
    first_ms = (time.perf_counter() - started) * 1000
    size = len(first) + len(answer.read())
    taken.note(first_ms, (time.perf_counter() - started) * 1000, size)
    line.close()


def measure(name: str, rounds: int) -> tuple[Taken, Taken]:
    """Raw, and through the queue. Raises: EngineUnavailable."""
    engine = make_engine(name)
    engine.load()
    info = engine.voices()[0]
    voice = Voice(info.name, language=info.language)
    raw, queued = Taken(), Taken()
    # Nothing is to be said twice from memory.
    with tempfile.TemporaryDirectory() as folder:
        env = {variable: value for variable, value in os.environ.items() if variable.startswith("CUELINE_")}
        stack = Stack(Path(folder), engine=name, env={**_at_home(env), "CUELINE_CACHE_MB": "0"})
        try:
            stack.start(workers=1)
            for number in range(rounds + WARM_UP):
                text = SENTENCES[number % len(SENTENCES)]
                # The api would answer the same words with the same work.
                text = f"{text[:-1]}, {uuid.uuid4().int % 1000}."
                notes = (raw, queued) if number >= WARM_UP else (Taken(), Taken())
                speak_raw(engine, text, voice, notes[0])
                speak_queued(stack.port, text, info.name, notes[1])
        finally:
            stack.stop()
    return raw, queued


def _at_home(env: dict[str, str]) -> dict[str, str]:
    """The files of an engine stay where they are, though the stack has a folder of its own."""
    home = find_data_dir(os.environ)
    found = {
        "CUELINE_KOKORO_MODEL": home / "kokoro/kokoro-v1.0.onnx",
        "CUELINE_KOKORO_VOICES": home / "kokoro/voices-v1.0.bin",
        "CUELINE_PIPER_VOICES": home / "piper",
    }
    kept = {name: str(path) for name, path in found.items() if path.exists()} | env
    return {name: value for name, value in kept.items() if name not in OWN}


def row(what: str, taken: Taken, floor: Taken | None = None) -> str:
    """Medians and p95, and how far they lie above the engine alone."""
    first, factor = statistics.median(taken.first_ms), statistics.median(taken.factor)
    p95 = statistics.quantiles(taken.first_ms, n=20)[-1]
    line = f"{what:<28}{first:>9.1f}{p95:>9.1f}{factor:>9.3f}"
    if floor:
        floor_first, floor_factor = statistics.median(floor.first_ms), statistics.median(floor.factor)
        line += (
            f"   {first - floor_first:+.1f} ms, ratio {first / floor_first:.1f}; factor × {factor / floor_factor:.1f}"
        )
    return line


def main() -> None:
    """Measure each engine that can be loaded, and say which cannot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--engine", action="append", help="only this one; may be said several times")
    arguments = parser.parse_args()
    print(f"{arguments.rounds} sentences each{'':<11}{'first':>9}{'p95':>9}{'factor':>9}")
    for name in arguments.engine or engine_names():
        try:
            raw, queued = measure(name, arguments.rounds)
        except EngineUnavailable as error:
            print(f"{name}: not here: {error.text}")
            continue
        print(row(f"{name}, raw", raw))
        print(row(f"{name}, through the queue", queued, raw), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
