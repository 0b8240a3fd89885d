"""`python -m workers.pool` prints the Celery pool that the configured engine needs. Not: the engine's loading."""

import sys

from contract.errors import EngineUnavailable
from workers.settings import settings
from workers.tts.registry import make_engine


def main() -> int:
    """Print one word, or why there is none."""
    try:
        sys.stdout.write(make_engine(settings().tts_engine).pool + "\n")
    except EngineUnavailable as error:
        sys.stderr.write(f"{error.text}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
