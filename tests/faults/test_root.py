"""Faults that only root can make: a disk that is really full, a kernel that ends a process for its memory.

Without root, or where the kernel does not let us, they are skipped, loudly.
"""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.turn.spoken import spoken
from tests.conftest import model_env
from tests.fakes import FakeModelServer, counter_pcm
from tests.harness import Client, Stack, wait_until

CGROUPS = Path("/sys/fs/cgroup")
WORKER_BYTES = 512 * 1024 * 1024
"""More than a worker needs, and less than `gorge` takes."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)), capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"NO DISK IS FILLED: needs root that may mount a tmpfs ({mounted.stderr.strip()})")
    try:
        yield place
    finally:
        subprocess.run(("umount", "--lazy", str(place)), check=True)


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """A control group whose processes may have half a gigabyte; the kernel kills the largest when that is used up."""
    is_first = (CGROUPS / "memory").is_dir()
    group = (CGROUPS / "memory" if is_first else CGROUPS) / f"cueline-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if is_first else "memory.max")).write_text(str(WORKER_BYTES))
    except OSError as error:
        if group.is_dir():
            group.rmdir()
        pytest.skip(f"NO KERNEL RUNS OUT OF MEMORY: needs root that may make a control group ({error.strerror})")
    try:
        yield group
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text(), "its processes to end")
        group.rmdir()


def kills(group: Path) -> int:
    """How many processes the kernel has ended there."""
    told = group / "memory.oom_control"
    lines = (told if told.exists() else group / "memory.events").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def expected(client: Client, turn: int) -> bytes:
    said = client.messages("sentence", turn=turn, state="queued")
    return b"".join(counter_pcm(spoken(message["text"])) for message in said)


async def test_16_a_full_disk_is_not_heard_and_what_was_said_is_kept_later(
    small_disk: Path, tmp_path: Path, model: FakeModelServer
) -> None:
    stack = Stack(tmp_path, env={**model_env(model), "CUELINE_DATA_DIR": str(small_disk)})
    ballast = small_disk / "ballast"
    try:
        await asyncio.to_thread(stack.start, 1)
        async with stack.listen() as client:
            session = (await client.until("session"))["session_id"]
            await client.ask("SAY There is room.")
            await asyncio.to_thread(fill, ballast)
            for number in range(8):
                turn = await client.ask(f"SAY There is none, number {number}.")
                assert client.pcm(turn) == expected(client, turn) != b""
                if client.messages("saving", state="behind"):
                    break
            await client.have("saving", state="behind")
            assert (await asyncio.to_thread(stack.get, "/readyz"))[1]["store"].startswith("degraded")
            ballast.unlink()
            await client.have("saving", state="saved", timeout_s=20)
        status, kept = await asyncio.to_thread(stack.get, f"/api/sessions/{session}/transcript")
        assert status == 200
        # Every turn's question and answer, each once.
        places = [(said["turn"], said["role"]) for said in kept["messages"]]
        assert places == [(number, role) for number in range(turn + 1) for role in ("user", "assistant")]
    finally:
        await asyncio.to_thread(stack.stop)


def fill(ballast: Path) -> None:
    """Until nothing more goes in."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


async def test_4_a_process_that_the_kernel_ends_for_its_memory_costs_a_pause(
    small_memory: Path, tmp_path: Path, model: FakeModelServer
) -> None:
    stack = Stack(tmp_path, env=model_env(model))
    into = ("/bin/sh", "-c", f'echo $$ > {small_memory}/cgroup.procs; exec "$0" "$@"')
    try:
        stack.start_redis()
        stack.start_worker(prefix=into)
        stack.start_api()
        await asyncio.to_thread(stack.wait_until_ready, 1)
        (stack.deaths / "one").touch()
        async with stack.listen() as client:
            turn = await client.ask("SAY This one will gorge itself while it is said slowly. And another follows.")
            assert client.pcm(turn) == expected(client, turn)
            assert client.messages("sentence", turn=turn, state="done", sentence=0)[0]["attempt"] == 2
            assert kills(small_memory) >= 1
            after = await client.ask("SAY And on we go.")
            assert client.pcm(after) == expected(client, after) != b""
    finally:
        await asyncio.to_thread(stack.stop)
