"""MiniMax, a voice service: its streaming HTTP API as an engine. It must never learn of jobs.

Oddities, all on purpose:

1. A refusal comes with HTTP status 200 and a code of its own in `base_resp`, before the sound or in the midst of it.
2. Sound travels as hexadecimal text in server-sent events. The last event may repeat all of it; we ask it not to, and
   take nothing from an event that says it is the last.
3. In their texts `<#0.5#>` is a pause and `(laughs)` a sound. Both are taken apart: what is said is what is written.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx

from contract.errors import EngineBusy, EngineFailed, EngineUnavailable, SpeechError, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from workers.settings import settings
from workers.tts.engine import Pool, VoiceInfo
from workers.tts.plain import plain_text
from workers.tts.remote import CONNECT_S, SILENCE_S, Line, ask, check_key, read_retry_after, to_pcm

RATE_HZ = 24_000
MIN_SPEED, MAX_SPEED = 0.5, 2.0
SEMITONES = 12
"""Per octave; their pitch counts them, and reaches one octave either way like ours."""
LIST_S = 3.0
MAX_LINE_CHARS = 8_000_000
"""Ten seconds of sound are a million; a line without an end is not gathered for ever."""
LIMIT_REST_S = 15.0
"""Their limits count by the minute, and they do not say for how long."""

KEY_CODES = {1004, 2049}
MONEY_CODES = {1008, 2056}
LIMIT_CODES = {1002, 1039, 1041, 2045}
TEXT_CODES = {1026, 1027, 1042}
VOICE_CODES = {2042, 2054, 20132}
"""Source: platform.minimax.io/docs/api-reference/errorcode."""

VOICES = (
    ("Wise_Woman", "female"),
    ("Friendly_Person", ""),
    ("Deep_Voice_Man", "male"),
    ("Calm_Woman", "female"),
    ("Casual_Guy", "male"),
    ("Lively_Girl", "female"),
    ("Patient_Man", "male"),
    ("Young_Knight", "male"),
    ("Determined_Man", "male"),
    ("Elegant_Man", "male"),
    ("Inspirational_girl", "female"),
    ("Exuberant_Girl", "female"),
)
"""Some that each account has, where the service does not list its own."""
LANGUAGES = {
    "ar": "Arabic",
    "cs": "Czech",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "hi": "Hindi",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "yue": "Chinese,Yue",
    "zh": "Chinese",
}
"""What they call a language; another one is refused."""
MARKUP = re.compile(r"<(?=#)|#(?=>)")


class MiniMaxEngine:
    """A client of the service. The same sentence sounds different each time, whatever the seed.

    `Voice.rate` reaches from half to twice the normal speed, what lies beyond is clipped; `Voice.pitch` reaches its
    whole range, in semitones.
    """

    name = "minimax"
    pool: Pool = "threads"
    repeatable = False
    version = ""

    def __init__(self) -> None:
        self._client: httpx.Client | None = None
        self._model = ""
        self._voices: list[VoiceInfo] = []

    def load(self) -> None:
        """Make the client and ask which voices this account has.

        Raises: EngineUnavailable.
        """
        chosen = settings()
        if not chosen.minimax_api_key:
            raise EngineUnavailable("CUELINE_MINIMAX_API_KEY: the engine minimax needs a key of platform.minimax.io.")
        check_key(chosen.minimax_api_key, "CUELINE_MINIMAX_API_KEY")
        try:
            self._client = Line(
                base_url=chosen.minimax_base_url,
                headers={"Authorization": f"Bearer {chosen.minimax_api_key}"},
                timeout=httpx.Timeout(SILENCE_S, connect=CONNECT_S),
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise EngineUnavailable("CUELINE_MINIMAX_BASE_URL is not the address of a server.") from error
        self._model = chosen.minimax_model
        self.version = f"{chosen.minimax_model} at {chosen.minimax_base_url}"
        self._voices = _list_voices(self._client) or [_info(name, gender) for name, gender in VOICES]

    def voices(self) -> list[VoiceInfo]:
        """The service's own and those cloned by this account, else a few that everybody has."""
        return list(self._voices)

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        """Yield s16le mono 24 kHz PCM as the service sends it."""
        client = self._client
        if client is None:
            raise EngineUnavailable("minimax has not been loaded yet.")
        spoken = plain_text(text)
        request = {
            "model": self._model,
            "text": MARKUP.sub(r"\g<0> ", spoken).replace("(", ", ").replace(")", ", "),
            "stream": True,
            "stream_options": {"exclude_aggregated_audio": True},
            "language_boost": _language(voice),
            "voice_setting": {
                "voice_id": self._find_name(voice),
                "speed": min(max(voice.rate, MIN_SPEED), MAX_SPEED),
                "vol": 1.0,
                "pitch": round(SEMITONES * math.log2(voice.pitch)),
            },
            "audio_setting": {"sample_rate": RATE_HZ, "format": "pcm", "channel": 1},
        }
        yield from ask(partial(_stream, client, request))

    def _find_name(self, voice: Voice) -> str:
        if voice.name == "default":
            return self._voices[0].name
        if any(info.name == voice.name for info in self._voices):
            return voice.name
        raise VoiceUnknown(f"minimax has no voice {voice.name[:80]!r}.")


