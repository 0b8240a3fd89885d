"""Finds an engine by name: our table, then entry points `cueline.engines`, then a dotted path `module:Class`."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points

from contract.errors import EngineUnavailable
from workers.tts.engine import Engine
from workers.tts.relief.chain import Chain

TABLE = {
    "kokoro": "workers.tts.kokoro:KokoroEngine",
    "piper": "workers.tts.piper:PiperEngine",
    "coqui": "workers.tts.coqui:CoquiEngine",
    "kyutai": "workers.tts.kyutai:KyutaiEngine",
    "espeak": "workers.tts.espeak:EspeakEngine",
    "higgs": "workers.tts.higgs.engine:HiggsEngine",
    "higgs_boson": "workers.tts.higgs_boson.engine:HiggsBosonEngine",
    "azure": "workers.tts.azure:AzureEngine",
    "minimax": "workers.tts.minimax:MiniMaxEngine",
    "openai_speech": "workers.tts.openai_speech:OpenAISpeechEngine",
}
"""A new engine is one file and one line here."""


def engine_names() -> list[str]:
    """Engines that can be asked for by name."""
    return [*TABLE, *(point.name for point in entry_points(group="cueline.engines"))]


def make_engine(spec: str) -> Engine:
    """Construct the engine that `spec` names, or the chain of several with commas between; it is not loaded yet.

    Raises: EngineUnavailable if there is none or it cannot be imported.
    """
    if "," in spec:
        return Chain([make_engine(name) for name in dict.fromkeys(spec.split(",")) if name])
    path = TABLE.get(spec) or _entry_point(spec) or spec
    module_name, _, attribute = path.partition(":")
    if not attribute:
        raise EngineUnavailable(f"There is no engine {spec!r}; known are {', '.join(engine_names())}.")
    try:
        made: Engine = getattr(importlib.import_module(module_name), attribute)()
    except (ImportError, AttributeError) as error:
        raise EngineUnavailable(f"The engine {spec!r} cannot be imported: {error}.") from error
    return made


def _entry_point(name: str) -> str:
    return next((point.value for point in entry_points(group="cueline.engines") if point.name == name), "")
