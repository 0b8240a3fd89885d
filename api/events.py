"""Every JSON message, both directions, once. Not: who sends them when (session.py, turn.py), the socket itself."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from api.errors import MessageInvalid, MessageTypeUnknown
from contract.audio import ENCODING, SAMPLE_RATE_HZ
from contract.errors import CuelineError
from contract.voice import NAME as VOICE_NAME

U32 = Annotated[int, Field(ge=0, le=0xFFFF_FFFF)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]


class ClientMessage(BaseModel):
    """What a client may say. A field of the wrong type is an error; an extra one is ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Heard(ClientMessage):
    """How far the listener has come."""

    sentence: U32
    ms: Annotated[float, Field(ge=0, le=1e9)]


class Start(ClientMessage):
    type: Literal["start"]
    character: Name | None = None
    sample_rate: Annotated[int, Field(ge=8000, le=48000)] = SAMPLE_RATE_HZ
    turn_taking: Literal["automatic", "barge_in", "push_to_talk"] | None = None
    language: Annotated[str, Field(pattern=r"^[a-z]{0,3}$")] = ""


class Stop(ClientMessage):
    type: Literal["stop"]


class Reset(ClientMessage):
    type: Literal["reset"]


class Interrupt(ClientMessage):
    type: Literal["interrupt"]
    turn: U32 | None = None
    heard: Heard | None = None


class Chat(ClientMessage):
    type: Literal["chat"]
    text: str
    character: Name | None = None
    id: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x20-\x7e]*$")] | None = None
    queue: bool = False


class Resume(ClientMessage):
    type: Literal["resume"]
    turn: U32 | None = None
    sentence: U32 | None = None
    part: U32 | None = None
    event: Annotated[str, Field(pattern=r"^\d{1,18}-\d{1,18}$")] | None = None
    """The last event this client has; missed ones are sent again."""


class Played(ClientMessage):
    type: Literal["played"]
    turn: U32
    sentence: U32
    ms: Annotated[float, Field(ge=0, le=1e9)]


class Ping(ClientMessage):
    type: Literal["ping"]
    t: FiniteFloat | int | Name | None = None


class SetCast(ClientMessage):
    """What is left out stays as it is."""

    type: Literal["cast"] = "cast"
    characters: Annotated[list[Name], Field(min_length=1, max_length=8)]
    muted: Annotated[list[Name], Field(max_length=8)] | None = None
    order: Literal["talk", "list", "chosen"] | None = None
    answers: Annotated[int, Field(ge=0, le=4)] | None = None


class SetTuning(ClientMessage):
    """What is left out stays as it is; an empty text is as if it had never been set."""

    type: Literal["settings"] = "settings"
    model: Annotated[str, Field(max_length=128, pattern=r"^[\x21-\x7e]*$")] | None = None
    voice: Annotated[str, Field(pattern=f"^({VOICE_NAME})?$")] | None = None
    speed: Annotated[float, Field(ge=0.5, le=2)] | None = None
    turn_taking: Literal["", "automatic", "barge_in", "push_to_talk"] | None = None


AnyClientMessage = Start | Stop | Reset | Interrupt | Chat | Resume | Played | Ping | SetCast | SetTuning
_CLIENT: TypeAdapter[AnyClientMessage] = TypeAdapter(Annotated[AnyClientMessage, Field(discriminator="type")])
CLIENT_TYPES = {kind.model_fields["type"].annotation.__args__[0] for kind in AnyClientMessage.__args__}


