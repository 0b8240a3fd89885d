"""An installation is the same everywhere: every version is written down, and no place to get it from."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[2]
PINNED = dict(
    line.split("==") for line in (PROJECT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
)
VERSIONS = {canonicalize_name(name): version for name, version in PINNED.items()}
DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
EXTRAS = DECLARED["optional-dependencies"]
NEEDED = [
    Requirement(line) for line in DECLARED["dependencies"] + EXTRAS["dev"] + EXTRAS["whisper"] + EXTRAS["supabase"]
]


@pytest.mark.parametrize("requirement", NEEDED, ids=lambda requirement: requirement.name)
def test_what_is_needed_has_one_version(requirement: Requirement) -> None:
    assert requirement.specifier.contains(VERSIONS[canonicalize_name(requirement.name)], prereleases=True)


def test_what_those_need_has_one_version_too() -> None:
    needed = {canonicalize_name(requirement.name) for requirement in NEEDED}
    seen: set[str] = set()
    while needed - seen:
        name = (needed - seen).pop()
        seen.add(name)
        requirements = map(Requirement, metadata.requires(name) or [])
        needed |= {canonicalize_name(r.name) for r in requirements if not r.marker or r.marker.evaluate({"extra": ""})}
    assert not seen - VERSIONS.keys()


def test_no_place_to_get_it_from_is_written_down() -> None:
    for name in ("constraints.txt", "Makefile", "deploy/setup.sh", "pyproject.toml", ".npmrc"):
        text = (PROJECT / name).read_text()
        assert not re.search(r"https?://|file:|--index-url|find-links|registry=", text), name
    assert '"resolved"' not in (PROJECT / "package-lock.json").read_text()


def test_every_version_is_exact() -> None:
    assert all(re.fullmatch(r"[0-9][0-9A-Za-z.]*", version) for version in PINNED.values())
