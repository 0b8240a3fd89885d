"""`python -m workers.check` speaks one word with each configured engine and prints how that went, as JSON."""

import json
import sys
import time

from contract.audio import bytes_to_ms
from contract.errors import SpeechError
from contract.voice import Voice
from workers.settings import settings
from workers.tts.registry import make_engine


def main() -> int:
    """Print `{"engine", "ok", "all", "detail"}`; exit 0 if any engine of the chain spoke."""
    spec = settings().tts_engine
    tried = {name: _try(name) for name in dict.fromkeys(spec.split(",")) if name}
    spoke = [ok for ok, _ in tried.values()]
    told = "; ".join(detail if len(tried) == 1 else f"{name}: {detail}" for name, (_, detail) in tried.items())
    said = {"engine": spec, "ok": any(spoke), "all": all(spoke), "detail": told}
    sys.stdout.write(json.dumps(said) + "\n")
    return 0 if any(spoke) else 1


def _try(name: str) -> tuple[bool, str]:
    """Whether this engine spoke, and how that went."""
    started = time.perf_counter()
    try:
        engine = make_engine(name)
        engine.load()
        audio_ms = bytes_to_ms(sum(len(block) for block in engine.speak("Ready.", Voice(), 1)))
    except SpeechError as error:
        return False, error.text
    took_ms = (time.perf_counter() - started) * 1000
    return audio_ms > 0, f"{audio_ms} ms of speech, loaded and spoken in {took_ms:.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
