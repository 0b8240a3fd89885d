"""The shape in which OpenAI's clients expect to be told what went wrong. Not: what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request

from api.errors import ConversationError, StoreUnreachable
from api.streams import StreamsError
from contract.errors import CuelineError, TextUnspeakable, VoiceUnknown

_TYPES = {401: "authentication_error", 429: "rate_limit_error"}
_ASKED_WRONGLY = (VoiceUnknown, TextUnspeakable)
"""What a request itself is to blame for, though it shows only at the engine."""


class OpenAIRoute(APIRoute):
    """Says what went wrong as OpenAI would."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The same handler; its errors in another shape."""
        handle = super().get_route_handler()

        async def handle_in_shape(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                first = error.errors()[0]
                param = ".".join(str(step) for step in first["loc"][1:])
                return openai_error(400, f"{param}: {first['msg']}.", "message_invalid", param)
            except CuelineError as error:
                return openai_error(status_of(error), error.text, error.code, retry_after_s=retry_after_s(error))
            except StreamsError:
                away = StoreUnreachable()
                return openai_error(away.status, away.text, away.code, retry_after_s=1)
            except HTTPException as error:
                is_large = error.status_code == 413
                code = "audio_too_long" if is_large else "message_invalid"
                return openai_error(error.status_code, str(error.detail), code)

        return handle_in_shape


def status_of(error: CuelineError) -> int:
    """The HTTP status that says the same."""
    if isinstance(error, ConversationError):
        return error.status
    return 400 if isinstance(error, _ASKED_WRONGLY) else 503


def retry_after_s(error: CuelineError) -> int | None:
    """When to come back, where that may help."""
    told: int | None = getattr(error, "retry_after_s", None)
    return told if told is not None else 1 if error.retryable else None


def error_body(error: CuelineError, param: str = "") -> dict[str, Any]:
    """What is told in the midst of a stream."""
    return _body(status_of(error), error.text, error.code, param)


def openai_error(
    status: int, message: str, code: str, param: str = "", retry_after_s: int | None = None
) -> JSONResponse:
    """An answer that is an error."""
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s is not None else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(_body(status, message, code, param), status_code=status, headers=headers)


def _body(status: int, message: str, code: str, param: str) -> dict[str, Any]:
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param or None, "code": code}}
