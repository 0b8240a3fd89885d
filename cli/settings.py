"""What `cueline up` is told: the environment, and `.env` under it, checked before anything starts.

Not: what the api is told, which api/settings.py checks; it is asked first, so that there is one opinion.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from pathlib import Path

from dotenv import dotenv_values

from api.settings import Settings, SettingsError, read_settings
from api.store.opening import NO_SUPABASE, is_supabase_installed
from contract import data_dir

FLOWER_PORT = 5555


@dataclass(frozen=True, slots=True)
class UpSettings:
    """The settings that concern starting."""

    host: str
    port: int
    redis_url: str
    """Empty: start one."""
    data_dir: Path
    workers: int
    listens: bool
    """Whether a recognition worker runs beside the speech workers."""
    runs_model: bool
    """Whether our own language model runs here."""
    api_processes: int
    flower_port: int
    """0: no Flower."""
    flower_port_chosen: bool
    """Somebody asked for this very port."""
    secrets: tuple[str, ...]
    """Never to be shown."""
    log_level: str
    """Empty: each process's own."""

    @property
    def url(self) -> str:
        """Where the api listens."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def local_url(self) -> str:
        """The same from this machine, also when listening on every address."""
        here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 -- compared, not bound
        return replace(self, host=here).url


def load_dotenv(directory: Path, environ: MutableMapping[str, str] = os.environ) -> None:
    """Put `.env` of `directory` under the environment. An empty value of ours counts as unset."""
    path = directory / ".env"
    values = dotenv_values(path, interpolate=False) if path.is_file() else {}
    for name, value in values.items():
        environ.setdefault(name, value or "")
    for name in [name for name, value in environ.items() if name.startswith("CUELINE_") and not value]:
        del environ[name]


def read_up_settings() -> UpSettings:
    """Check every variable.

    Raises: SettingsError, one line that names what is unknown, malformed or contradictory.
    """
    api = read_settings()
    env = os.environ
    for name, parse in PARSERS.items():
        if value := env.get(name, ""):
            try:
                parse(value)
            except ValueError as error:
                raise SettingsError(f"{name}: {error}, not {value!r}") from None
    _refuse_contradictions(api, env)
    return UpSettings(
        host=api.host,
        port=api.port,
        redis_url=env.get("CUELINE_REDIS_URL", ""),
        data_dir=find_data_dir(env),
        workers=int(env.get("CUELINE_WORKERS") or 2),
        listens=bool(api.stt_engine),
        runs_model=api.llm == "local" and not api.llm_base_url,
        api_processes=int(env.get("CUELINE_API_PROCESSES") or 1),
        flower_port=int(env.get("CUELINE_FLOWER_PORT") or FLOWER_PORT),
        flower_port_chosen="CUELINE_FLOWER_PORT" in env,
        secrets=(*api.api_keys, api.llm_api_key, *(env.get(name, "") for name in SECRETS)),
        log_level=env.get("CUELINE_LOG_LEVEL", ""),
    )


def find_data_dir(env: Mapping[str, str]) -> Path:
    """The directory for what lives longer than one run. Raises: SettingsError."""
    try:
        return data_dir.find_data_dir(env)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _refuse_contradictions(api: Settings, env: Mapping[str, str]) -> None:
    if api.port and env.get("CUELINE_FLOWER_PORT") == str(api.port):
        raise SettingsError(f"CUELINE_FLOWER_PORT: {api.port} is already CUELINE_PORT, the port of the api")
    if api.supabase_url and not is_supabase_installed():
        raise SettingsError(NO_SUPABASE)


def _number(least: int, most: int) -> Callable[[str], None]:
    def parse(value: str) -> None:
        if not re.fullmatch(r"[0-9]+", value) or not least <= int(value) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")

    return parse


def _name_or_path(what: str) -> Callable[[str], None]:
    def parse(value: str) -> None:
        if not re.fullmatch(r"[\w.-]+(:[A-Za-z_]\w*)?", value):
            raise ValueError(f"must be the name of {what} or module:Class")

    return parse


def _names_or_paths(what: str) -> Callable[[str], None]:
    parse_one = _name_or_path(what)

    def parse(value: str) -> None:
        for name in value.split(","):
            parse_one(name)

    return parse


def _one_of(*known: str) -> Callable[[str], None]:
    def parse(value: str) -> None:
        if value not in known:
            raise ValueError(f"must be one of {', '.join(known)}")

    return parse


def _web_address(value: str) -> None:
    if not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")


SECRETS = (
    "CUELINE_FLOWER_PASSWORD",
    "CUELINE_STT_API_KEY",
    "CUELINE_TTS_API_KEY",
    "CUELINE_MINIMAX_API_KEY",
    "CUELINE_AZURE_KEY",
    "OPENROUTER_API_KEY",
    "OPENAI_API_KEY",
    "SUPABASE_KEY",
)
PARSERS: dict[str, Callable[[str], None]] = {
    "CUELINE_WORKERS": _number(0, 64),
    "CUELINE_API_PROCESSES": _number(1, 64),
    "CUELINE_FLOWER_PORT": _number(0, 65535),
    "CUELINE_TTS_ENGINE": _names_or_paths("an engine"),
    "CUELINE_TTS_BASE_URL": _web_address,
    "CUELINE_MINIMAX_BASE_URL": _web_address,
    "CUELINE_AZURE_BASE_URL": _web_address,
    "CUELINE_CACHE_MB": _number(0, 10_000_000),
    "CUELINE_STT_ENGINE": _name_or_path("a recognizer"),
    "CUELINE_STT_BASE_URL": _web_address,
    "CUELINE_WHISPER_DEVICE": _one_of("auto", "cpu", "cuda"),
}
"""How the values that the api does not read are checked."""
