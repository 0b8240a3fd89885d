"""What a route may answer, as /openapi.json tells it: errors from their own tree, files by their type. Not: when."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from pydantic import BaseModel

from api.errors import (
    AccessDenied,
    AccessExpired,
    AudioTooLong,
    AudioUnreadable,
    ConversationError,
    HolderSilent,
    ListeningUnavailable,
    MessageInvalid,
    ServerBusy,
    SessionMoved,
    SessionUnknown,
    StoreUnreachable,
    UsersUnreachable,
)
from contract.errors import CuelineError, NoRecognizer, NoWorker, RecognizerFailed, TextUnspeakable, VoiceUnknown

Answers = dict[int | str, dict[str, Any]]


class Problem(BaseModel):
    """What went wrong."""

    code: str
    """Stable, for programs: docs/protocol.md."""
    message: str
    """A sentence for a person."""


class OpenAIDetail(BaseModel):
    """What went wrong, as OpenAI's clients read it."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAIProblem(BaseModel):
    """The same, as it is sent."""

    error: OpenAIDetail


class NotReady(BaseModel):
    """Why nothing could be spoken now."""

    status: str
    reason: str


def told(*kinds: type[ConversationError]) -> Answers:
    """The errors that a route has of its own."""
    by_status = groupby(sorted(kinds, key=lambda kind: kind.status), key=lambda kind: kind.status)
    return {status: _problem(Problem, list(group)) for status, group in by_status}


def sent(*media_types: str, what: str) -> Answers:
    """A body in one of these types. Goes with `response_class=Response`, which names none itself."""
    content = {media_type: {"schema": _schema(media_type)} for media_type in media_types}
    return {200: {"description": what, "content": content}}


def _schema(media_type: str) -> dict[str, Any]:
    # Events are read one by one, and what a schema of a stream of them says, readers do not agree on.
    if media_type in {"application/json", "text/event-stream"}:
        return {}
    return {"type": "string"} if media_type.startswith("text/") else {"type": "string", "format": "binary"}


def _problem(shape: type[BaseModel], kinds: Iterable[type[CuelineError]], *more: str) -> dict[str, Any]:
    named = [f"`{kind.code}`: {kind.default}" for kind in kinds]
    return {"model": shape, "description": "\n".join([*named, *more])}


_TOO_LARGE = "The body is too large."
ANYWHERE: Answers = {
    400: _problem(Problem, [MessageInvalid], "The request cannot be read, or its Host is none of this server's."),
    401: _problem(Problem, [AccessDenied, AccessExpired]),
    413: _problem(Problem, [MessageInvalid], _TOO_LARGE),
    422: _problem(Problem, [MessageInvalid], "A field is missing or wrong."),
    503: _problem(Problem, [StoreUnreachable, ServerBusy, UsersUnreachable]),
}
"""What every route under /api may say."""

IN_SESSION: Answers = told(SessionUnknown, StoreUnreachable, ServerBusy, UsersUnreachable, SessionMoved, HolderSilent)
"""What every route of one session may say besides."""

OPENAI: Answers = {
    400: _problem(OpenAIProblem, [MessageInvalid, VoiceUnknown, TextUnspeakable, AudioUnreadable]),
    401: _problem(OpenAIProblem, [AccessDenied, AccessExpired]),
    413: _problem(OpenAIProblem, [AudioTooLong], _TOO_LARGE),
    503: _problem(OpenAIProblem, [StoreUnreachable, ServerBusy, NoWorker, NoRecognizer, RecognizerFailed]),
    # Without it FastAPI tells of a 422 that is never sent here.
    "4XX": {"model": OpenAIProblem, "description": "Anything else that was asked for wrongly."},
}
"""What every route under /v1 may say."""

DEAF: Answers = {501: _problem(OpenAIProblem, [ListeningUnavailable])}
"""What one may say besides that needs a recognizer."""
