"""Prints what pyproject.toml depends on, for images that copy only a part of the project. Not: versions.

Usage: python dependencies.py pyproject.toml [EXTRA...]
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
wanted = list(project["dependencies"])
for extra in sys.argv[2:]:
    wanted += project["optional-dependencies"][extra]
sys.stdout.write("".join(f"{requirement}\n" for requirement in wanted))
