"""`cueline up`: Redis, workers, api and Flower in one terminal; ready with one line, gone with one Ctrl-C.

Not: how a process is kept alive (supervision) or started (commands.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cli import commands, redis_server
from cli.commands import PROJECT_DIR, Command
from cli.log import OURSELVES, Log
from cli.ports import PortTaken, claim_ports, listen
from cli.restart import Restarts
from cli.running import Run, ask_ready, remove_run, write_run
from cli.settings import UpSettings
from cli.supervision.child import Failure
from cli.supervision.supervisor import Supervisor
from cli.weights.choice import Choice, choose_engine, local_model_problem

READY_WITHIN_S = 60.0
REDIS_WITHIN_S = 10.0
SECOND_SIGNAL_AFTER_S = 0.5
"""make and timeout pass a signal on that has reached us already: those two are one."""
ROOT_IS_FINE = "ignore:You're running the worker with superuser"
"""Celery warns of root for the sake of pickle, which no queue of ours accepts."""
HEARING = "hear1"
POOLS = ("prefork", "threads", "solo")


class CannotStart(Exception):
    """What stands in the way, for the person who started us."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs beside Redis."""

    workers: Sequence[Command]
    apis: Sequence[Command]
    optional: Sequence[Command] = ()
    """The rest goes on without these."""


MakePlan = Callable[[UpSettings, Mapping[str, str], int], Plan]


def make_plan(settings: UpSettings, env: Mapping[str, str], listener: int) -> Plan:
    """The real processes; the api serves the socket `listener`. Raises: CannotStart if there is no such engine."""
    level = {"log_level": settings.log_level} if settings.log_level else {}
    pool, at_once = _ask_pool(env)
    names = [f"speech{number}" for number in range(1, settings.workers + 1)]
    workers = [Command(name, commands.here(commands.worker(name, pool, at_once, **level))) for name in names]
    api = commands.here(commands.api_on(listener))
    apis = [Command(name, api, descriptors=(listener,), overlaps=True) for name in api_names(settings)]
    flower = commands.here(commands.flower("127.0.0.1", settings.flower_port, **level))
    hearing = Command(HEARING, commands.here(commands.recognizer(HEARING, **level)))
    optional = [hearing] if settings.listens and settings.workers else []
    return Plan(workers, apis, [*optional, Command("flower", flower)] if settings.flower_port else optional)


def api_names(settings: UpSettings) -> list[str]:
    """What the api processes are called in the log."""
    count = settings.api_processes
    return [f"api{number}" for number in range(1, count + 1)] if count > 1 else ["api"]


def local_model(descriptor: int) -> Command:
    """Our own language model, on the socket `descriptor`."""
    return Command("model", commands.here(commands.local_model(str(descriptor))), descriptors=(descriptor,))


def run_up(settings: UpSettings, ready_within_s: float = READY_WITHIN_S, make_plan: MakePlan = make_plan) -> int:
    """Start all, wait for Ctrl-C or SIGTERM, end all. The exit code is 0 unless something failed."""
    log = Log()
    log.hide(*settings.secrets)
    try:
        settings, listener = claim_ports(settings, log)
        with listener:
            return asyncio.run(Up(settings, listener, log, ready_within_s, make_plan).run())
    except (CannotStart, PortTaken) as problem:
        _say_lines(log, str(problem))
        return 1
    finally:
        log.close()


