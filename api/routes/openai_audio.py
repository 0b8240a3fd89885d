"""Sound files as OpenAI's clients send them, to be written down or to be spoken like. Not: how they are understood."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.requests import Request

from api.answers import DEAF, OPENAI, sent
from api.casting.clips import NAME_CHARS, WORDS_CHARS
from api.casting.errors import ClipUntold, ConsentMissing
from api.casting.fields import clean_line
from api.encoding.riff import wav_head
from api.errors import AudioTooLong, ConversationError, ListeningUnavailable, MessageInvalid
from api.listening.files import MAX_FILE_BYTES
from api.listening.words.recognition import Wishes
from api.listening.writing import Format, subtitles, verbose
from api.routes.house import AHouse, AnOwner, House
from api.routes.openai_shape import OpenAIRoute, error_body, openai_error
from api.speaking.voices import list_voices
from contract.errors import RecognitionError
from contract.transcribe import MAX_PROMPT_CHARS, Times, Transcript

FORM_BYTES = 64 * 1024
TOO_LARGE = f"A file may have {MAX_FILE_BYTES >> 20} MiB at most."


class FileRoute(OpenAIRoute):
    """Refuses a body that is too large before any of it is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The same handler behind a door of limited width."""
        handle = super().get_route_handler()

        async def handle_small_ones(request: Request) -> Response:
            if int(request.headers.get("content-length") or 0) > MAX_FILE_BYTES + FORM_BYTES:
                return openai_error(AudioTooLong.status, TOO_LARGE, AudioTooLong.code)
            return await handle(request)

        return handle_small_ones


router = APIRouter(prefix="/v1", route_class=FileRoute, responses=OPENAI)


@router.post(
    "/audio/transcriptions",
    max_body_size=2 * MAX_FILE_BYTES,
    response_class=Response,
    responses=DEAF | sent("application/json", "text/plain", "text/event-stream", what="The words."),
)
async def transcribe(
    house: AHouse,
    owner: AnOwner,
    file: Annotated[UploadFile, File()],
    model: Annotated[str, Form(min_length=1, max_length=128)],
    language: Annotated[str, Form(pattern=r"^[a-z]{0,3}$")] = "",
    prompt: Annotated[str, Form(max_length=MAX_PROMPT_CHARS)] = "",
    temperature: Annotated[float, Form(ge=0, le=1)] = 0.0,
    response_format: Annotated[Format, Form()] = "json",
    timestamp_granularities: Annotated[list[str] | None, Form(alias="timestamp_granularities[]")] = None,
    stream: Annotated[bool, Form()] = False,
) -> Response:
    """What is said in a sound file."""
    if file.size is None or file.size > MAX_FILE_BYTES:
        raise AudioTooLong(TOO_LARGE)
    with_words = response_format == "verbose_json" and "word" in (timestamp_granularities or [])
    needs_times = response_format in {"verbose_json", "srt", "vtt"}
    times: Times = "words" if with_words else "segments" if needs_times else "none"
    pieces = house.files.transcribe(await file.read(), Wishes(language, prompt, temperature, times))
    if stream:
        # The first piece decides whether this becomes a stream or an error.
        first = await anext(pieces, None)
        headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
        return StreamingResponse(_deltas(first, pieces), media_type="text/event-stream", headers=headers)
    seconds, whole = 0.0, Transcript()
    async with aclosing(pieces) as found:
        async for end_s, piece in found:
            seconds = end_s
            whole = Transcript((*whole.segments, *piece.segments), whole.language or piece.language)
    return _answer(whole, seconds, response_format, temperature, with_words=with_words)


@router.get("/audio/voices")
async def list_all_voices(house: AHouse, owner: AnOwner) -> dict[str, Any]:
    """Every voice that may be asked for; the asker's own recordings with what there is to be known of them."""
    offered = await house.offers.voices()
    named = list_voices(await house.characters.everybody(owner), offered)
    return {"voices": named + [clip.to_dict() for clip in await house.clips.all(owner)]}


@router.post("/audio/voices", status_code=201, max_body_size=2 * MAX_FILE_BYTES)
async def keep_voice(
    house: AHouse,
    owner: AnOwner,
    audio_sample: Annotated[UploadFile, File()],
    name: Annotated[str, Form(min_length=1, max_length=NAME_CHARS)],
    consent: Annotated[str, Form(max_length=16)] = "",
    ref_text: Annotated[str, Form(max_length=WORDS_CHARS)] = "",
) -> dict[str, Any]:
    """A new voice from a recording of 3 to 30 seconds, for engines that clone."""
    if consent.casefold() != "true":
        raise ConsentMissing
    if not (name := clean_line(name)):
        raise MessageInvalid("A voice needs a name.")
    if audio_sample.size is None or audio_sample.size > MAX_FILE_BYTES:
        raise AudioTooLong(TOO_LARGE)
    await house.clips.check(owner, name)
    pcm = await house.clips.read(await audio_sample.read())
    text = clean_line(ref_text) or await _find_words(house, pcm)
    return (await house.clips.add(owner, name, text, pcm)).to_dict()


@router.delete("/audio/voices/{voice_id}")
async def delete_voice(voice_id: str, house: AHouse, owner: AnOwner) -> dict[str, Any]:
    """Forget a recording; who is spoken like it is silent from then on."""
    await house.clips.delete(owner, voice_id)
    return {"id": voice_id, "object": "audio.voice.deleted", "deleted": True}


def _answer(whole: Transcript, seconds: float, wanted: Format, temperature: float, *, with_words: bool) -> Response:
    match wanted:
        case "json":
            return JSONResponse({"text": whole.text})
        case "verbose_json":
            return JSONResponse(verbose(whole, seconds, temperature, with_words=with_words))
        case "text":
            return PlainTextResponse(whole.text + "\n")
        case "srt" | "vtt":
            return PlainTextResponse(subtitles(whole.segments, wanted))


async def _deltas(
    first: tuple[float, Transcript] | None, rest: AsyncGenerator[tuple[float, Transcript]]
) -> AsyncIterator[str]:
    said: list[str] = []
    try:
        piece = first
        while piece is not None:
            if text := piece[1].text:
                delta = f" {text}" if said else text
                said.append(text)
                yield _event({"type": "transcript.text.delta", "delta": delta})
            piece = await anext(rest, None)
        yield _event({"type": "transcript.text.done", "text": " ".join(said)})
    except (ConversationError, RecognitionError) as error:
        yield _event({"type": "error", **error_body(error)})
    finally:
        await rest.aclose()


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


async def _find_words(house: House, pcm: bytes) -> str:
    """What our own recognizer hears in it. Raises: ClipUntold, ConversationError, RecognitionError."""
    try:
        pieces = [piece.text async for _, piece in house.files.transcribe(wav_head(len(pcm)) + pcm, Wishes())]
    except ListeningUnavailable as error:
        raise ClipUntold from error
    if not (text := clean_line(" ".join(pieces))[:WORDS_CHARS]):
        raise ClipUntold
    return text
