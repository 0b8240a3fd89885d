"""The real processes, started by the commands that the containers use, under the rules that their Redis has."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from redis.retry import Retry

from cli import commands, redis_server
from tests.cli.runs import eventually

PROJECT = Path(__file__).parents[2]
RULES = (PROJECT / "deploy/redis.acl").read_text()
ONCE = Retry(NoBackoff(), 0)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis with the rules of deploy/redis.acl; the URL of the user that our processes are."""
    found = redis_server.find_program()
    assert found, "the base installation brings one"
    directory, port = tmp_path_factory.mktemp("redis"), redis_server.free_port()
    rules = directory / "users.acl"
    rules.write_text(RULES.replace(">PASSWORD", ">word"))
    argv = [found[0], "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)]
    argv += ["--save", "", "--aclfile", str(rules)]
    url = f"redis://cueline:word@127.0.0.1:{port}/0"
    server = subprocess.Popen(argv, stdout=subprocess.DEVNULL)

    def answers() -> bool:
        try:
            return bool(redis_server.ask_version(url))
        except ConnectionError:
            return False

    try:
        eventually(answers)
        yield url
    finally:
        server.kill()
        server.wait(5)


@pytest.fixture
def run(redis_url: str, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start one of the commands as a container does; all are ended with their children."""
    started: list[subprocess.Popen[bytes]] = []

    def run_command(argv: tuple[str, ...], **settings: str) -> subprocess.Popen[bytes]:
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CUELINE_REDIS_URL": redis_url, **settings}
        with (tmp_path / f"{argv[0]}.log").open("wb") as log:
            process = subprocess.Popen(
                commands.here(argv), env=env, cwd=PROJECT, stdout=log, stderr=log, start_new_session=True
            )
        started.append(process)
        return process

    yield run_command
    for process in started:
        process.terminate()
        try:
            process.wait(20)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(5)


def status(url: str, password: str = "") -> int:
    request = urllib.request.Request(url)
    if password:
        token = base64.b64encode(f"cueline:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def test_our_user_may_not_harm_the_server(redis_url: str) -> None:
    with Redis.from_url(redis_url, retry=ONCE) as client:
        for forbidden in ("CONFIG GET *", "FLUSHALL", "KEYS *", "SHUTDOWN", "ACL LIST"):
            with pytest.raises(NoPermissionError):
                client.execute_command(*forbidden.split())
        assert client.xadd("a", {"b": "c"})
        assert client.eval("return 1", 0) == 1
        assert list(client.scan_iter("a")) == [b"a"]


def test_nobody_else_gets_in(redis_url: str) -> None:
    port = int(redis_url.rpartition(":")[2].partition("/")[0])
    with Redis(port=port, retry=ONCE) as client, pytest.raises(AuthenticationError):
        client.ping()


def test_the_health_check_can_ping_and_nothing_else(redis_url: str) -> None:
    port = int(redis_url.rpartition(":")[2].partition("/")[0])
    with Redis(port=port, username="health", password="none", retry=ONCE, driver_info=None) as client:
        assert client.ping()
        with pytest.raises(RedisError):
            client.get("a")


def test_api_and_worker_become_ready_and_end_when_asked(
    run: Callable[..., subprocess.Popen[bytes]], redis_url: str
) -> None:
    port = redis_server.free_port()
    api = run(commands.api("127.0.0.1", port), CUELINE_PORT=str(port))
    url = f"http://127.0.0.1:{port}"
    eventually(lambda: status(f"{url}/healthz") == 200)
    assert status(f"{url}/readyz") == 503
    worker = run(commands.worker("speech1"))
    eventually(lambda: status(f"{url}/readyz") == 200)
    health = [sys.executable, "deploy/worker_health.py"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "CUELINE_REDIS_URL": redis_url}
    assert subprocess.run(health, env=env, cwd=PROJECT, timeout=20, check=False).returncode == 0
    for process in (worker, api):
        process.terminate()
        assert process.wait(20) in (0, -signal.SIGTERM)  # uvicorn ends by the signal it was sent


def test_flower_asks_for_its_password(run: Callable[..., subprocess.Popen[bytes]]) -> None:
    port = redis_server.free_port()
    run(commands.flower("127.0.0.1", port), CUELINE_FLOWER_PASSWORD="word")
    url = f"http://127.0.0.1:{port}"
    eventually(lambda: status(f"{url}/healthcheck") == 200)
    assert status(f"{url}/") == 401
    assert status(f"{url}/", "word") == 200


def test_flower_loads_no_engine(run: Callable[..., subprocess.Popen[bytes]]) -> None:
    if not Path("/proc/self/maps").exists():
        pytest.skip("needs /proc")
    port = redis_server.free_port()
    flower = run(commands.flower("127.0.0.1", port))
    eventually(lambda: status(f"http://127.0.0.1:{port}/healthcheck") == 200)
    loaded = Path(f"/proc/{flower.pid}/maps").read_text()
    assert "espeak" not in loaded
    assert "libtorch" not in loaded
