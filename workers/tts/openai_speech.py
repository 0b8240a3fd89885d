"""Any server with OpenAI's speech API as an engine. It must never learn of jobs.

Oddities, all on purpose:

1. The server is asked for bare PCM, which that API defines as 24 kHz, and read as it comes: no container has a head
   that must be complete before the first sound. A rate in its Content-Type is believed, another format is refused.
2. Their API has no pitch. A voice that is to sound higher is asked for slower and played faster.
3. A 429 that names a short wait is waited for, once. A longer one is told: a chain of engines turns to its next one.
4. The library's own retries are off: the owner of the turn makes the next attempt, and knows what was heard.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx2
import openai
from openai import OpenAI

from contract.errors import EngineBusy, EngineFailed, EngineUnavailable, SpeechError, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from workers.settings import settings
from workers.tts.engine import Pool, VoiceInfo
from workers.tts.mixture import read_mixture
from workers.tts.plain import pieces, plain_text
from workers.tts.remote import BLOCK_BYTES, CONNECT_S, SILENCE_S, ask, check_key, read_retry_after, to_pcm

MAX_INPUT_CHARS = 4096
"""The API's own limit for one request."""
OPENAI_HOST, ANY_MODEL = "api.openai.com", "tts-1"
"""What other servers with this API take for the one that they have."""
LIST_S = 3.0
MIN_SPEED, MAX_SPEED = 0.25, 4.0
RATE_HZ = 24_000
RATE = re.compile(r"rate=([0-9]{4,6})\b")
PCM_TYPES = ("audio/pcm", "audio/l16", "audio/x-pcm", "audio/raw", "application/octet-stream", "audio/basic", "")

OPENAI_VOICES = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse"),
)


class OpenAISpeechEngine:
    """A client of one server.

    `Voice.description` and `Voice.scene` become its instructions. The language is heard from the text alone. The same
    sentence sounds different each time, whatever the seed.
    """

    name = "openai_speech"
    pool: Pool = "threads"
    repeatable = False
    version = ""

    def __init__(self) -> None:
        self._client: OpenAI | None = None
        self._model = ""
        self._voices: list[VoiceInfo] = []

    def load(self) -> None:
        """Make the client and ask which voices there are; a server that cannot list them has OpenAI's.

        Raises: EngineUnavailable.
        """
        chosen = settings()
        if not chosen.tts_base_url:
            raise EngineUnavailable("CUELINE_TTS_BASE_URL: name the server that the engine openai_speech asks.")
        if not chosen.tts_model and httpx2.URL(chosen.tts_base_url).host == OPENAI_HOST:
            raise EngineUnavailable(
                "CUELINE_TTS_MODEL: name the model. OpenAI ends tts-1, tts-1-hd and gpt-4o-mini-tts on 6 January 2027, "
                "and has named no other that its speech API knows."
            )
        check_key(chosen.tts_api_key, "CUELINE_TTS_API_KEY")
        try:
            self._client = OpenAI(
                base_url=chosen.tts_base_url,
                api_key=chosen.tts_api_key or "none",
                max_retries=0,
                timeout=httpx2.Timeout(SILENCE_S, connect=CONNECT_S),
            )
        except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise EngineUnavailable("CUELINE_TTS_BASE_URL is not the address of a server.") from error
        self._model = chosen.tts_model or ANY_MODEL
        self.version = f"{self._model} at {chosen.tts_base_url}"
        named = [name.strip() for name in chosen.tts_voices.split(",") if name.strip()]
        self._voices = [_info(name) for name in named] or _list_voices(self._client) or _openai_voices()

    def voices(self) -> list[VoiceInfo]:
        """Those that were named, else the server's own list, else OpenAI's."""
        return list(self._voices)

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        """Yield s16le mono 24 kHz PCM in blocks of 40 ms, as the server sends it."""
        client = self._client
        if client is None:
            raise EngineUnavailable("openai_speech has not been loaded yet.")
        spoken = plain_text(text)
        name = self._find_name(voice)
        asked: dict[str, Any] = {
            "model": self._model,
            "voice": name,
            "response_format": "pcm",
            "speed": min(max(voice.rate / voice.pitch, MIN_SPEED), MAX_SPEED),
        }
        if words := " ".join(filter(None, (voice.description.lstrip("; "), voice.scene))):
            asked["instructions"] = words
        for piece in pieces(spoken, MAX_INPUT_CHARS):
            yield from ask(partial(_stream, client, {**asked, "input": piece}, voice.pitch))

    def _find_name(self, voice: Voice) -> str:
        known = [info.name for info in self._voices]
        if voice.name == "default":
            return known[0]
        # Some of these servers mix voices by the same notation as ours.
        if voice.name not in known:
            read_mixture(voice.name, known)
        return voice.name


