"""`python -m workers.pool` prints the Celery pool that the configured engine needs, and how many tasks it runs at once.

Not: the engine's loading.
"""

import sys

from contract.errors import EngineUnavailable
from workers.settings import settings
from workers.tts.registry import make_engine


def main() -> int:
    """Print a word and a number, or why there is none."""
    try:
        engine = make_engine(settings().tts_engine)
        sys.stdout.write(f"{engine.pool} {getattr(engine, 'at_once', 1)}\n")
    except EngineUnavailable as error:
        sys.stderr.write(f"{error.text}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
