"""One command starts all, says when it is ready, and leaves nothing behind, however it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import time
from pathlib import Path

import pytest

from cli.redis_server import ask_version
from cli.settings import read_up_settings
from cli.up import make_plan
from tests.cli.runs import Start, all_gone, eventually, free_port, is_gone, worker_of


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_ends_all_in_peace(start: Start, number: signal.Signals) -> None:
    running = start()
    running.wait_until_ready()
    running.wait_for("worker has a child")
    assert len(running.offspring()) >= 5, "guard, redis, api, worker and the worker's child"
    running.process.send_signal(number)
    assert running.end() == 0
    assert "finishing the sentence" in running.output
    assert all_gone(running)


def test_a_signal_that_comes_twice_at_once_is_one(start: Start) -> None:
    running = start()
    running.wait_until_ready()
    running.process.send_signal(signal.SIGTERM)
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == 0
    assert "at once" not in running.output


def test_the_second_ctrl_c_kills_what_does_not_listen(start: Start) -> None:
    running = start("deaf")
    running.wait_until_ready()
    running.wait_for("deaf")
    running.offspring()
    running.process.send_signal(signal.SIGINT)
    running.wait_for("stopping")
    asked = time.monotonic()
    eventually(lambda: time.monotonic() - asked > 0.6)
    running.process.send_signal(signal.SIGINT)
    assert running.end(within_s=5) == 0
    assert all_gone(running)


def test_what_does_not_listen_is_killed_in_the_end(start: Start) -> None:
    running = start("deaf", CHAMBER_GRACE_S="1")
    running.wait_until_ready()
    running.offspring()
    running.process.terminate()
    assert running.end(within_s=15) == 0
    assert all_gone(running)


def test_nothing_survives_a_killed_supervisor(start: Start) -> None:
    running = start()
    running.wait_until_ready()
    running.wait_for("worker has a child")
    assert len(running.offspring()) >= 5
    running.process.kill()
    eventually(lambda: all_gone(running))


def test_a_signal_during_the_start_ends_all(start: Start) -> None:
    running = start(CHAMBER_STATUS="503")
    running.wait_for("private Redis")
    running.offspring()
    running.process.terminate()
    assert running.end() == 0
    assert all_gone(running)


def test_a_reader_that_goes_away_ends_all(start: Start) -> None:
    running = start("noisy")
    running.wait_until_ready()
    running.offspring()
    assert running.process.stdout is not None
    running.process.stdout.close()
    running.process.stdout = None
    assert running.process.wait(15) == 0
    assert all_gone(running)


def test_a_reader_that_stops_reading_does_not_hold_the_end_up(start: Start) -> None:
    running = start("noisy")
    running.wait_until_ready()
    running.offspring()
    running.process.terminate()
    assert running.process.wait(15) == 0
    assert all_gone(running)


def test_a_killed_process_is_replaced(start: Start) -> None:
    running = start()
    running.wait_until_ready()
    running.wait_for("worker has a child")
    first = worker_of(running)
    its_child = first.children()
    first.kill()
    running.wait_for("speech1 was killed by signal 9 (Killed); starting it again in 0.1 s")
    running.output = ""
    running.wait_for("worker has a child")
    assert all(is_gone(process) for process in its_child)


def test_redis_comes_back_at_the_same_address(start: Start, tmp_path: Path) -> None:
    running = start()
    running.wait_until_ready()
    url = json.loads((tmp_path / "home/.local/share/cueline/run.json").read_text())["redis"]
    server = next(process for process in running.offspring() if "server" in process.name())
    server.kill()
    running.wait_for("redis was killed")

    def answers() -> bool:
        try:
            return bool(ask_version(url))
        except ConnectionError:
            return False

    eventually(answers)


def test_what_cannot_be_kept_alive_ends_all_and_says_why(start: Start) -> None:
    running = start("broken", CHAMBER_STATUS="503", CHAMBER_BACKOFF_S="0.01")
    assert running.end(within_s=15) == 1
    assert "broken failed 6 times in a row and ended with code 3; it said last:" in running.output
    assert "the sound card is on fire" in running.output
    assert all_gone(running)


def test_what_is_optional_may_fail(start: Start) -> None:
    running = start("optional", CHAMBER_BACKOFF_S="0.01")
    running.wait_until_ready()
    running.wait_for("going on without it", within_s=40)
    assert running.process.poll() is None


def test_never_ready_says_why_and_stops(start: Start) -> None:
    running = start(CHAMBER_STATUS="503", CHAMBER_WITHIN_S="2")
    assert running.end() == 1
    assert "not ready after 2 s: the api says 503 because" in running.output
    assert "\nready " not in running.output


def test_a_taken_port_is_said_before_anything_starts(start: Start) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        running = start(CUELINE_PORT=str(port))
        assert running.end() == 1
    assert f"CUELINE_PORT: cannot listen on 127.0.0.1:{port}: address already in use" in running.output
    assert len(running.output.splitlines()) == 1


def test_a_chosen_flower_port_that_is_taken_stops_the_start(start: Start) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        running = start(CUELINE_FLOWER_PORT=str(other.getsockname()[1]))
        assert running.end() == 1
    assert "CUELINE_FLOWER_PORT: cannot listen" in running.output


def test_port_0_is_any_that_is_free(start: Start) -> None:
    running = start(CUELINE_PORT="0")
    running.wait_for("Ctrl-C stops everything\nready http://127.0.0.1:")
    assert "ready http://127.0.0.1:0\n" not in running.output


def test_a_redis_that_does_not_answer_is_named_without_its_password(start: Start) -> None:
    running = start(CUELINE_REDIS_URL=f"redis://:hushhush@127.0.0.1:{free_port()}/0")
    assert running.end() == 1
    assert "CUELINE_REDIS_URL: no Redis at redis://***@127.0.0.1:" in running.output
    assert "hushhush" not in running.output


def test_the_run_file_is_private_and_goes_with_the_run(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "data/run.json"
    running = start(CUELINE_DATA_DIR=str(path.parent))
    running.wait_until_ready()
    run = json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (run["pid"], run["api"]) == (running.process.pid, running.url)
    assert run["redis"].partition("@")[0] not in running.output
    running.process.terminate()
    assert running.end() == 0
    assert not path.exists()


def test_secrets_are_in_no_argument_of_a_process(start: Start, tmp_path: Path) -> None:
    running = start()
    running.wait_until_ready()
    url = json.loads((tmp_path / "home/.local/share/cueline/run.json").read_text())["redis"]
    password = url.partition(":@")[0].removeprefix("redis://:").partition("@")[0]
    assert len(password) > 20
    assert not [p for p in running.offspring() if password in " ".join(p.cmdline())]


def test_a_dotenv_file_is_read_and_the_environment_wins(start: Start, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"CUELINE_DATA_DIR={tmp_path}/from_file\nCUELINE_PORT=1\n")
    running = start()
    running.wait_until_ready()
    assert (tmp_path / "from_file/run.json").exists()


def test_no_home_is_no_hindrance(start: Start, tmp_path: Path) -> None:
    tmp = tmp_path / "tmp"
    tmp.mkdir()
    running = start(HOME="", TMPDIR=str(tmp))
    running.wait_until_ready()
    assert (tmp / f"cueline-{os.getuid()}/run.json").exists()


@pytest.mark.parametrize(("engine", "hears"), [("", 0), ("whisper", 1)])
def test_a_recognition_worker_runs_where_somebody_is_listened_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: str, hears: int
) -> None:
    monkeypatch.setenv("CUELINE_STT_ENGINE", engine)
    monkeypatch.setenv("CUELINE_DATA_DIR", str(tmp_path))
    plan = make_plan(read_up_settings(), os.environ, 0)
    # Typing needs it not: the rest goes on without it.
    assert len([command for command in plan.optional if command.name == "hear1"]) == hears
    assert not [command for command in plan.workers if "workers.stt.app" in command.argv]