def _stream(client: OpenAI, asked: dict[str, Any], pitch: float) -> Iterator[bytes]:
    """Raises: SpeechError."""
    try:
        with client.audio.speech.with_streaming_response.create(**asked) as answer:
            yield from to_pcm(answer.iter_bytes(BLOCK_BYTES), round(_rate_hz(answer.headers) * pitch))
    except SpeechError:
        raise
    except openai.APIStatusError as error:
        raise _refusal(error) from error
    except (openai.OpenAIError, httpx2.HTTPError, OSError, ValueError) as error:
        raise EngineFailed(_what_happened(error)) from error


def _rate_hz(headers: httpx2.Headers) -> int:
    kind = str(headers.get("content-type", "")).lower()
    if kind.partition(";")[0].strip() not in PCM_TYPES:
        raise EngineFailed(f"The speech server sent {kind[:40]!r} instead of bare PCM.")
    named = RATE.search(kind)
    rate_hz = int(named[1]) if named else RATE_HZ
    return rate_hz if 4_000 <= rate_hz <= 192_000 else RATE_HZ


def _refusal(error: openai.APIStatusError) -> SpeechError:
    """What a status means to us. The server's own words stay out: they may hold its address or a key."""
    status = error.status_code
    about = str(getattr(error, "param", None) or "") + str(getattr(error, "code", None) or "")
    if status in {401, 403}:
        return EngineUnavailable("The speech server refuses the key in CUELINE_TTS_API_KEY.")
    if status == 404:
        return EngineUnavailable("The speech server does not know CUELINE_TTS_MODEL, or has no speech API.")
    if status in {429, 503}:
        wait_s = read_retry_after(error.response.headers.get("retry-after", ""))
        return EngineBusy("The speech server is busy.", wait_s)
    if status in {400, 422} and "voice" in about:
        return VoiceUnknown("The speech server does not know this voice.")
    if status == 413 or (status in {400, 422} and "input" in about):
        return TextUnspeakable("The speech server refuses this text.")
    return EngineFailed(f"The speech server failed with status {status}.")


def _what_happened(error: Exception) -> str:
    if isinstance(error, (openai.APITimeoutError, httpx2.TimeoutException)):
        return "The speech server did not answer in time."
    if isinstance(error, openai.APIConnectionError):
        return "The speech server cannot be reached."
    return f"The speech server broke off: {type(error).__name__}."


def _list_voices(client: OpenAI) -> list[VoiceInfo]:
    """What servers other than OpenAI's tell under /audio/voices; nothing where there is no such list."""
    try:
        said: Any = client.with_options(timeout=LIST_S).get("/audio/voices", cast_to=object)
    except (openai.OpenAIError, httpx2.HTTPError, OSError, ValueError):
        return []
    listed = said.get("voices") if isinstance(said, dict) else said
    found = [_listed(voice) for voice in listed] if isinstance(listed, list) else []
    return list({info.name: info for info in found if info}.values())


def _listed(voice: Any) -> VoiceInfo | None:
    if isinstance(voice, str):
        voice = {"id": voice}
    name = str(voice.get("id") or voice.get("voice_id") or voice.get("name") or "") if isinstance(voice, dict) else ""
    if not re.fullmatch(r"[A-Za-z0-9_.:+()-]{1,80}", name):
        return None
    gender = str(voice.get("gender") or "").lower()
    return VoiceInfo(
        name,
        str(voice.get("name") or name)[:80],
        str(voice.get("language") or "en-us").lower()[:20],
        gender if gender in {"female", "male"} else "",
    )


def _openai_voices() -> list[VoiceInfo]:
    return [_info(name) for name in OPENAI_VOICES]


def _info(name: str) -> VoiceInfo:
    return VoiceInfo(name, name.replace("_", " ").capitalize(), "en-us")
