"""`python -m workers.stt.check` tries the configured recognizer and prints how that went, as JSON. Not: downloads."""

import json
import sys
import time

import numpy as np

from contract.errors import RecognitionError
from contract.transcribe import HEARING_RATE_HZ, TranscribeJob
from workers.settings import settings
from workers.stt.registry import make_recognizer


def main() -> int:
    """Print `{"engine", "ok", "detail"}`; exit 0 if the recognizer listened to a second of silence."""
    name = settings().stt_engine
    started = time.perf_counter()
    try:
        recognizer = make_recognizer(name)
        recognizer.load(may_download=False)
        silence = np.zeros(HEARING_RATE_HZ, np.float32)
        heard = recognizer.transcribe(silence, TranscribeJob("check", 1, "partial", 2 * len(silence), ""))
    except RecognitionError as error:
        _print(name, ok=False, detail=error.text)
        return 1
    took_ms = (time.perf_counter() - started) * 1000
    about = ", ".join(f"{key} {value}" for key, value in recognizer.about().items())
    _print(
        name,
        ok=True,
        detail=f"{about}; loaded in {took_ms - heard.engine_ms:.0f} ms, decodes in {heard.engine_ms:.0f} ms",
    )
    return 0


def _print(engine: str, *, ok: bool, detail: str) -> None:
    sys.stdout.write(json.dumps({"engine": engine, "ok": ok, "detail": detail}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
