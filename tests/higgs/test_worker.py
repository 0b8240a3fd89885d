"""One Celery worker, one model, many sentences: from the queue to the client."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import model_env
from tests.fakes import FakeModelServer
from tests.harness import Stack
from workers.tts.higgs.codec import FRAME_SAMPLES
from workers.tts.higgs.engine import most_frames

AT_ONCE = 64


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, checkpoint_at: tuple[Path, Path], model: FakeModelServer
) -> Iterator[Stack]:
    env = {
        "CUELINE_HIGGS_MODEL": str(checkpoint_at[0]),
        "CUELINE_HIGGS_CODEC": str(checkpoint_at[1]),
        "CUELINE_HIGGS_SLOTS": str(AT_ONCE),
        "CUELINE_HIGGS_POSITIONS": "512",
        "OMP_NUM_THREADS": "1",
    }
    running = Stack(tmp_path_factory.mktemp("stack"), "higgs", {**env, **model_env(model)})
    try:
        running.start_redis()
        running.start_worker("threads", AT_ONCE)
        running.start_api()
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


def speech(stack: Stack, text: str) -> bytes:
    body = {"model": "tts-1", "input": text, "voice": "default", "response_format": "pcm"}
    status, answer, _ = stack.request("POST", "/v1/audio/speech", body, timeout_s=100)
    assert status == 200, answer
    return answer


def test_64_sentences_at_once_come_whole_and_as_they_come_alone(stack: Stack) -> None:
    texts = [f"No {number}." for number in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        together = list(pool.map(lambda text: speech(stack, text), texts))
    # Random weights never end a sentence: it is as long as it may be, to the sample.
    assert [len(pcm) for pcm in together] == [most_frames(text) * FRAME_SAMPLES * 2 for text in texts]
    assert len(set(together)) == AT_ONCE
    assert [speech(stack, text) for text in texts[:2]] == together[:2]


async def test_a_talk_is_spoken_and_an_interrupted_one_leaves_the_batch(stack: Stack) -> None:
    async with stack.listen() as client:
        turn = await client.ask("SAY Hello there.", 60)
        assert client.chunks(turn)
        await client.send(type="chat", text="SAY This one goes on for as long as anybody would listen to it.")
        await client.until("sentence", 30, state="speaking")
        await client.send(type="interrupt")
        await client.until("tts_stop", 10)
        assert client.chunks(await client.ask("SAY And again.", 60))
