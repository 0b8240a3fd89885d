"""Azure's speech service, through its REST API, as an engine. It must never learn of jobs.

Oddities, all on purpose:

1. REST, and not their SDK: that is a closed library for few platforms, and the same sound streams over plain HTTP.
2. The service wants SSML. We write it; what comes from outside is escaped into it and is text, whatever it looks like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import httpx

from contract.errors import EngineBusy, EngineFailed, EngineUnavailable, SpeechError, TextUnspeakable, VoiceUnknown
from contract.voice import Voice
from workers.settings import settings
from workers.tts.engine import Pool, VoiceInfo
from workers.tts.plain import plain_text
from workers.tts.remote import BLOCK_BYTES, CONNECT_S, SILENCE_S, Line, ask, check_key, read_retry_after, to_pcm

FORMAT, RATE_HZ = "raw-24khz-16bit-mono-pcm", 24_000
MIN_RATE, MAX_RATE, MIN_PITCH, MAX_PITCH = 0.5, 2.0, 0.5, 1.5
"""What `prosody` reaches there, as factors."""
LIST_S = 5.0
REGION = re.compile(r"[a-z0-9]{2,40}")
FIRST_CHOICES = ("en-US-AvaMultilingualNeural", "en-US-AndrewMultilingualNeural", "en-GB-SoniaNeural")


class AzureEngine:
    """A client of the service in one region.

    `Voice.rate` reaches from 0.5 to 2 and `Voice.pitch` from 0.5 to 1.5; what lies beyond is clipped. The service does
    not promise the same samples twice.
    """

    name = "azure"
    pool: Pool = "threads"
    repeatable = False
    version = ""

    def __init__(self) -> None:
        self._client: httpx.Client | None = None
        self._voices: dict[str, VoiceInfo] = {}
        self._locales: dict[str, str] = {}
        """Voice → its language as the service writes it."""

    def load(self) -> None:
        """Make the client and ask which voices there are.

        Raises: EngineUnavailable.
        """
        chosen = settings()
        if not chosen.azure_key or not (chosen.azure_region or chosen.azure_base_url):
            raise EngineUnavailable("CUELINE_AZURE_KEY and CUELINE_AZURE_REGION: the engine azure needs both.")
        check_key(chosen.azure_key, "CUELINE_AZURE_KEY")
        if chosen.azure_region and not REGION.fullmatch(chosen.azure_region):
            raise EngineUnavailable("CUELINE_AZURE_REGION: a region is one word, say westeurope.")
        address = chosen.azure_base_url or f"https://{chosen.azure_region}.tts.speech.microsoft.com"
        try:
            self._client = Line(
                base_url=address,
                headers={"Ocp-Apim-Subscription-Key": chosen.azure_key, "User-Agent": "cueline"},
                timeout=httpx.Timeout(SILENCE_S, connect=CONNECT_S),
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise EngineUnavailable("CUELINE_AZURE_BASE_URL is not the address of a server.") from error
        listed = _list_voices(self._client) or {name: (name[:5], "", name) for name in FIRST_CHOICES}
        names = [*(name for name in FIRST_CHOICES if name in listed), *listed]
        self._locales = {name: listed[name][0] for name in names}
        self._voices = {name: _info(name, *listed[name]) for name in dict.fromkeys(names)}
        self.version = f"azure at {address}"

    def voices(self) -> list[VoiceInfo]:
        """Every neural voice of the region, a few good English ones first."""
        return list(self._voices.values())

    def speak(self, text: str, voice: Voice, seed: int) -> Iterator[bytes]:
        """Yield s16le mono 24 kHz PCM in blocks of 40 ms, as the service sends it."""
        client = self._client
        if client is None:
            raise EngineUnavailable("azure has not been loaded yet.")
        spoken = plain_text(text)
        yield from ask(partial(_stream, client, self._ssml(spoken, self._find_name(voice), voice)))

    def _find_name(self, voice: Voice) -> str:
        """Raises: VoiceUnknown."""
        if voice.name != "default":
            if voice.name in self._voices:
                return voice.name
            raise VoiceUnknown(f"azure has no voice {voice.name[:80]!r}.")
        tag = voice.language.lower()
        for fits in (tag, tag.partition("-")[0]):
            for name, info in self._voices.items():
                if info.language == fits or info.language.startswith(f"{fits}-"):
                    return name
        raise VoiceUnknown(f"azure has no voice for {voice.language[:40]!r}.")

    def _ssml(self, text: str, name: str, voice: Voice) -> str:
        rate = min(max(voice.rate, MIN_RATE), MAX_RATE)
        pitch = round((min(max(voice.pitch, MIN_PITCH), MAX_PITCH) - 1) * 100)
        prosody = f'<prosody rate="{rate:.2f}" pitch="{pitch:+d}%">{escape(text)}</prosody>'
        language = quoteattr(self._locales[name])
        return (
            f'<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang={language}>'
            f"<voice name={quoteattr(name)}>{prosody}</voice></speak>"
        )


def _stream(client: httpx.Client, ssml: str) -> Iterator[bytes]:
    """Raises: SpeechError."""
    headers = {"Content-Type": "application/ssml+xml", "X-Microsoft-OutputFormat": FORMAT}
    try:
        with client.stream("POST", "/cognitiveservices/v1", content=ssml.encode(), headers=headers) as answer:
            if answer.status_code != httpx.codes.OK:
                raise _refusal(answer)
            if not answer.headers.get("content-type", "audio/").startswith(("audio/", "application/octet-stream")):
                raise EngineFailed("Azure sent something else than sound.")
            yield from to_pcm(answer.iter_bytes(BLOCK_BYTES), RATE_HZ)
    except SpeechError:
        raise
    except httpx.TimeoutException as error:
        raise EngineFailed("Azure did not answer in time.") from error
    except httpx.ConnectError as error:
        raise EngineFailed("Azure cannot be reached.") from error
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise EngineFailed(f"Azure broke off: {type(error).__name__}.") from error


def _refusal(answer: httpx.Response) -> SpeechError:
    """Source: the table of status codes of the text to speech REST API."""
    status = answer.status_code
    if status in {401, 403}:
        return EngineUnavailable("Azure refuses the key in CUELINE_AZURE_KEY; it belongs to one region.")
    if status in {429, 503}:
        return EngineBusy("Azure is asked too often.", read_retry_after(answer.headers.get("retry-after", "")))
    if status == 413:
        return TextUnspeakable("Azure refuses this text: it is too long.")
    return EngineFailed(f"Azure failed with status {status}.")


def _info(name: str, tag: str, gender: str, label: str) -> VoiceInfo:
    return VoiceInfo(name, label, tag.lower(), gender)


def _list_voices(client: httpx.Client) -> dict[str, tuple[str, str, str]]:
    """Name → language, gender, label; nothing where the service does not answer."""
    try:
        said: Any = client.get("/cognitiveservices/voices/list", timeout=LIST_S).raise_for_status().json()
        return {
            str(voice["ShortName"]): (
                str(voice["Locale"]),
                gender if (gender := str(voice.get("Gender", "")).lower()) in {"female", "male"} else "",
                str(voice.get("DisplayName") or voice["ShortName"]),
            )
            for voice in said
        }
    except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