def _stream(client: httpx.Client, request: dict[str, Any]) -> Iterator[bytes]:
    """Raises: SpeechError."""
    try:
        with client.stream("POST", "t2a_v2", json=request) as answer:
            if answer.status_code != httpx.codes.OK:
                raise _refusal_by_status(answer)
            yield from to_pcm(_sounds(answer), RATE_HZ)
    except SpeechError:
        raise
    except httpx.TimeoutException as error:
        raise EngineFailed("MiniMax did not answer in time.") from error
    except httpx.ConnectError as error:
        raise EngineFailed("MiniMax cannot be reached.") from error
    except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineFailed(f"MiniMax broke off: {type(error).__name__}.") from error


def _sounds(answer: httpx.Response) -> Iterator[bytes]:
    """The sound of each event. Raises: SpeechError, ValueError."""
    is_last = False
    for line in _lines(answer):
        # A refusal before the sound is bare JSON, no event.
        written = line.removeprefix("data:").strip()
        if not written.startswith("{"):
            continue
        event = json.loads(written)
        if code := int((event.get("base_resp") or {}).get("status_code") or 0):
            raise _refusal(code)
        said = event.get("data") or {}
        if said.get("status") == 2:
            is_last = True
            break
        if sound := said.get("audio"):
            yield bytes.fromhex(sound)
    if not is_last:
        raise EngineFailed("MiniMax broke off in the midst of a sentence.")


def _lines(answer: httpx.Response) -> Iterator[str]:
    held = ""
    for text in answer.iter_text():
        *whole, held = (held + text).split("\n")
        yield from whole
        if len(held) > MAX_LINE_CHARS:
            raise EngineFailed("MiniMax sent a line without an end.")
    yield held


def _refusal_by_status(answer: httpx.Response) -> SpeechError:
    if answer.status_code in {401, 403}:
        return _refusal(1004)
    if answer.status_code in {429, 503}:
        return EngineBusy("MiniMax is busy.", read_retry_after(answer.headers.get("retry-after", "")) or LIMIT_REST_S)
    return EngineFailed(f"MiniMax failed with status {answer.status_code}.")


def _refusal(code: int) -> SpeechError:
    """What one of their codes means to us; their own words stay out."""
    if code in KEY_CODES:
        return EngineUnavailable("MiniMax refuses the key in CUELINE_MINIMAX_API_KEY.")
    if code in MONEY_CODES:
        return EngineUnavailable("The account with MiniMax has nothing left.")
    if code in LIMIT_CODES:
        return EngineBusy("MiniMax is asked too often.", LIMIT_REST_S)
    if code in TEXT_CODES:
        return TextUnspeakable("MiniMax refuses this text.")
    if code in VOICE_CODES:
        return VoiceUnknown("MiniMax does not know this voice.")
    return EngineFailed(f"MiniMax failed with code {code}.")


def _language(voice: Voice) -> str:
    """Raises: VoiceUnknown."""
    known = LANGUAGES.get(voice.language.lower().partition("-")[0])
    if known is None:
        raise VoiceUnknown(f"minimax has no language {voice.language[:40]!r}.")
    return known


def _list_voices(client: httpx.Client) -> list[VoiceInfo]:
    try:
        answer = client.post("get_voice", json={"voice_type": "all"}, timeout=LIST_S)
        said: Any = answer.json()
        listed = [*(said.get("system_voice") or []), *(said.get("voice_cloning") or [])]
        named = {str(voice["voice_id"]): str(voice.get("voice_name") or voice["voice_id"]) for voice in listed}
    except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return [_info(name, "", label) for name, label in named.items() if name.isprintable() and len(name) <= 128]


def _info(name: str, gender: str, label: str = "") -> VoiceInfo:
    shown = (label or name.replace("_", " "))[:80]
    words = set(shown.lower().split())
    gender = gender or next((kind for kind, of_it in GENDERED if words & of_it), "")
    # Most names begin with a language: "German_FriendlyMan".
    codes = (code for code, language in LANGUAGES.items() if language != "English" and name.startswith(language))
    return VoiceInfo(name, shown, next(codes, "en-us"), gender)


GENDERED = (
    ("female", {"woman", "girl", "lady", "female", "queen", "grandma"}),
    ("male", {"man", "boy", "guy", "gentleman", "male", "knight", "king"}),
)
