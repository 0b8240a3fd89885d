"""What a worker process is told by its environment. Not: Celery's settings, engines' own switches."""

from __future__ import annotations

from functools import lru_cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class WorkerSettings(BaseSettings):
    """Read once per process; unknown names are refused by `cueline up`, which knows them all."""

    model_config = SettingsConfigDict(env_prefix="CUELINE_", env_ignore_empty=True, frozen=True)

    redis_url: str = "redis://127.0.0.1:6379/0"
    tts_engine: str = "espeak"
    tts_base_url: str = ""
    tts_api_key: str = Field("", repr=False)
    tts_model: str = ""
    tts_voices: str = ""
    minimax_api_key: str = Field("", repr=False)
    minimax_base_url: str = "https://api.minimax.io/v1"
    minimax_model: str = "speech-2.6-turbo"
    azure_key: str = Field("", repr=False)
    azure_region: str = ""
    azure_base_url: str = ""
    piper_voices: str = ""
    kokoro_model: str = ""
    kokoro_voices: str = ""
    higgs_model: str = "bosonai/higgs-audio-v2-generation-3B-base"
    higgs_codec: str = "bosonai/higgs-audio-v2-tokenizer"
    higgs_device: str = "auto"
    higgs_dtype: str = "auto"
    higgs_slots: int = Field(0, ge=0, le=256)
    higgs_positions: int = Field(2048, ge=512, le=8192)
    higgs_int8: bool = False
    higgs_exact: bool = True
    higgs_boson_model: str = "bosonai/higgs-audio-v2-generation-3B-base"
    higgs_boson_codec: str = "bosonai/higgs-audio-v2-tokenizer"
    cache_mb: int = Field(512, ge=0)
    kyutai_model: str = ""
    coqui_model: str = ""
    smollm2: str = ""
    stt_engine: str = "whisper"
    stt_base_url: str = ""
    stt_api_key: str = Field("", repr=False)
    stt_model: str = "whisper-1"
    whisper_model: str = "small"
    whisper_device: str = "auto"
    whisper_compute_type: str = "default"
    log_level: str = "info"


@lru_cache(maxsize=1)
def settings() -> WorkerSettings:
    """The settings of this process."""
    return WorkerSettings()