class Up:
    """One run from start to end."""

    def __init__(
        self, settings: UpSettings, listener: socket.socket, log: Log, ready_within_s: float, make_plan: MakePlan
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._log = log
        self._ready_within_s = ready_within_s
        self._make_plan = make_plan
        self._stop = asyncio.Event()
        self._restarts: Restarts | None = None
        self._model_listener: socket.socket | None = None
        self._reason = "Redis does not answer"
        """Why it is not ready yet."""

    async def run(self) -> int:
        """Run until stopped (0) or failed (1)."""
        choice = choose_engine(os.environ, self._settings.data_dir)
        own = {
            "CUELINE_TTS_ENGINE": choice.engine,
            "CUELINE_HOST": self._settings.host,
            "CUELINE_PORT": str(self._settings.port),
            "CUELINE_DATA_DIR": str(self._settings.data_dir),
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), ROOT_IS_FINE))),
        }
        with contextlib.ExitStack() as held:
            if self._settings.runs_model:
                self._model_listener = held.enter_context(listen("127.0.0.1", 0))
                own["CUELINE_LLM_BASE_URL"] = f"http://127.0.0.1:{self._model_listener.getsockname()[1]}/v1"
            return await self._run({**os.environ, **own}, choice)

    async def _run(self, env: dict[str, str], choice: Choice) -> int:
        supervisor = Supervisor(self._log, env, PROJECT_DIR)
        self._listen_to_signals(supervisor)
        if self._settings.workers:
            self._log.say(OURSELVES, f"voices: {choice.engine} ({choice.why})")
        work = asyncio.create_task(self._start_and_watch(supervisor))
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        # Whoever comes now is to be refused, not to wait.
        self._listener.close()
        if not work.done():
            self._log.say(OURSELVES, "stopping")
        work.cancel()
        if self._restarts:
            self._restarts.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await work
            except (Failure, CannotStart) as problem:
                _say_lines(self._log, str(problem))
                return 1
            finally:
                await supervisor.stop()
                remove_run(self._settings.data_dir)
                self._log.say(OURSELVES, "stopped")
        return 0

    async def _start_and_watch(self, supervisor: Supervisor) -> None:
        """Bring all up and wait. It ends by raising Failure or CannotStart, or by being cancelled."""
        settings = self._settings
        if self._model_listener and (problem := local_model_problem(supervisor.env, settings.data_dir)):
            raise CannotStart(f"CUELINE_LLM=local: {problem}")
        url = await self._have_redis(supervisor)
        supervisor.env["CUELINE_REDIS_URL"] = url
        plan = await asyncio.to_thread(self._make_plan, settings, supervisor.env, self._listener.fileno())
        apis = [supervisor.start(command) for command in plan.apis]
        workers = [supervisor.start(command) for command in plan.workers]
        if self._model_listener:
            supervisor.start(local_model(self._model_listener.fileno()))
        optional = [supervisor.start(command, optional=True) for command in plan.optional]
        hearing = [child for child in optional if child.command.name == HEARING]
        await _unless_failed(supervisor, self._wait_until_ready(), self._ready_within_s, lambda: self._reason)
        has_flower = any(command.name == "flower" for command in plan.optional)
        flower_url = f"http://127.0.0.1:{settings.flower_port}" if has_flower else ""
        write_run(settings.data_dir, run := Run(os.getpid(), settings.local_url, flower_url, url))
        self._restarts = Restarts(run, settings.data_dir, [*workers, *hearing, *apis], self._ready_within_s, self._log)
        self._say_ready(flower_url)
        raise await supervisor.failed()

    async def _have_redis(self, supervisor: Supervisor) -> str:
        """URL of the Redis that was given, else of one that is started here."""
        if url := self._settings.redis_url:
            self._log.hide(urlsplit(url).password or "")
            shown = redis_server.without_password(url)
            try:
                version = await asyncio.to_thread(redis_server.ask_version, url)
            except ConnectionError as error:
                raise CannotStart(f"CUELINE_REDIS_URL: no Redis at {shown}: {error}") from error
            self._log.say(OURSELVES, f"using Redis {version} at {shown}")
            return url
        if (found := redis_server.find_program()) is None:
            raise CannotStart("found no Redis: install redis-server (6.2 or newer) or set CUELINE_REDIS_URL")
        program, version = found
        port, password = redis_server.free_port(), redis_server.new_password()
        self._log.hide(password)
        self._log.say(OURSELVES, f"starting a private Redis ({Path(program).name} {version}), port {port}")
        command = redis_server.command(program, port, password, self._settings.data_dir)
        supervisor.start(command, needed_by_others=True)
        url = redis_server.make_url(port, password)
        await _unless_failed(supervisor, _wait_for_redis(url), REDIS_WITHIN_S, lambda: self._reason)
        return url

    async def _wait_until_ready(self) -> None:
        loop = asyncio.get_running_loop()
        started = told = loop.time()
        while True:
            self._reason = await asyncio.to_thread(ask_ready, self._settings.local_url)
            if not self._reason:
                return
            if loop.time() - told >= 10:
                told = loop.time()
                self._log.say(OURSELVES, f"not ready after {told - started:.0f} s: {self._reason}")
            await asyncio.sleep(0.1)

    def _say_ready(self, flower_url: str) -> None:
        settings = self._settings
        if flower_url:
            self._log.say(OURSELVES, f"the queue, in Flower: {flower_url}")
        if os.environ.get("SSH_CONNECTION") or settings.local_url != settings.url:
            tunnel = f"ssh -L {settings.port}:127.0.0.1:{settings.port} THIS_MACHINE"
            self._log.say("cueline", "browsers give the microphone to https and to localhost only; from another")
            self._log.say(OURSELVES, f"machine use a proxy with TLS, or: {tunnel}")
        self._log.say(OURSELVES, "Ctrl-C stops everything")
        self._log.line(f"ready {settings.url}")

    def _listen_to_signals(self, supervisor: Supervisor) -> None:
        loop = asyncio.get_running_loop()
        first_at: list[float] = []

        def on_signal() -> None:
            first_at.append(loop.time())
            if loop.time() - first_at[0] > SECOND_SIGNAL_AFTER_S:
                self._log.say(OURSELVES, "stopping at once")
                supervisor.kill()
            self._stop.set()

        def on_restart() -> None:
            if self._restarts is None:
                self._log.say(OURSELVES, "not up yet: nothing to restart")
            else:
                self._restarts.begin()

        loop.add_signal_handler(signal.SIGUSR1, on_restart)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, on_signal)
        self._log.on_reader_gone = lambda: loop.call_soon_threadsafe(self._stop.set)