def parse_client_message(text: str) -> AnyClientMessage:
    """Read one text frame.

    Raises: MessageInvalid, MessageTypeUnknown, with a sentence that names the field.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageInvalid("This is not JSON.") from error
    if not isinstance(data, dict):
        raise MessageInvalid("A message is a JSON object with a type.")
    kind = data.get("type")
    if not isinstance(kind, str):
        raise MessageInvalid("A message needs a type.")
    if kind not in CLIENT_TYPES:
        raise MessageTypeUnknown(f"There is no message of type {kind[:40]!r}.")
    try:
        return _CLIENT.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(step) for step in first["loc"][1:]) or "message"
        raise MessageInvalid(f"{kind}.{field}: {first['msg']}.") from error


class ServerMessage(BaseModel):
    """What the server says. On the way out `session_id` is added and, where the message is mirrored, its place in
    the log (`event`) and the time (`at`, milliseconds since 1970)."""

    type: str

    def to_json(self, session: str, event: str | None = None) -> str:
        """The text frame; fields without a value are left out."""
        data: dict[str, Any] = self.model_dump(exclude_none=True)
        data["session_id"] = session
        if event is not None:
            data["event"] = event
            data["at"] = round(time.time() * 1000, 2)
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


class SessionOpened(ServerMessage):
    type: Literal["session"] = "session"
    resumed: bool
    audio: dict[str, Any]
    resume_token: str
    limits: dict[str, int]
    character: str
    cast: dict[str, Any]
    settings: dict[str, Any]
    notice: str | None = None
    is_guest: bool = False


class Status(ServerMessage):
    type: Literal["status"] = "status"
    status: Literal["listening", "thinking", "speaking", "idle", "stopped"]


class PartialTranscript(ServerMessage):
    """What somebody is saying, as far as it is understood. Empty: it was nothing after all."""

    type: Literal["partial_transcript"] = "partial_transcript"
    content: str
    stable: str
    """The beginning of `content` that will hardly change."""


class FinalTranscript(ServerMessage):
    type: Literal["final_transcript"] = "final_transcript"
    turn: int
    content: str
    source: Literal["voice", "text"] = "text"
    id: str | None = None


class TurnState(ServerMessage):
    type: Literal["turn"] = "turn"
    turn: int
    state: Literal["started", "ended"]
    character: str | None = None
    reason: Literal["complete", "interrupted", "stopped", "failed"] | None = None


class LlmStatus(ServerMessage):
    type: Literal["llm_status"] = "llm_status"
    turn: int
    status: Literal["processing"] = "processing"


class LlmResponse(ServerMessage):
    type: Literal["llm_response"] = "llm_response"
    turn: int
    content: str
    is_complete: bool
    character: str


class SentenceState(ServerMessage):
    type: Literal["sentence"] = "sentence"
    turn: int
    sentence: int
    text: str
    character: str
    state: Literal["queued", "speaking", "done", "failed", "cancelled"]
    attempt: int = 1
    duration_ms: int | None = None
    queue_ms: float | None = None
    first_audio_ms: float | None = None
    worker: str | None = None
    restart_ms: int | None = None
    cached: bool | None = None


class TtsStart(ServerMessage):
    type: Literal["tts_start"] = "tts_start"
    turn: int
    format: Literal["pcm"] = "pcm"
    sample_rate: int = SAMPLE_RATE_HZ


class TtsEnd(ServerMessage):
    type: Literal["tts_end"] = "tts_end"
    turn: int
    format: Literal["pcm"] = "pcm"
    sample_rate: int = SAMPLE_RATE_HZ


class TtsStop(ServerMessage):
    type: Literal["tts_stop"] = "tts_stop"
    turn: int
    reason: str


class BargeIn(ServerMessage):
    """What to do with a reply into which somebody speaks."""

    type: Literal["barge_in"] = "barge_in"
    state: Literal["ducked", "held", "resumed"]


class StopAcknowledged(ServerMessage):
    type: Literal["stop_acknowledged"] = "stop_acknowledged"
    message: str
    queues_cleared: bool = True


class InterruptAcknowledged(ServerMessage):
    type: Literal["interrupt_acknowledged"] = "interrupt_acknowledged"
    message: str
    queues_cleared: bool = True
    turn: int | None = None
    heard: dict[str, float] | None = None


class Saving(ServerMessage):
    type: Literal["saving"] = "saving"
    state: Literal["behind", "saved"]


class ErrorMessage(ServerMessage):
    type: Literal["error"] = "error"
    code: str
    message: str
    retryable: bool
    turn: int | None = None
    sentence: int | None = None
    retry_after_s: int | None = None


class Gap(ServerMessage):
    """Something this listener missed can no longer be had. Told to it alone, so it has no place in the log."""

    type: Literal["gap"] = "gap"
    what: Literal["audio", "messages"]
    message: str
    turn: int | None = None
    sentence: int | None = None
    part: int | None = None
    """With `sentence`: where the sound of the turn goes on, if it does."""


class Pong(ServerMessage):
    type: Literal["pong"] = "pong"
    t: float | int | str | None = None


def error_message(error: CuelineError, turn: int | None = None, sentence: int | None = None) -> ErrorMessage:
    """An error as the listener hears of it."""
    return ErrorMessage(
        code=error.code,
        message=error.text,
        retryable=error.retryable,
        turn=turn,
        sentence=sentence,
        retry_after_s=getattr(error, "retry_after_s", None),
    )


def audio_format(framing: str) -> dict[str, Any]:
    """The `audio` field of `session`."""
    return {"encoding": ENCODING, "sample_rate": SAMPLE_RATE_HZ, "channels": 1, "framing": framing}
