"""The containers run what `cueline up` runs, know what they need, and are open to nobody who should not get in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import commands
from contract.variables import FOREIGN, VARIABLES

PROJECT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECRETS = {"REDIS_PASSWORD": "r" * 32, "CUELINE_API_KEYS": "k" * 32, "CUELINE_FLOWER_PASSWORD": "f" * 32}
ONLY_UP = {
    # Where `cueline up` puts processes and data; in containers this file decides.
    *("CUELINE_WORKERS", "CUELINE_API_PROCESSES", "CUELINE_FLOWER_PORT", "CUELINE_DATA_DIR", "CUELINE_ALLOW_OPEN"),
}


@pytest.mark.parametrize(
    ("service", "command"),
    [
        ("api", commands.api("0.0.0.0", 8000)),
        ("worker-cpu", commands.worker("speech1")),
        ("worker-gpu", commands.worker("speech1", "threads")),
        ("hearing", commands.recognizer("hear1")),
        ("model", commands.local_model("0.0.0.0:8008")),
        ("flower", commands.flower("0.0.0.0", 5555)),
    ],
)
def test_a_service_is_started_as_cueline_up_starts_it(service: str, command: tuple[str, ...]) -> None:
    assert tuple(SERVICES[service]["command"]) == command


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_no_rights_that_it_does_not_need(service: str) -> None:
    made = SERVICES[service]
    assert made["read_only"] is True
    assert made["cap_drop"] == ["ALL"]
    assert made["security_opt"] == ["no-new-privileges:true"]
    assert made["init"] is True
    assert made["restart"] == "unless-stopped"
    assert "healthcheck" in made
    assert "privileged" not in made


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "redis"])
def test_an_image_of_ours_does_not_run_as_root(service: str) -> None:
    dockerfile = (PROJECT / SERVICES[service]["build"]["dockerfile"]).read_text()
    assert re.findall(r"^USER (\S+)", dockerfile, re.MULTILINE) == ["cueline"]


def test_only_loopback_is_published_and_redis_not_at_all() -> None:
    published = {name: made["ports"] for name, made in SERVICES.items() if "ports" in made}
    assert published.keys() == {"api", "flower"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert SERVICES["redis"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_nothing_starts_without_its_secrets() -> None:
    text = (PROJECT / "docker-compose.yml").read_text()
    for name in SECRETS:
        assert re.search(rf"\$\{{{name}:\?", text), name
        assert not re.search(rf"\$\{{?{name}(:-|-|\}}|\s)", text.replace("$$", "")), name


def test_every_setting_reaches_a_service() -> None:
    passed = {name for made in SERVICES.values() for name in made.get("environment", {})}
    assert {*VARIABLES, *FOREIGN} - passed - ONLY_UP == set()
    assert {name for name in passed if name.startswith("CUELINE_")} <= VARIABLES.keys()


def copied(dockerfile: str) -> set[str]:
    """Top-level names that an image holds."""
    lines = re.findall(r"^COPY (.+)", (PROJECT / dockerfile).read_text(), re.MULTILINE)
    return {source.partition("/")[0] for line in lines for source in line.split()[:-1]}


def test_an_image_holds_its_own_side_only() -> None:
    assert "workers" not in copied("deploy/api.Dockerfile")
    assert not {"api", "frontend"} & copied("deploy/worker.Dockerfile")


@pytest.mark.parametrize("dockerfile", ["deploy/api.Dockerfile", "deploy/worker.Dockerfile"])
def test_what_an_image_copies_exists_and_is_not_ignored(dockerfile: str) -> None:
    allowed = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    lines = re.findall(r"^COPY (.+)", (PROJECT / dockerfile).read_text(), re.MULTILINE)
    for source in {source for line in lines for source in line.split()[:-1]}:
        assert (PROJECT / source).exists(), source
        assert source in allowed, source


def test_dependencies_of_an_image_are_those_of_the_project() -> None:
    said = subprocess.run(
        ["python3", "deploy/dependencies.py", "pyproject.toml", "dev"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    ).stdout
    assert any(line.startswith("celery[redis]") for line in said.splitlines())
    assert any(line.startswith("pytest") for line in said.splitlines())


def find_compose() -> list[str]:
    """The command that reads such a file here: the plugin, or the older program of its own."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(command[0])
            and not subprocess.run([*command, "version"], capture_output=True, check=False).returncode
        ):
            return command
    return []


def test_docker_compose_understands_the_file() -> None:
    compose = find_compose()
    if not compose:
        pytest.skip("NOT VALIDATED: needs docker's compose plugin, or docker-compose")
    said = subprocess.run(
        [*compose, "-f", "docker-compose.yml", "--profile", "gpu", "--profile", "hearing", "config"],
        cwd=PROJECT,
        env={**os.environ, **SECRETS},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert said.returncode == 0, said.stderr
    assert yaml.safe_load(said.stdout)["services"].keys() == SERVICES.keys()
