"""Every environment variable that Cueline reads, in one table. Not: their values, which each side parses itself.

A variable that starts with CUELINE_ and is not here is a typing mistake and stops the start.
"""

from __future__ import annotations

from collections.abc import Iterable

VARIABLES = {
    "CUELINE_HOST": "address the api listens on; anything but loopback needs CUELINE_API_KEYS or SUPABASE_URL",
    "CUELINE_PORT": "port of the api and the page",
    "CUELINE_REDIS_URL": "your Redis; unset: `cueline up` starts its own",
    "CUELINE_DATA_DIR": "where Cueline keeps its own data",
    "CUELINE_WORKERS": "speech workers that `cueline up` starts; 0: they run elsewhere",
    "CUELINE_API_PROCESSES": "api processes that `cueline up` starts on one port",
    "CUELINE_FLOWER_PORT": "port of Flower on loopback; 0: no Flower",
    "CUELINE_FLOWER_PASSWORD": "password of Flower's user `cueline`; unset: none, loopback only",
    "CUELINE_TTS_ENGINE": "name of an engine, or module:Class; several with commas: each stands in for those before it",
    "CUELINE_TTS_BASE_URL": "any server with OpenAI's speech API, for the engine openai_speech",
    "CUELINE_TTS_API_KEY": "its key",
    "CUELINE_TTS_MODEL": "the model to ask it for",
    "CUELINE_TTS_VOICES": "its voices, separated by commas; unset: those it lists, else OpenAI's",
    "CUELINE_PIPER_VOICES": "folder of piper's voices, each an .onnx and an .onnx.json",
    "CUELINE_KOKORO_MODEL": "Kokoro's network, a file (ONNX)",
    "CUELINE_KOKORO_VOICES": "Kokoro's voices, a file",
    "CUELINE_COQUI_MODEL": "folder of a model of coqui-tts, its vocoder in the folder vocoder",
    "CUELINE_KYUTAI_MODEL": "folder of Kyutai's model, voices in the folder voices",
    "CUELINE_MINIMAX_API_KEY": "key of MiniMax, for the engine minimax",
    "CUELINE_MINIMAX_BASE_URL": "its address, which depends on where the account is",
    "CUELINE_MINIMAX_MODEL": "the model to ask it for",
    "CUELINE_AZURE_KEY": "key of an Azure speech resource, for the engine azure",
    "CUELINE_AZURE_REGION": "the region of that resource",
    "CUELINE_AZURE_BASE_URL": "another address of it, say a private endpoint",
    "CUELINE_HIGGS_MODEL": "Higgs Audio's checkpoint: a folder, or its name on the Hugging Face hub",
    "CUELINE_HIGGS_CODEC": "its codec, likewise",
    "CUELINE_HIGGS_DEVICE": "where it runs: auto, cpu, cuda or cuda:1",
    "CUELINE_HIGGS_DTYPE": "how it calculates: auto, bfloat16, float16 or float32",
    "CUELINE_HIGGS_SLOTS": "sentences that it makes at once; 0: as many as fit, at most 64",
    "CUELINE_HIGGS_POSITIONS": "how long prompt and sentence may be together, in tokens and frames",
    "CUELINE_HIGGS_INT8": "1: weights in 8 bits, for cards with less room",
    "CUELINE_HIGGS_EXACT": "0: a little earlier with few sentences, but a sentence may depend on those beside it",
    "CUELINE_HIGGS_BOSON_MODEL": "the first form of that checkpoint, for higgs_boson: a folder, or its name on the hub",
    "CUELINE_HIGGS_BOSON_CODEC": "its codec, likewise",
    "CUELINE_LEXICON": "JSON file of words that are said otherwise than they are written",
    "CUELINE_CACHE_MB": "megabytes of sentences that are kept to be said again; 0: none",
    "CUELINE_STT_ENGINE": "name of a recognizer, or module:Class; unset: this server does not listen",
    "CUELINE_STT_LANGUAGE": "language that is spoken to the server; unset: found out from what is said",
    "CUELINE_STT_BASE_URL": "any OpenAI-compatible transcription server, for the recognizer openai_audio",
    "CUELINE_STT_API_KEY": "its key",
    "CUELINE_STT_MODEL": "the model to ask it for",
    "CUELINE_TURN_MODEL": "file of a Smart Turn network (ONNX) that judges by the sound whether a turn is over",
    "CUELINE_WHISPER_MODEL": "name or directory of a Whisper model",
    "CUELINE_WHISPER_DEVICE": "where Whisper runs: auto, cpu or cuda",
    "CUELINE_WHISPER_COMPUTE_TYPE": "how Whisper calculates, say int8 or float16",
    "CUELINE_LLM": "local: SmolLM2 on this machine answers; unset: whoever the variables below name",
    "CUELINE_SMOLLM2": "folder of that model",
    "CUELINE_LLM_BASE_URL": "any OpenAI-compatible server",
    "CUELINE_LLM_API_KEY": "its key",
    "CUELINE_LLM_MODEL": "the model to ask for",
    "CUELINE_LLM_MODELS": "models a session may choose, separated by commas; *: any; unset: any, or with keys none",
    "CUELINE_LLM_FIRST_TOKEN_S": "seconds to wait for a reply's first token",
    "CUELINE_LLM_STALL_S": "seconds to wait for each further token",
    "CUELINE_API_KEYS": "keys that may use this server, separated by commas",
    "CUELINE_ALLOWED_ORIGINS": "further origins whose pages may open sockets, separated by commas",
    "CUELINE_ALLOWED_HOSTS": "further names this server answers to, separated by commas",
    "CUELINE_ALLOW_OPEN": "1: listen beyond loopback without keys, for networks you trust",
    "CUELINE_MAX_SESSIONS": "sessions held at once before new ones are refused",
    "CUELINE_MAX_LISTENERS": "sockets held at once before new ones are refused",
    "CUELINE_LISTENER_GRACE_S": "seconds a reply goes on when its last listener has gone",
    "CUELINE_LOG_LEVEL": "debug, info, warning or error",
}

FOREIGN = {
    "OPENROUTER_API_KEY": "used when no CUELINE_LLM_* is set",
    "OPENAI_API_KEY": "used when neither CUELINE_LLM_* nor OPENROUTER_API_KEY is set",
    "SUPABASE_URL": "your Supabase project: its users, and what is kept; unset: files in CUELINE_DATA_DIR",
    "SUPABASE_KEY": "the secret key of that project",
}
"""Variables of other programs that we understand too."""


def unknown(names: Iterable[str]) -> list[str]:
    """Names that look like ours and are none."""
    return sorted(name for name in names if name.startswith("CUELINE_") and name not in VARIABLES)