async def _unless_failed(
    supervisor: Supervisor, wait: Coroutine[Any, Any, None], within_s: float, reason: Callable[[], str]
) -> None:
    """Wait for `wait`.

    Raises: Failure of a process in the meantime, CannotStart with `reason` when it is late.
    """
    waiting, failing = asyncio.create_task(wait), asyncio.create_task(supervisor.failed())
    try:
        done, _ = await asyncio.wait((waiting, failing), timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if failing in done:
            raise failing.result()
        if not done:
            raise CannotStart(f"not ready after {within_s:g} s: {reason()}")
        waiting.result()
    finally:
        waiting.cancel()
        failing.cancel()


async def _wait_for_redis(url: str) -> None:
    while True:
        try:
            await asyncio.to_thread(redis_server.ask_version, url)
        except ConnectionError:
            await asyncio.sleep(0.02)
        else:
            return


def _ask_pool(env: Mapping[str, str]) -> tuple[str, int]:
    """The Celery pool that the configured engine needs, and how many tasks it runs at once.

    The worker's side knows; we must not load it.
    """
    argv = commands.here(("workers.pool",))
    asked = subprocess.run(argv, capture_output=True, text=True, env=env, cwd=PROJECT_DIR, timeout=60, check=False)
    pool, _, at_once = asked.stdout.strip().partition(" ")
    if asked.returncode or pool not in POOLS or not at_once.isdecimal():
        why = (asked.stderr or asked.stdout).strip().rpartition("\n")[2]
        raise CannotStart(f"CUELINE_TTS_ENGINE: {why}")
    return pool, int(at_once)


def _say_lines(log: Log, text: str) -> None:
    for line in text.splitlines():
        log.say(OURSELVES, line)
