"""Lines of speech → a produced file: processor and memory per format, and what the api's event loop feels of it.

    cueline bench mastering [--minutes 60] [--formats mp3,m4b]

The lines are real speech of two voices, each a file as workers leave it; they come round again until the render is as
long as asked for. Every format is made in a process of its own, whose peak memory is told above what it had before
its first line. `loop` is how late a timer of 2 ms fires in a process that masters in a thread, beside one that idles.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from api.encoding.formats import FILES
from api.render.files.mastering import master
from api.render.script import Line, Script
from api.render.sound.levelling import prepare
from api.render.sound.takes import Style, Take
from contract.audio import BYTES_PER_MS
from contract.voice import Voice
from workers.tts.espeak import EspeakEngine

SENTENCES = (
    "The tide is coming in, and the wind is fair; we shall be across before the lamps are lit.",
    "I have packed sandwiches and three kinds of tea, and I am not sharing any of them with you.",
    "Nobody had seen the lighthouse keeper since Tuesday, and on Thursday the lamp went out.",
    "That is a good question, and I have no answer to it. Ask me again when we are ashore.",
)
VOICES = {"AVA": Voice("en-us+f3"), "BEN": Voice("en-gb+m3", rate=0.95)}
TICK_S = 0.002


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="cueline bench mastering", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--formats", default=",".join(FILES))
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--no-loop", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        takes = make_takes(Path(folder), arguments.minutes)
        for name in arguments.formats.split(","):
            print(json.dumps(measure_apart(takes, Path(folder) / f"out.{name}", name, arguments.channels)), flush=True)
        if arguments.no_loop:
            return
        few = takes[: max(1, len(takes) * 2 // max(2, int(arguments.minutes)))]
        print(json.dumps({"loop": asyncio.run(measure_loop(few, Path(folder) / "loop.mp3"))}))


def make_takes(folder: Path, minutes: float) -> list[Take]:
    """Lines of that many minutes of speech."""
    engine = EspeakEngine()
    engine.load()
    files: list[tuple[str, str, Path, int]] = []
    for number, (speaker, text) in enumerate((speaker, text) for text in SENTENCES for speaker in VOICES):
        path = folder / f"{number}.pcm"
        size = path.write_bytes(b"".join(engine.speak(text, VOICES[speaker], 1)))
        files.append((speaker, text, path, size))
    takes: list[Take] = []
    left = minutes * 60_000 * BYTES_PER_MS
    while left > 0:
        speaker, text, path, size = files[len(takes) % len(files)]
        takes.append(Take(Line(len(takes) + 1, len(takes) + 1, speaker, text), (path,)))
        left -= size
    return takes


def measure_apart(takes: list[Take], target: Path, name: str, channels: int) -> dict[str, Any]:
    """One format in a process of its own."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_measure, args=(takes, target, name, channels, sender))
    child.start()
    result: dict[str, Any] = receiver.recv()
    child.join()
    return result


def _measure(takes: list[Take], target: Path, name: str, channels: int, sender: Any) -> None:
    script = Script(tuple(take.line for take in takes))
    master(prepare(takes[:2]), script, target, name)
    before_kib, started_s, cpu_s = _peak_kib(), time.monotonic(), time.process_time()
    plan = prepare(takes, Style(channels=channels))
    prepared_s = time.process_time()
    produced = master(plan, script, target, name)
    minutes = plan.duration_ms / 60_000
    sender.send(
        {
            "format": name,
            "minutes": round(minutes, 1),
            "lines": len(takes),
            "wall_s_per_minute": round((time.monotonic() - started_s) / minutes, 3),
            "prepare_cpu_s_per_minute": round((prepared_s - cpu_s) / minutes, 3),
            "write_cpu_s_per_minute": round((time.process_time() - prepared_s) / minutes, 3),
            "peak_mib_above_start": round((_peak_kib() - before_kib) / 1024, 1),
            "file_mib": round(produced.size / 1024 / 1024, 1),
        }
    )
    target.unlink()


async def measure_loop(takes: list[Take], target: Path) -> dict[str, dict[str, float]]:
    """How late timers are: idle, while a thread masters, while another process does."""
    script = Script(tuple(take.line for take in takes))
    idle = await _late(asyncio.sleep(5))
    threaded = await _late(asyncio.to_thread(lambda: master(prepare(takes), script, target, "mp3")))
    apart = await _late(asyncio.to_thread(measure_apart, takes, target, "mp3", 1))
    return {"idle": idle, "thread": threaded, "process": apart}


async def _late(work: Any) -> dict[str, float]:
    task, late_ms = asyncio.ensure_future(work), list[float]()
    while not task.done():
        due = time.monotonic() + TICK_S
        await asyncio.sleep(TICK_S)
        late_ms.append((time.monotonic() - due) * 1000)
    await task
    cuts = statistics.quantiles(late_ms, n=100)
    return {"median_ms": round(cuts[49], 2), "p99_ms": round(cuts[98], 2), "max_ms": round(max(late_ms), 1)}


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
