"""A setting that makes no sense stops the start with one line that names it, and every setting is written down."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from cli.settings import find_data_dir, load_dotenv
from contract.variables import FOREIGN, VARIABLES
from tests.cli.runs import Cueline

EXAMPLE = (Path(__file__).parents[2] / ".env.example").read_text()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"CUELINE_PROT": "8000"}, "CUELINE_PROT"),
        ({"CUELINE_PORT": "eighty"}, "CUELINE_PORT"),
        ({"CUELINE_PORT": "70000"}, "CUELINE_PORT"),
        ({"CUELINE_WORKERS": "65"}, "CUELINE_WORKERS"),
        ({"CUELINE_WORKERS": "2.5"}, "CUELINE_WORKERS"),
        ({"CUELINE_API_PROCESSES": "0"}, "CUELINE_API_PROCESSES"),
        ({"CUELINE_FLOWER_PORT": "-1"}, "CUELINE_FLOWER_PORT"),
        ({"CUELINE_FLOWER_PORT": "8000"}, "CUELINE_FLOWER_PORT"),
        ({"CUELINE_REDIS_URL": "localhost:6379"}, "CUELINE_REDIS_URL"),
        ({"CUELINE_TTS_ENGINE": "no such engine!"}, "CUELINE_TTS_ENGINE"),
        ({"CUELINE_LLM_BASE_URL": "ftp://here"}, "CUELINE_LLM_BASE_URL"),
        ({"CUELINE_LLM_STALL_S": "soon"}, "CUELINE_LLM_STALL_S"),
        ({"CUELINE_LOG_LEVEL": "loud"}, "CUELINE_LOG_LEVEL"),
        ({"CUELINE_API_KEYS": "short"}, "CUELINE_API_KEYS"),
        ({"CUELINE_DATA_DIR": "/proc/nowhere"}, "CUELINE_DATA_DIR"),
        ({"CUELINE_HOST": "192.0.2.1"}, "CUELINE_HOST"),
        ({"SUPABASE_URL": "https://x.supabase.co"}, "SUPABASE_URL"),
        ({"SUPABASE_KEY": "sb_secret_0123456789abcdef"}, "SUPABASE_KEY"),
        ({"SUPABASE_URL": "x.supabase.co", "SUPABASE_KEY": "sb_secret_0123456789abcdef"}, "SUPABASE_URL"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(map("=".join, value.items())),
)
def test_it_is_refused_with_one_line_that_names_it(cueline: Cueline, settings: dict[str, str], named: str) -> None:
    ended = cueline("up", **settings)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert named in ended.stderr
    assert ended.stdout == ""


def test_an_engine_that_is_not_there_is_named(cueline: Cueline) -> None:
    ended = cueline("up", CUELINE_TTS_ENGINE="nobody", CUELINE_PORT="0", CUELINE_FLOWER_PORT="0")
    assert ended.returncode == 1
    assert "CUELINE_TTS_ENGINE: " in ended.stdout
    assert "nobody" in ended.stdout


def test_an_unknown_name_in_a_dotenv_file_is_refused_too(cueline: Cueline, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CUELINE_PROT=8000\n")
    ended = cueline("up")
    assert ended.returncode == 2
    assert "CUELINE_PROT" in ended.stderr


def test_the_environment_wins_over_a_dotenv_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('CUELINE_PORT=1\nCUELINE_HOST="localhost"\nOPENAI_API_KEY=a$b\n')
    environ = {"CUELINE_PORT": "2"}
    load_dotenv(tmp_path, environ)
    assert environ == {"CUELINE_PORT": "2", "CUELINE_HOST": "localhost", "OPENAI_API_KEY": "a$b"}


def test_an_empty_setting_is_an_unset_one(tmp_path: Path) -> None:
    environ = {"CUELINE_PORT": "", "OTHER": ""}
    load_dotenv(tmp_path, environ)
    assert environ == {"OTHER": ""}


def test_data_go_where_the_system_says(tmp_path: Path) -> None:
    assert find_data_dir({"XDG_DATA_HOME": str(tmp_path), "HOME": "/nowhere"}) == tmp_path / "cueline"
    assert find_data_dir({"HOME": str(tmp_path)}) == tmp_path / ".local/share/cueline"
    assert find_data_dir({"CUELINE_DATA_DIR": str(tmp_path / "x"), "HOME": "/nowhere"}) == tmp_path / "x"


def test_the_example_lists_every_setting_and_nothing_else() -> None:
    listed = re.findall(r"^#?([A-Z][A-Z0-9_]*)=", EXAMPLE, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == {*VARIABLES, *FOREIGN}


def test_the_example_says_of_every_setting_what_it_is() -> None:
    lines = EXAMPLE.splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"#?[A-Z][A-Z0-9_]*=", line):
            assert re.match(r"# \S.{8,}", before), line


def test_the_example_changes_nothing_as_it_is(cueline: Cueline, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(re.sub(r"^#([A-Z])", r"\1", EXAMPLE, flags=re.MULTILINE))
    ended = cueline("voices", "--url", "http://127.0.0.1:9")
    assert ended.returncode == 1, ended.stderr
    assert "does not tell its voices" in ended.stderr
