"""A script rendered: Cueline beside the raw engine and beside the engine's own program, line by line, in the same run.

    cueline bench render [--lines 200] [--hours 1] [--rounds 30]
    cueline bench render --engine bench._network:NetworkEngine --shares    an engine that computes

The engine is espeak. "Raw" calls it in this very process, one line after the other, and keeps the sound in memory. The
peer is `espeak-ng -w FILE`, started once for each line, as scripts around a command line do it; it writes 22 050 Hz as
the engine makes it. Ours makes 24 kHz and is timed from the order to the last line at rest. Talk's first audio is
measured as `bench first_audio` does, idle and with a render running that has more lines than it can finish.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from websockets.asyncio.client import connect

from bench.first_audio import SENTENCES, measure_cueline
from contract.audio import BYTES_PER_MS
from contract.voice import Voice
from tests.fakes import FakeModelServer
from tests.harness import FRAMED, Stack
from workers.tts.registry import make_engine

VOICES = {"ALICE": "en-us+f3", "BEN": "en-gb+m3"}
TEXT = (
    "the tide was coming in and nobody had seen the keeper of the lighthouse since the Tuesday before last when "
    "a boat came back without him and the harbour bell rang twice for no reason that anybody could remember afterwards"
)
WORDS = TEXT.split()


class Raw(NamedTuple):
    """What the engine alone needs."""

    took_s: float
    busy_s: float
    """Of all processors."""
    speech_s: float


def script(lines: int, name: str = "") -> list[dict[str, str]]:
    """Lines of 8 to 19 words, no two alike."""
    found = []
    for number in range(lines):
        start, count = number * 7 % len(WORDS), 8 + number % 12
        words = " ".join(WORDS[(start + place) % len(WORDS)] for place in range(count))
        found.append({"speaker": list(VOICES)[number % 2], "text": f"{name}Number {number}, {words}."})
    return found


def speak_raw(name: str, lines: list[dict[str, str]]) -> Raw:
    """Have the engine alone say them."""
    engine = make_engine(name)
    engine.load()
    began, busy, size = time.perf_counter(), time.process_time(), 0
    for line in lines:
        size += sum(len(block) for block in engine.speak(line["text"], Voice(VOICES[line["speaker"]]), 1))
    return Raw(time.perf_counter() - began, time.process_time() - busy, size / BYTES_PER_MS / 1000)


def speak_by_program(lines: list[dict[str, str]], program: str) -> float:
    """Seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        for number, line in enumerate(lines):
            argv = [program, "-v", VOICES[line["speaker"]], "-w", f"{folder}/{number}.wav", line["text"]]
            subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)
        return time.perf_counter() - started


def order(stack: Stack, lines: list[dict[str, str]]) -> str:
    """Order it; the render's id."""
    cast = {name: {"voice": voice} for name, voice in VOICES.items()}
    status, answer = stack.post("/api/renders", {"title": "Bench", "script": lines, "cast": cast})
    assert status == 202, answer
    render: str = answer["id"]
    return render


def wait(stack: Stack, render: str) -> dict[str, Any]:
    """Wait until it has ended, without being in the way."""
    while True:
        shown: dict[str, Any] = stack.get(f"/api/renders/{render}?lines=false")[1] or {"state": "rendering"}
        if shown["state"] != "rendering":
            assert shown["state"] == "done", shown
            return shown
        time.sleep(0.1)


def render_once(stack: Stack, lines: list[dict[str, str]]) -> tuple[float, dict[str, Any]]:
    """Seconds from the order to the last line at rest."""
    started = time.perf_counter()
    shown = wait(stack, order(stack, lines))
    return time.perf_counter() - started, shown


class Peak:
    """The most memory that a process has while something goes on."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.before = self.most = self._process.memory_info().rss
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(0.1):
            self.most = max(self.most, self._process.memory_info().rss)


def download(stack: Stack, render: str, wanted: str) -> int:
    """Bytes of the whole, which are not kept."""
    size = 0
    with urllib.request.urlopen(f"{stack.url}/api/renders/{render}/audio?format={wanted}") as answer:  # noqa: S310
        while block := answer.read(1 << 16):
            size += len(block)
    return size


async def first_audio(stack: Stack, rounds: int, pause_s: float = 0.05) -> list[float]:
    """Milliseconds from a sentence's being ready to its first sound, each, with a pause behind each."""
    took = []
    async with connect(stack.ws_url, subprotocols=[FRAMED], compression=None) as socket:  # type: ignore[list-item]
        for number in range(rounds + 3):
            text = f"{SENTENCES[number % len(SENTENCES)][:-1]}, {number} {time.monotonic_ns()}."
            found = await measure_cueline(socket, text)
            if number >= 3:
                took.append(found["total"])
            await asyncio.sleep(pause_s)
    return took


def tell(name: str, value: str) -> None:
    """One row."""
    print(f"{name:<58}{value}", flush=True)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--long-hours", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--engine", default="espeak")
    parser.add_argument("--shares", action="store_true", help="measure nothing but the shares of the engine's speed")
    wanted = parser.parse_args()
    lines = script(wanted.lines)
    program = shutil.which("espeak-ng")
    raw = speak_raw(wanted.engine, lines)
    tell(f"{wanted.lines} lines, {raw.speech_s:.0f} s of speech: the raw engine", f"{raw.took_s:.2f} s")
    if program and wanted.engine == "espeak":
        tell("espeak-ng, its own program once a line", f"{speak_by_program(lines, program):.2f} s")
    elif wanted.engine == "espeak":
        tell("espeak-ng, its own program", "not here: apt-get install espeak-ng")
    model = FakeModelServer()
    env = {"CUELINE_LLM_BASE_URL": model.start(), "CUELINE_LLM_MODEL": "fake", "CUELINE_CACHE_MB": "512"}
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder), engine=wanted.engine, env=env)
        try:
            stack.start(workers=1)
            measure(stack, wanted, lines)
        finally:
            stack.stop()
            model.stop()


