"""Sentence ready → first PCM at the client: Cueline's whole path beside the same engine inside a socket handler.

    cueline bench first_audio [--rounds 200]

Both are measured in one run, turn and turn about, by the same client on the same machine. The floor is what a
server without a queue does: it calls the engine in its own process and sends each chunk as it comes. "Ready" is
the moment at which a server has the sentence, reckoned from what it tells; server and client share one clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect

from contract.chunk import Chunk
from contract.voice import Voice
from tests.fakes import FakeModelServer
from tests.harness import FRAMED, Stack
from workers.pcm import grid
from workers.tts.espeak import EspeakEngine

SENTENCES = (
    "The tide is coming in and the wind is fair.",
    "I have packed sandwiches and three kinds of tea.",
    "Nobody had seen the lighthouse keeper since Tuesday.",
    "That is a good question and I have no answer to it.",
)
VOICE = Voice("en-us+f3", description="feminine, young adult, warm, conversational, clear pronunciation")


class Floor:
    """The same engine in the handler of a socket: no queue, no Redis, no second process."""

    def __init__(self) -> None:
        self._engine = EspeakEngine()
        self._engine.load()
        app = Starlette(routes=[WebSocketRoute("/ws", self._speak)])
        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, log_level="error", ws="websockets-sansio", ws_per_message_deflate=False
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def start(self) -> str:
        """Start; returns the socket's URL."""
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return f"ws://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}/ws"

    def stop(self) -> None:
        """End the server."""
        self._server.should_exit = True
        self._thread.join(5)

    async def _speak(self, websocket: WebSocket) -> None:
        await websocket.accept()
        loop = asyncio.get_running_loop()
        async for text in websocket.iter_text():
            await websocket.send_text(str(time.time() * 1000))
            with closing(grid(self._engine.speak(text, VOICE, 1))) as parts:
                while part := await loop.run_in_executor(None, next, parts, None):
                    number, pcm, last = part
                    await websocket.send_bytes(Chunk(0, 0, number, 1, pcm, last).pack())


async def measure_floor(socket: ClientConnection, text: str) -> float:
    """Milliseconds from ready to the first PCM."""
    await socket.send(text)
    ready_at = float(await socket.recv())
    first = await socket.recv()
    took_ms = time.time() * 1000 - ready_at
    while not first[14] & 1:
        first = await socket.recv()
    return took_ms


async def measure_cueline(socket: ClientConnection, text: str) -> dict[str, float]:
    """Milliseconds from ready to the first PCM, and the stages on the way."""
    await socket.send(json.dumps({"type": "chat", "text": f"SAY {text}"}))
    ready_at = first_at = 0.0
    stages: dict[str, float] = {}
    while True:
        got = await socket.recv()
        now = time.time() * 1000
        if isinstance(got, bytes):
            first_at = first_at or now
            continue
        message = json.loads(got)
        if message["type"] == "sentence" and message["state"] == "speaking" and message["sentence"] == 0:
            # Not from "queued", which is told when the sentence is written down, after it was sent to a worker.
            ready_at = message["at"] - message["queue_ms"]
        if message["type"] == "sentence" and message["state"] == "done" and message["sentence"] == 0:
            stages = {
                "ready → claimed by a worker": message["queue_ms"],
                "claimed → first chunk at the api": message["first_audio_ms"] - message["queue_ms"],
            }
        if message["type"] == "turn" and message["state"] == "ended":
            break
    total = first_at - ready_at
    return {"total": total, **stages, "first chunk at the api → client": total - sum(stages.values())}


async def run(stack: Stack, floor_url: str, rounds: int) -> tuple[list[float], list[dict[str, float]]]:
    """Interleaved rounds of both, after a warm-up of each."""
    floor: list[float] = []
    ours: list[dict[str, float]] = []
    cueline = connect(stack.ws_url, subprotocols=[FRAMED], compression=None)  # type: ignore[list-item]
    async with connect(floor_url, compression=None) as beside, cueline as socket:
        for number in range(rounds + 10):
            text = SENTENCES[number % len(SENTENCES)]
            took_floor, took = await measure_floor(beside, text), await measure_cueline(socket, text)
            if number >= 10:
                floor.append(took_floor)
                ours.append(took)
            await asyncio.sleep(0.02)
    return floor, ours


def line(name: str, values: list[float], floor: list[float] | None = None) -> str:
    """One row: median, p95, and how far they lie above the floor's."""
    median, p95 = statistics.median(values), statistics.quantiles(values, n=20)[-1]
    row = f"{name:<36}{median:>9.2f}{p95:>9.2f}{max(values):>9.2f}"
    if floor:
        floor_median, floor_p95 = statistics.median(floor), statistics.quantiles(floor, n=20)[-1]
        row += f"   floor {median - floor_median:+.2f} / {p95 - floor_p95:+.2f} ms, ratio {median / floor_median:.1f}"
    return row


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    model, floor_server = FakeModelServer(), Floor()
    env = {"CUELINE_LLM_BASE_URL": model.start(), "CUELINE_LLM_MODEL": "fake"}
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder), engine="espeak", env=env)
        try:
            stack.start(workers=2)
            floor, ours = asyncio.run(run(stack, floor_server.start(), rounds))
        finally:
            stack.stop()
            floor_server.stop()
            model.stop()
    print(f"{rounds} sentences each, ms{'':<20}{'median':>9}{'p95':>9}{'most':>9}")
    print(line("floor: engine in the socket handler", floor))
    print(line("Cueline", [took["total"] for took in ours], floor))
    for stage in list(ours[0])[1:]:
        print(line(f"  {stage}", [took[stage] for took in ours]))


if __name__ == "__main__":
    main()
