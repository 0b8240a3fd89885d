"""What a worker process is told by its environment. Not: Celery's settings, engines' own switches."""

from __future__ import annotations

from functools import lru_cache

from pydantic_settings import BaseSettings, SettingsConfigDict


class WorkerSettings(BaseSettings):
    """Read once per process; unknown names are refused by `cueline up`, which knows them all."""

    model_config = SettingsConfigDict(env_prefix="CUELINE_", env_ignore_empty=True, frozen=True)

    redis_url: str = "redis://127.0.0.1:6379/0"
    tts_engine: str = "espeak"
    log_level: str = "info"


@lru_cache(maxsize=1)
def settings() -> WorkerSettings:
    """The settings of this process."""
    return WorkerSettings()