def busy_s(stack: Stack) -> dict[str, float]:
    """Processor time so far, by kind of process."""
    assert stack.api and stack.redis
    found = {}
    for name, processes in (("workers", stack.workers), ("api", [stack.api]), ("redis", [stack.redis])):
        roots = [psutil.Process(process.popen.pid) for process in processes]
        every = [one for root in roots for one in (root, *root.children(recursive=True))]
        found[name] = sum(sum(one.cpu_times()[:2]) for one in every)
    return found


def measure_share(stack: Stack, lines: list[dict[str, str]], workers: int) -> None:
    """A render beside the engine alone, just before and just after it."""
    before = speak_raw(stack.engine, lines)
    busy = busy_s(stack)
    took_s, _ = render_once(stack, lines)
    spent = {name: (now - busy[name]) / len(lines) * 1000 for name, now in busy_s(stack).items()}
    after = speak_raw(stack.engine, lines)
    raw_s = (before.took_s + after.took_s) / 2
    own = (before.busy_s + after.busy_s) / 2 / len(lines) * 1000
    over_ms = (took_s - raw_s / workers) / len(lines) * 1000
    tell(f"{workers} worker(s): order to last line at rest", f"{took_s:.2f} s, raw beside it {raw_s:.2f} s")
    tell("  share of the raw engine's speed · over it, a line", f"{raw_s / took_s:.2f} · {over_ms:.1f} ms")
    shown = ", ".join(f"{name} {ms:.1f}" for name, ms in spent.items())
    tell("  processor time a line, ms", f"the engine alone {own:.1f}; {shown}")
    again_s, shown_again = render_once(stack, lines)
    tell(f"  the second time ({shown_again['cached']} of {len(lines)} from the cache)", f"{again_s:.2f} s")


def measure(stack: Stack, wanted: argparse.Namespace, lines: list[dict[str, str]]) -> None:
    """Everything that needs a running server."""
    render_once(stack, script(20, "Warm up. "))
    for workers in (1, 2):
        if workers > len(stack.workers):
            stack.start_worker()
            stack.wait_until_ready(workers)
            render_once(stack, script(20, "Warm up again. "))
        measure_share(stack, script(len(lines), f"Run {workers}. "), workers)
    if wanted.shares:
        return
    # Not before: behind a talk, renders leave a worker free for a while.
    idle = asyncio.run(first_audio(stack, wanted.rounds))
    backlog = order(stack, script(15_000, "Backlog. "))
    busy = asyncio.run(first_audio(stack, wanted.rounds))
    state = stack.get(f"/api/renders/{backlog}?lines=false")[1]
    at_first = asyncio.run(first_audio(stack, max(10, wanted.rounds // 3), pause_s=2))
    at_last = asyncio.run(first_audio(stack, 5, pause_s=17))
    stack.request("DELETE", f"/api/renders/{backlog}")
    for name, took in (
        ("idle", idle),
        ("full batch backlog", busy),
        ("the same, after 2 s of silence", at_first),
        ("the same, after 17 s of silence, when no worker is left free any more", at_last),
    ):
        tell(f"talk's first audio, {name}", f"median {statistics.median(took):.1f} ms, most {max(took):.1f} ms")
    tell(
        "  over idle",
        f"{statistics.median(busy) / statistics.median(idle):.2f} x, with {state['done']} lines done meanwhile",
    )
    for hours, kinds in ((wanted.hours, 0), (wanted.long_hours, 40)):
        if hours:
            measure_memory(stack, hours, kinds)


def measure_memory(stack: Stack, hours: float, kinds: int) -> None:
    """A render of so many hours; `kinds`: of how many different lines, so that nobody has to make ten hours of them."""
    some = script(60, "How long? ")
    speech_s = speak_raw(stack.engine, some).speech_s
    count = int(hours * 3600 / (speech_s / len(some) + 0.25))
    lines = script(count, "Long. ") if not kinds else [script(kinds, "Long. ")[place % kinds] for place in range(count)]
    assert stack.api
    with Peak(stack.api.popen.pid) as making:
        took_s, shown = render_once(stack, lines)
    with Peak(stack.api.popen.pid) as sending:
        started = time.perf_counter()
        size = download(stack, shown["id"], "wav")
        sent_s = time.perf_counter() - started
    made_h = shown["duration_ms"] / 3_600_000
    name = f"{made_h:.1f} h in {count} lines" + (f" ({kinds} different)" if kinds else "")
    tell(f"{name}: made in", f"{took_s:.0f} s; api at most {making.most >> 20} MiB (before {making.before >> 20})")
    tell("  sent as wav", f"{size >> 20} MiB in {sent_s:.0f} s; api at most {sending.most >> 20} MiB")
    stack.request("DELETE", f"/api/renders/{shown['id']}")


if __name__ == "__main__":
    main()
