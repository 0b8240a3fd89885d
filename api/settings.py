"""What the api is told by its environment: read once, typed, refused when it makes no sense. Not: Celery's settings."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.speaking.lexicon import open_lexicon
from contract import variables

OPENROUTER_URL = "https://openrouter.ai/api/v1"
OPENAI_URL = "https://api.openai.com/v1"
LOCAL_MODEL = "smollm2"
"""What our own model answers to; workers/llm serves it."""
DEFAULT_MODEL, DEFAULT_ENDS = "gpt-4o-mini", "14 January 2027"
"""And until when OpenAI has it (developers.openai.com/api/docs/deprecations). What follows there, gpt-6-luna, reasons
before its first word, for how long was not measured: no default for a talk yet."""

Names = Annotated[tuple[str, ...], NoDecode]


class SettingsError(ValueError):
    """A setting is unknown, malformed or contradicts another; the text names it in one line."""


class Settings(BaseSettings):
    """Every setting of the api, with a default that works on a laptop."""

    model_config = SettingsConfigDict(env_prefix="CUELINE_", env_ignore_empty=True, frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    redis_url: str = "redis://127.0.0.1:6379/0"
    stt_engine: str = ""
    stt_language: str = Field("", pattern="^[a-z]{0,3}$")
    turn_model: Path | None = None
    supabase_url: str = Field("", validation_alias="SUPABASE_URL")
    supabase_key: str = Field("", repr=False, validation_alias="SUPABASE_KEY")
    lexicon: str = ""
    llm: Literal["", "local"] = ""
    llm_base_url: str = ""
    llm_api_key: str = Field("", repr=False)
    llm_model: str = ""
    llm_models: Names = ()
    llm_first_token_s: float = Field(20.0, gt=0, le=600)
    llm_stall_s: float = Field(15.0, gt=0, le=600)
    api_keys: Names = Field((), repr=False)
    allowed_origins: Names = ()
    allowed_hosts: Names = ()
    allow_open: bool = False
    max_sessions: int = Field(1000, ge=1)
    max_listeners: int = Field(2000, ge=1)
    listener_grace_s: float = Field(30.0, ge=0, le=3600)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("api_keys", "allowed_origins", "allowed_hosts", "llm_models", mode="before")
    @classmethod
    def split_at_commas(cls, value: object) -> object:
        """`a, b` → ("a", "b")."""
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("api_keys")
    @classmethod
    def refuse_short_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        """A key that can be guessed is worse than none, because it looks like one."""
        if any(len(key) < 16 for key in keys):
            raise ValueError("each key needs at least 16 characters (try: openssl rand -hex 24)")
        return keys

    @field_validator("turn_model")
    @classmethod
    def refuse_no_file(cls, path: Path | None) -> Path | None:
        """Better told now than at the first word that is spoken."""
        if path is None or (path := path.expanduser()).is_file():
            return path
        raise ValueError(f"there is no file {path}")

    @field_validator("redis_url")
    @classmethod
    def check_redis_url(cls, url: str) -> str:
        """Refuse a scheme that redis-py would misread."""
        if urlsplit(url).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("a Redis URL begins with redis://, rediss:// or unix://")
        return url

    @field_validator("llm_base_url", "supabase_url")
    @classmethod
    def check_llm_url(cls, url: str) -> str:
        """Refuse what is no web address."""
        if url and urlsplit(url).scheme not in {"http", "https"}:
            raise ValueError("a server's address begins with http:// or https://")
        return url.rstrip("/")

    @field_validator("lexicon")
    @classmethod
    def check_lexicon(cls, path: str) -> str:
        """Refuse a file that is none."""
        open_lexicon(path)
        return path

    @model_validator(mode="after")
    def refuse_half_a_store(self) -> Settings:
        """A project without a key, or a key without a project."""
        for one, other in (("supabase_url", "supabase_key"), ("supabase_key", "supabase_url")):
            if getattr(self, one) and not getattr(self, other):
                raise ValueError(f"{one.upper()}: is of no use without {other.upper()}")
        return self

    @model_validator(mode="after")
    def refuse_open_doors(self) -> Settings:
        """Beyond loopback nobody gets in without a key or a user, unless the operator says so in so many words."""
        if not self.is_loopback and not self.api_keys and not self.supabase_url and not self.allow_open:
            raise ValueError(
                f"CUELINE_HOST={self.host} is reachable from outside: set CUELINE_API_KEYS or SUPABASE_URL, "
                "or CUELINE_ALLOW_OPEN=1 if everybody there may use it"
            )
        return self

    @property
    def is_open(self) -> bool:
        """Whether who brings nothing is let in, as the one local user.

        Other names of the server are those of a proxy, behind which everybody seems to come from this machine: where
        users can be told apart, they are.
        """
        if self.api_keys:
            return False
        is_private = self.is_loopback and not (self.supabase_url and self.allowed_hosts)
        return self.allow_open or is_private

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Llm:
    """Which language model answers; an empty `base_url` means the built-in demo character."""

    base_url: str = ""
    api_key: str = field(default="", repr=False)
    model: str = ""
    source: str = "demo"
    """Which variable decided, for `cueline doctor`."""


def choose_llm(settings: Settings) -> Llm:
    """CUELINE_LLM, CUELINE_LLM_*, then OPENROUTER_API_KEY, then OPENAI_API_KEY, then the demo character."""
    if settings.llm:
        return Llm(
            base_url=settings.llm_base_url,
            api_key=settings.llm_api_key or "none",
            model=LOCAL_MODEL,
            source="CUELINE_LLM",
        )
    if settings.llm_base_url or settings.llm_api_key:
        return Llm(
            base_url=settings.llm_base_url or OPENAI_URL,
            api_key=settings.llm_api_key or "none",
            model=settings.llm_model or DEFAULT_MODEL,
            source="CUELINE_LLM_BASE_URL" if settings.llm_base_url else "CUELINE_LLM_API_KEY",
        )
    if key := os.environ.get("OPENROUTER_API_KEY"):
        model = settings.llm_model or f"openai/{DEFAULT_MODEL}"
        return Llm(base_url=OPENROUTER_URL, api_key=key, model=model, source="OPENROUTER_API_KEY")
    if key := os.environ.get("OPENAI_API_KEY"):
        model = settings.llm_model or DEFAULT_MODEL
        return Llm(base_url=OPENAI_URL, api_key=key, model=model, source="OPENAI_API_KEY")
    return Llm()


def choosable_models(llm: Llm, settings: Settings) -> list[str] | None:
    """Which models a session may ask for; None: any, for they cost whoever runs the server."""
    if settings.llm:
        return [llm.model]
    if "*" in settings.llm_models or not (settings.llm_models or settings.api_keys):
        return None
    return [llm.model, *(name for name in settings.llm_models if name != llm.model)]


def read_settings() -> Settings:
    """The settings of this process.

    Raises: SettingsError, one line that names the variable.
    """
    if strangers := variables.unknown(os.environ):
        raise SettingsError(f"{strangers[0]} is not a variable of Cueline (see .env.example)")
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper() if first["loc"] else ""
        where = f"{'' if name in variables.FOREIGN else 'CUELINE_'}{name}: " if name else ""
        raise SettingsError(where + str(first["msg"]).removeprefix("Value error, ")) from error
