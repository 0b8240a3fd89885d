"""`POST /v1/audio/transcriptions`, as OpenAI's clients know it, errors included. Not: how a file is understood."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request

from api.errors import AudioTooLong, ConversationError
from api.listening.files import MAX_FILE_BYTES
from api.listening.words.recognition import Wishes
from api.listening.writing import Format, subtitles, verbose
from api.routes.house import AHouse, AnOwner
from contract.errors import CuelineError, RecognitionError
from contract.transcribe import MAX_PROMPT_CHARS, Times, Transcript

FORM_BYTES = 64 * 1024
TOO_LARGE = f"A file may have {MAX_FILE_BYTES >> 20} MiB at most."


class OpenAIRoute(APIRoute):
    """Says what went wrong as OpenAI would."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The same handler; its errors in another shape."""
        handle = super().get_route_handler()

        async def handle_in_shape(request: Request) -> Response:
            try:
                if int(request.headers.get("content-length") or 0) > MAX_FILE_BYTES + FORM_BYTES:
                    raise AudioTooLong(TOO_LARGE)
                return await handle(request)
            except RequestValidationError as error:
                first = error.errors()[0]
                param = ".".join(str(step) for step in first["loc"][1:])
                return _error(400, f"{param}: {first['msg']}.", "message_invalid", param)
            except CuelineError as error:
                status = error.status if isinstance(error, ConversationError) else 503
                return _error(status, error.text, error.code, retry_after_s=getattr(error, "retry_after_s", None))
            except HTTPException as error:
                is_large = error.status_code == 413
                return _error(error.status_code, str(error.detail), "audio_too_long" if is_large else "message_invalid")

        return handle_in_shape


router = APIRouter(prefix="/v1", route_class=OpenAIRoute)


@router.post("/audio/transcriptions", max_body_size=2 * MAX_FILE_BYTES, response_model=None)
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
        yield _event({"type": "error", **_body(error.text, error.code, 500)})
    finally:
        await rest.aclose()


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _error(status: int, text: str, code: str, param: str = "", retry_after_s: int | None = None) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if status in {429, 503}:
        headers["Retry-After"] = str(retry_after_s or 1)
    return JSONResponse(_body(text, code, status, param), status_code=status, headers=headers)


def _body(text: str, code: str, status: int, param: str = "") -> dict[str, Any]:
    kind = "server_error" if status >= 500 else "authentication_error" if status == 401 else "invalid_request_error"
    return {"error": {"message": text, "type": kind, "param": param or None, "code": code}}
