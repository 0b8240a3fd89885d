"""The log shows what processes say and lets none of them write anywhere else."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from cli.log import BACKLOG, Log, safe


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        os.close(descriptor)


def said(reader: int) -> str:
    return os.read(reader, 65536).decode()


def test_each_line_begins_with_its_process(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1], colour=False)
    log.say("api", "hello")
    log.say("speech1", "there")
    log.close()
    assert said(pipe[0]) == "api     | hello\nspeech1 | there\n"


def test_each_process_keeps_its_colour(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1], colour=True)
    for name in ("api", "speech1", "api"):
        log.say(name, "x")
    log.close()
    first, second, third = said(pipe[0]).splitlines()
    assert first == third
    assert first.partition("a")[0] != second.partition("s")[0]


def test_a_pipe_gets_no_colour(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1])
    log.say("api", "x")
    log.close()
    assert "\x1b" not in said(pipe[0])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("one\rtwo\x9b31m\x00", "one\\rtwo\\x9b31m\\x00"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("Grüße, 世界\t🙂", "Grüße, 世界\t🙂"),
    ],
)
def test_nothing_in_a_line_steers_the_terminal(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_secrets_are_not_shown(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1], colour=False)
    log.hide("s3cret", "")
    log.say("api", "redis://:s3cret@here")
    log.close()
    assert said(pipe[0]) == "api     | redis://:***@here\n"


def test_a_slow_reader_costs_lines_of_processes_but_none_of_ours(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1], colour=False)
    for _ in range(BACKLOG + 2000):
        log.say("api", "x" * 100)
    log.line("ready http://127.0.0.1:8000")
    log.close(timeout_s=0.1)
    os.set_blocking(pipe[0], False)
    text = ""
    while "ready" not in text:
        try:
            text += said(pipe[0])
        except BlockingIOError:
            continue
    assert "lines left out: the reader was too slow)" in text
    assert text.endswith("ready http://127.0.0.1:8000\n")
