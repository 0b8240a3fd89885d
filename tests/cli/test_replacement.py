"""Whoever talks to the api notices nothing but a pause when its process is replaced, by whatever hand."""

from __future__ import annotations

import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.cli.runs import Cueline, Running, Start, all_gone, eventually, is_gone, worker_of


def ask(running: Running) -> int:
    """Number of the api process that answers."""
    with urllib.request.urlopen(running.url, timeout=10) as answer:
        return int(answer.headers["x-pid"])


@contextmanager
def asking_all_the_time(running: Running) -> Iterator[list[BaseException]]:
    """What went wrong meanwhile for somebody who asks again and again."""
    problems: list[BaseException] = []
    done = threading.Event()

    def ask_on() -> None:
        while not done.wait(0.01):
            try:
                ask(running)
            except OSError as problem:
                problems.append(problem)

    asker = threading.Thread(target=ask_on)
    asker.start()
    try:
        yield problems
    finally:
        done.set()
        asker.join(15)


def test_who_comes_while_no_api_runs_waits_instead_of_being_refused(start: Start) -> None:
    running = start(CHAMBER_BACKOFF_S="0.5")
    running.wait_until_ready()
    first = psutil.Process(ask(running))
    first.kill()
    eventually(lambda: is_gone(first))
    assert ask(running) != first.pid


def test_an_api_that_drains_gets_its_successor_at_once_beside_it(start: Start, tmp_path: Path) -> None:
    drained = tmp_path / "drained"
    running = start(CHAMBER_DRAINED=str(drained), CHAMBER_BRIEF_S="0")
    running.wait_until_ready()
    first = psutil.Process(ask(running))
    first.terminate()
    running.wait_for("api is finishing; another one starts")
    assert ask(running) != first.pid
    assert not is_gone(first)
    drained.touch()
    eventually(lambda: is_gone(first))
    running.process.terminate()
    assert running.end() == 0
    assert "failure" not in running.output


def test_the_second_ctrl_c_kills_what_still_drains(start: Start, tmp_path: Path) -> None:
    running = start(CHAMBER_DRAINED=str(tmp_path / "never"), CHAMBER_BRIEF_S="0")
    running.wait_until_ready()
    psutil.Process(ask(running)).terminate()
    running.wait_for("api is finishing")
    ask(running)
    running.offspring()
    running.process.send_signal(signal.SIGINT)
    running.wait_for("stopping")
    asked = time.monotonic()
    eventually(lambda: time.monotonic() - asked > 0.6)
    running.process.send_signal(signal.SIGINT)
    assert running.end(within_s=5) == 0
    assert all_gone(running)


def test_an_end_in_peace_is_no_failure(start: Start) -> None:
    running = start(CHAMBER_BRIEF_S="0")
    running.wait_until_ready()
    for _ in range(7):
        running.wait_for("worker has a child")
        running.output = ""
        worker_of(running).terminate()
        running.wait_for("speech1 ended with code 0; another one starts")


def test_to_end_in_peace_again_and_again_at_once_is_one(start: Start) -> None:
    running = start("peaceful", CHAMBER_STATUS="503", CHAMBER_BACKOFF_S="0.01")
    assert running.end(within_s=15) == 1
    assert "speech1 failed 6 times in a row and ended with code 0; it said last:" in running.output


def test_a_restart_replaces_all_and_nobody_notices(start: Start, cueline: Cueline) -> None:
    running = start(CHAMBER_WITHIN_S="10")
    running.wait_until_ready()
    before = {p.pid for p in running.offspring()}
    api = ask(running)
    with asking_all_the_time(running) as problems:
        said = cueline("restart")
    assert (said.returncode, said.stdout) == (0, "restarted\n"), said.stderr
    assert problems == []
    assert ask(running) != api
    lasting = {p.pid for p in running.offspring() if not is_gone(p)} & before
    assert len(lasting) == 2, "the guard and Redis"
    assert "failure" not in running.wait_for("restarted")


def test_a_restart_stops_where_a_process_does_not_become_ready(start: Start, cueline: Cueline) -> None:
    running = start(CHAMBER_WITHIN_S="1", CHAMBER_UNREADY="1")
    running.wait_until_ready()
    api = ask(running)
    said = cueline("restart")
    assert said.returncode == 1
    assert said.stderr == "cueline: speech1 is not ready after 1 s; what follows was left alone\n"
    assert ask(running) == api


def test_several_api_processes_share_one_socket_and_stand_in_for_each_other(start: Start) -> None:
    running = start(CUELINE_API_PROCESSES="2", CHAMBER_BACKOFF_S="30")
    running.wait_until_ready()
    answering: set[int] = set()
    eventually(lambda: answering.add(ask(running)) or len(answering) == 2)
    psutil.Process(answering.pop()).kill()
    running.wait_for("was killed by signal 9 (Killed); starting it again in 30 s")
    assert ask(running) in answering


def test_a_restart_of_nothing_says_so(cueline: Cueline) -> None:
    said = cueline("restart")
    assert (said.returncode, said.stderr) == (1, "cueline: nothing runs here; start `cueline up`\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_every_loopback_address_can_be_served(start: Start, host: str) -> None:
    running = start(CUELINE_HOST=host)
    running.url = running.url.replace("127.0.0.1", f"[{host}]" if ":" in host else host)
    running.wait_until_ready()
    ask(running)
