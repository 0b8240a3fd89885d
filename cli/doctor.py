"""`cueline doctor`: what works on this machine, and the command that mends what does not. Not: mending it."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from api.listening.sound.smart_turn import SmartTurn, TurnModelBroken
from api.settings import DEFAULT_ENDS, DEFAULT_MODEL, SettingsError, choose_llm, read_settings
from api.store.opening import open_store
from api.store.store import StoreError
from cli import commands, redis_server
from cli.commands import PROJECT_DIR
from cli.log import safe
from cli.running import Run, ask_ready, read_run
from cli.settings import UpSettings, find_data_dir, read_up_settings
from cli.voices import table
from cli.weights.choice import Choice, choose_engine, local_model_problem

State = Literal["ok", "missing", "optional"]
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: State
    """`missing`: without it nobody can talk. `optional`: something else lacks it."""
    detail: str
    mend: str = ""
    """The command, or the setting, that would help."""


def run_doctor() -> int:
    """Print a table. Exit code 0 if a conversation is possible here, else 1."""
    found = findings()
    for line in table([("", "STATE", "WHAT IS FOUND"), *((f.what, f.state, f.detail) for f in found)]).splitlines():
        sys.stdout.write(_coloured(line) + "\n")
    mends = [finding for finding in found if finding.state != "ok" and finding.mend]
    if mends:
        sys.stdout.write("\nWhat would help:\n")
    for finding in mends:
        sys.stdout.write(f"  {finding.what}: {finding.mend}\n")
    broken = [finding.what for finding in found if finding.state == "missing"]
    sys.stdout.write(f"\n{'Not ready: ' + ', '.join(broken) if broken else 'Ready: `make run` can talk here'}\n")
    return 1 if broken else 0


def findings() -> list[Finding]:
    """Everything that is looked at, in the order of the table."""
    try:
        settings = read_up_settings()
    except SettingsError as error:
        return [
            check_python(),
            Finding("settings", "missing", str(error), "correct it in the environment or .env"),
        ]
    run = read_run(find_data_dir(os.environ))
    checks: list[Callable[[], Finding]] = [
        check_python,
        check_packages,
        lambda: Finding("settings", "ok", "every variable is known and well formed"),
        lambda: check_redis(settings.redis_url or (run.redis if run else "")),
        lambda: check_engine(choose_engine(os.environ, settings.data_dir)),
        check_recognizer,
        *([check_turn_model] if os.environ.get("CUELINE_TURN_MODEL") else []),
        check_llm,
        lambda: check_port("CUELINE_PORT", "port of the api", settings.host, settings.port, run),
        lambda: check_flower_port(settings, run),
        lambda: Finding("data", "ok", f"{settings.data_dir} can be written"),
        check_store,
        lambda: check_running(run),
        check_gpu,
        lambda: check_program("node", ("node",), "apt-get install nodejs npm", "tests of the page"),
        lambda: check_program("chromium", CHROMIUMS, "apt-get install chromium", "tests in a browser"),
    ]
    return [check() for check in checks]


def check_python() -> Finding:
    """The version that pyproject.toml asks for."""
    version = platform.python_version()
    good = sys.version_info >= (3, 11)
    mend = "" if good else "apt-get install python3.11 python3.11-venv"
    return Finding("python", "ok" if good else "missing", f"{version} at {sys.executable}", mend)


def check_packages() -> Finding:
    """Every package of the base installation."""
    try:
        needed = metadata.requires("cueline") or []
    except metadata.PackageNotFoundError:
        return Finding("packages", "missing", "the project is not installed", "make run")
    names = [_requirement_name(line) for line in needed if "extra ==" not in line]
    absent = [name for name in names if not _is_installed(name)]
    if absent:
        return Finding("packages", "missing", f"without {', '.join(absent)}", "rm -f .venv/.base; make run")
    return Finding("packages", "ok", f"all {len(names)}, among them celery {metadata.version('celery')}")


def check_redis(url: str) -> Finding:
    """The Redis that is given or running, else the one that would be started."""
    if url:
        shown = redis_server.without_password(url)
        try:
            return Finding("redis", "ok", f"{redis_server.ask_version(url)} answers at {shown}")
        except ConnectionError as error:
            return Finding("redis", "missing", f"none answers at {shown}: {error}", "correct CUELINE_REDIS_URL")
    found = redis_server.find_program()
    if found is None:
        return Finding("redis", "missing", "no server to start", "apt-get install redis-server")
    program, version = found
    try:
        redis_server.try_out(program)
    except ConnectionError as error:
        return Finding("redis", "missing", f"{program} does not start: {error}", "apt-get install redis-server")
    return Finding("redis", "ok", f"{Path(program).name} {version} started and answered; {program}")


def check_engine(choice: Choice) -> Finding:
    """Have the chosen engine speak one word, in a process of its own: it may load anything."""
    argv, env = commands.here(("workers.check",)), {**os.environ, "CUELINE_TTS_ENGINE": choice.engine}
    try:
        asked = subprocess.run(argv, capture_output=True, text=True, env=env, cwd=PROJECT_DIR, timeout=300, check=False)
        said = json.loads(asked.stdout)
        detail, good = f"{said['engine']}: {said['detail']} ({choice.why})", bool(said["ok"])
        if good and not said.get("all", True):
            return Finding("engine", "optional", detail, "a later engine of CUELINE_TTS_ENGINE stands in until then")
    except subprocess.TimeoutExpired:
        detail, good = "did not speak within 300 s", False
    except (ValueError, KeyError, TypeError):
        detail, good = (asked.stderr.strip().rpartition("\n")[2] or "said nothing about itself"), False
    mend = "set CUELINE_TTS_ENGINE=espeak, which needs nothing else"
    return Finding("engine", "ok" if good else "missing", detail, "" if good else mend)


def check_recognizer() -> Finding:
    """Have the configured recognizer listen to a second of silence, in a process of its own. It downloads nothing."""
    get_one = (
        "CUELINE_STT_ENGINE=whisper make run installs what it needs and downloads the model small once; another: "
        "CUELINE_WHISPER_MODEL, a name (tiny, base, small, medium, turbo, large-v3) or a directory"
    )
    if not os.environ.get("CUELINE_STT_ENGINE"):
        return Finding("recognizer", "optional", "none is set: the page takes typed messages only", get_one)
    argv = commands.here(("workers.stt.check",))
    try:
        asked = subprocess.run(argv, capture_output=True, text=True, cwd=PROJECT_DIR, timeout=300, check=False)
        said = json.loads(asked.stdout)
        detail, good = f"{said['engine']}: {said['detail']}", bool(said["ok"])
    except subprocess.TimeoutExpired:
        detail, good = "did not listen within 300 s", False
    except (ValueError, KeyError, TypeError):
        detail, good = (asked.stderr.strip().rpartition("\n")[2] or "said nothing about itself"), False
    # Typing goes on without it.
    return Finding("recognizer", "ok" if good else "optional", detail, "" if good else get_one)


def check_turn_model() -> Finding:
    """Have the network that was named judge silence."""
    path = read_settings().turn_model
    assert path is not None  # noqa: S101  asked for only where it is set
    try:
        SmartTurn(path)
    except TurnModelBroken as error:
        mend = (
            "name a Smart Turn file (ONNX, version 3 or later), or unset CUELINE_TURN_MODEL: silence and words decide"
        )
        return Finding("turn model", "optional", str(error), mend)
    return Finding("turn model", "ok", f"{path.name} judges whether somebody has finished")


def check_llm() -> Finding:
    """Which language model would answer. Its key stays where it is."""
    settings = read_settings()
    llm = choose_llm(settings)
    if llm.source == "CUELINE_LLM" and not llm.base_url:
        if problem := local_model_problem(os.environ, find_data_dir(os.environ)):
            return Finding("llm", "missing", f"local: {problem}", "unset CUELINE_LLM, and the demo character answers")
        return Finding("llm", "ok", f"{llm.model}, which `cueline up` starts on this machine (CUELINE_LLM)")
    if llm.source == "demo":
        mend = "set CUELINE_LLM_BASE_URL and CUELINE_LLM_MODEL, or OPENROUTER_API_KEY, or OPENAI_API_KEY"
        return Finding("llm", "optional", "none is set: the demo character answers, and says so", mend)
    found = f"{llm.model} at {redis_server.without_password(llm.base_url)} ({llm.source})"
    if not settings.llm_model:
        found += f"; OpenAI ends {DEFAULT_MODEL} on {DEFAULT_ENDS}: name another in CUELINE_LLM_MODEL"
    return Finding("llm", "ok", found)


def check_port(setting: str, what: str, host: str, port: int, run: Run | None) -> Finding:
    """Whether we can listen, or do already."""
    problem = redis_server.port_problem(host, port)
    if not problem:
        return Finding(what, "ok", f"{host}:{port} is free")
    if run and run.api.endswith(f":{port}"):
        return Finding(what, "ok", f"{host}:{port} is used by the running Cueline")
    return Finding(what, "missing", f"{host}:{port}: {problem}", f"stop what uses it, or set {setting}")


def check_flower_port(settings: UpSettings, run: Run | None) -> Finding:
    """Flower can be moved, or left out."""
    what, port = "port of Flower", settings.flower_port
    if not port:
        return Finding(what, "optional", "switched off", "set CUELINE_FLOWER_PORT")
    if run and run.flower.endswith(f":{port}"):
        return Finding(what, "ok", f"{port} is used by the running Cueline")
    if problem := redis_server.port_problem("127.0.0.1", port):
        state: State = "missing" if settings.flower_port_chosen else "optional"
        return Finding(what, state, f"{port}: {problem}", "set CUELINE_FLOWER_PORT; by default another is taken")
    return Finding(what, "ok", f"127.0.0.1:{port} is free")


def check_store() -> Finding:
    """Which Store conversations are kept in, and whether it answers. Talk goes on without it."""
    store = open_store(read_settings())

    async def ask() -> None:
        try:
            async with asyncio.timeout(10):
                await store.find("conversations", {"id": "none"}, limit=1)
        finally:
            await store.close()

    try:
        asyncio.run(ask())
    except (StoreError, TimeoutError) as error:
        return Finding(
            "store", "optional", f"{store.name}: {error or 'no answer'}", "nothing said is kept until it works"
        )
    return Finding("store", "ok", f"{store.name}, answers")


def check_running(run: Run | None) -> Finding:
    """The `cueline up` of the same data directory."""
    if run is None:
        return Finding("running", "optional", "no Cueline runs here now", "make run")
    why_not = ask_ready(run.api)
    if why_not:
        return Finding("running", "optional", f"process {run.pid}, not ready: {why_not}", "see its log")
    return Finding("running", "ok", f"{run.api}, process {run.pid}" + (f", Flower {run.flower}" if run.flower else ""))


def check_gpu() -> Finding:
    """What nvidia-smi says, and what that is enough for."""
    if program := shutil.which("nvidia-smi"):
        argv = [program, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
        try:
            asked = subprocess.run(argv, capture_output=True, text=True, timeout=15, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return Finding("gpu", "optional", "nvidia-smi does not answer")
        if asked.returncode == 0 and asked.stdout.strip():
            return Finding("gpu", "ok", "; ".join(_cards(asked.stdout.strip().splitlines())))
    return Finding("gpu", "optional", "none; voices that need one are not offered")


def _cards(lines: list[str]) -> list[str]:
    """Each card with what it could hold: `name, MiB, MiB free` as nvidia-smi writes it."""
    cards = [[field.strip() for field in line.rsplit(",", 2)] for line in lines]
    told = [
        f"{card[0]}, {card[1]} MiB, {card[2]} free" if len(card) == 3 else line
        for card, line in zip(cards, lines, strict=True)
    ]
    argv = commands.here(("workers.tts.higgs.card", *(card[-1] for card in cards)))
    try:
        asked = subprocess.run(argv, capture_output=True, text=True, cwd=PROJECT_DIR, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return told
    fits = asked.stdout.splitlines() if asked.returncode == 0 else []
    return [f"{card}: {fit}" for card, fit in zip(told, fits, strict=True)] if len(fits) == len(told) else told


def check_program(what: str, names: tuple[str, ...], mend: str, use: str) -> Finding:
    """A program that only tests need."""
    path = next(filter(None, map(shutil.which, names)), None)
    if path:
        return Finding(what, "ok", f"{path}, for {use}")
    return Finding(what, "optional", f"not found; only {use} need it", mend)


def _requirement_name(line: str) -> str:
    name = line.partition(";")[0]
    for sign in "[<>=!~ (":
        name = name.partition(sign)[0]
    return name.strip()


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _coloured(line: str) -> str:
    line = safe(line)
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return line
    for state, code in (("ok", 32), ("missing", 31), ("optional", 33)):
        line = line.replace(f" {state} ", f" \x1b[{code}m{state}\x1b[0m ", 1)
    return line
