"""`python -m workers.check` speaks one word with the configured engine and prints how that went, as JSON."""

import json
import sys
import time

from contract.audio import bytes_to_ms
from contract.errors import SpeechError
from contract.voice import Voice
from workers.settings import settings
from workers.tts.registry import make_engine


def main() -> int:
    """Print `{"engine", "ok", "detail"}`; exit 0 if the engine spoke."""
    name = settings().tts_engine
    started = time.perf_counter()
    try:
        engine = make_engine(name)
        engine.load()
        audio_ms = bytes_to_ms(sum(len(block) for block in engine.speak("Ready.", Voice(), 1)))
    except SpeechError as error:
        _print(name, ok=False, detail=error.text)
        return 1
    took_ms = (time.perf_counter() - started) * 1000
    _print(name, ok=audio_ms > 0, detail=f"{audio_ms} ms of speech, loaded and spoken in {took_ms:.0f} ms")
    return 0 if audio_ms else 1


def _print(engine: str, *, ok: bool, detail: str) -> None:
    sys.stdout.write(json.dumps({"engine": engine, "ok": ok, "detail": detail}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
