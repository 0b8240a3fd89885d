"""End of speech → words → first audio, by stage; what listening costs the api; who is heard through an echo.

    cueline bench listening [--rounds 40] [--model DIRECTORY]

Speech is espeak's, sent on a real socket at the pace of speech, so its last sample is known. Without --model the
tests' toy model recognizes, which takes about a tenth of a second of one core: read the stages, not the total.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from api.listening.sound.vad import FRAME_SAMPLES, Vad, VadModel
from contract.transcribe import HEARING_RATE_HZ
from tests.fakes import FakeModelServer
from tests.harness import TOY_WHISPER, Client, Stack, wait_until
from tests.room import converse
from tests.speaking import VOICES, Microphone, silence, spoken

TEXTS = ("one two three", "hello dragon please", "what time", "seven dragon music", "weather today", "four five six")
ECHOES: tuple[float | None, ...] = (None, -40, -30, -20, -15, -10, 0)


async def hear_one(client: Client, text: str, voice: str) -> dict[str, float] | None:
    """Milliseconds after the last sample of speech."""
    microphone = Microphone(client)
    speech = spoken(text, voice)
    client.got.clear()
    client.got_at.clear()
    before = len(silence(300)) + len(speech)
    started = time.monotonic()
    sending = asyncio.create_task(microphone.send(silence(300), speech, silence(1500)))
    ended = started + before / 24_000
    said = await client.until("final_transcript", source="voice", timeout_s=20)
    turn = said["turn"]
    await client.until("turn", turn=turn, state="ended")
    await sending
    # Who listens to the reply lets it end.
    await asyncio.sleep(len(client.pcm(turn)) / 48_000)
    if not client.chunks(turn):
        return None  # one word alone is an order without a text to the model's stand-in

    def at(kind: str, **fields: object) -> float:
        number = next(
            i
            for i, got in enumerate(client.got)
            if isinstance(got, dict) and got["type"] == kind and all(got.get(k) == v for k, v in fields.items())
        )
        return (client.got_at[number] - ended) * 1000

    whole = said["content"]
    first_sound = next(i for i, got in enumerate(client.got) if isinstance(got, bytes))
    return {
        "words known (partial, all stable)": at("partial_transcript", content=whole, stable=whole),
        "final_transcript": at("final_transcript"),
        "first audio": (client.got_at[first_sound] - ended) * 1000,
        "right": float(whole == text),
    }


async def measure_words(stack: Stack, rounds: int) -> list[dict[str, float]]:
    """One utterance after the other."""
    found = []
    async with stack.listen() as client:
        await client.send(type="start")
        await client.until("status", status="listening")
        for number in range(rounds + 2):
            took = await hear_one(client, TEXTS[number % len(TEXTS)], VOICES[number % len(VOICES)])
            if number >= 2 and took:
                found.append(took)
    return found


def measure_vad(seconds: int = 60) -> float:
    """Processor milliseconds per second of sound, resampling not counted."""
    vad = Vad(VadModel())
    sound = np.concatenate([spoken(text, rate_hz=HEARING_RATE_HZ) for text in TEXTS]).astype(np.float32) / 32_768
    sound = np.tile(sound, 1 + seconds * HEARING_RATE_HZ // len(sound))[: seconds * HEARING_RATE_HZ]
    started = time.process_time()
    for place in range(0, len(sound) - FRAME_SAMPLES, FRAME_SAMPLES):
        vad.probability(sound[place : place + FRAME_SAMPLES])
    return (time.process_time() - started) * 1000 / seconds


async def measure_api(stack: Stack, people: int = 8, seconds: int = 8) -> float:
    """Processor milliseconds of the api per second of one open, silent microphone: socket, resampling, VAD."""
    import psutil

    assert stack.api
    api = psutil.Process(stack.api.popen.pid)

    async def be_silent(spend: bool) -> None:
        async with stack.listen() as client:
            await client.send(type="start")
            await client.until("status", status="listening")
            if spend:
                await Microphone(client).send(silence(seconds * 1000))
            else:
                await asyncio.sleep(seconds)

    spent = []
    for is_sending in (False, True):
        before = sum(api.cpu_times()[:2])
        await asyncio.gather(*(be_silent(is_sending) for _ in range(people)))
        spent.append(sum(api.cpu_times()[:2]) - before)
    return (spent[1] - spent[0]) * 1000 / people / seconds


def mean_ms(metrics: str, name: str, kind: str) -> float:
    """Of one of the api's histograms."""
    found = {line.split()[0]: float(line.split()[1]) for line in metrics.splitlines() if line.startswith(name)}
    label = f'{{kind="{kind}"}}'
    return found[f"{name}_sum{label}"] * 1000 / max(found[f"{name}_count{label}"], 1)


def is_ready(stack: Stack) -> bool:
    """Whether somebody can recognize."""
    return any(stack.redis_json(key)["state"] == "ready" for key in stack.redis_keys("cueline:recognizer:*"))


def p95(values: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--model", default=str(TOY_WHISPER))
    asked = parser.parse_args()
    model = FakeModelServer()
    env = {
        "CUELINE_LLM_BASE_URL": model.start(),
        "CUELINE_LLM_MODEL": "fake",
        "CUELINE_STT_ENGINE": "whisper",
        "CUELINE_STT_LANGUAGE": "en",
    }
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder), engine="espeak", env=env)
        try:
            stack.start(workers=2)
            stack.start_recognizer({"CUELINE_WHISPER_MODEL": asked.model})
            wait_until(lambda: is_ready(stack), "a recognizer", 60)
            found = asyncio.run(measure_words(stack, asked.rounds))
            metrics = stack.request("GET", "/metrics")[1].decode()
            api_ms = asyncio.run(measure_api(stack))
        finally:
            stack.stop()
            model.stop()
    print(f"{asked.rounds} utterances, ms after the last sample of speech{'':<6}{'median':>9}{'p95':>9}")
    for stage in ("words known (partial, all stable)", "final_transcript", "first audio"):
        values = [took[stage] for took in found]
        print(f"{stage:<50}{statistics.median(values):>9.0f}{p95(values):>9.0f}")
    after = [took["first audio"] - took["final_transcript"] for took in found]
    print(f"{'  final_transcript → first audio':<50}{statistics.median(after):>9.1f}{p95(after):>9.1f}")
    print(f"{'right, of all':<50}{sum(took['right'] for took in found):>9.0f}{len(found):>9}")
    for kind in ("partial", "final"):
        whole, engine = (mean_ms(metrics, f"cueline_{name}_seconds", kind) for name in ("recognition", "recognizer"))
        print(f"{f'a {kind}: mean in all, of it in the recognizer':<50}{whole:>9.0f}{engine:>9.0f}")
    print(f"VAD, processor ms per second of sound{'':<13}{measure_vad():>9.2f}")
    print(f"the api in all, per second of an open microphone{'':<2}{api_ms:>9.2f}")
    print("\necho     false stops/min   heard of 16   within 300 ms   median ms")
    network = VadModel()
    for echo_db in ECHOES:
        runs = [converse(network, echo_db, delay_ms, seed) for seed, delay_ms in enumerate((60, 120, 180, 250))]
        delays = [delay for run in runs for delay in run.delays()]
        false = sum(run.false_stops for run in runs) * 60 / sum(run.seconds for run in runs)
        soon = len([delay for delay in delays if delay <= 300])
        middle = statistics.median(delays) if delays else float("nan")
        name = "none" if echo_db is None else f"{echo_db} dB"
        print(f"{name:<9}{false:>15.1f}{len(delays):>14}{soon:>16}{middle:>12.0f}")


if __name__ == "__main__":
    main()
