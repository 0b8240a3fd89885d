"""What can go wrong in a conversation: requests, sessions, the language model. Not: speech (contract/errors.py)."""

from __future__ import annotations

from typing import ClassVar

from contract.errors import CuelineError


class ConversationError(CuelineError):
    """A request cannot be met."""

    status: ClassVar[int] = 400
    """The HTTP status that says the same."""


class MessageInvalid(ConversationError):
    code = "message_invalid"
    default = "This message cannot be understood."


class MessageTypeUnknown(MessageInvalid):
    code = "message_type_unknown"
    default = "There is no such message."


class TextEmpty(MessageInvalid):
    code = "text_empty"
    default = "The message is empty."


class TextTooLong(MessageInvalid):
    code = "text_too_long"
    default = "The message is too long."


class TextInvalid(MessageInvalid):
    code = "text_invalid"
    default = "The message contains characters that cannot be text."


class AudioUnexpected(MessageInvalid):
    code = "audio_unexpected"
    default = "Audio was sent, but nobody is listening: send start first."


class ListeningUnavailable(ConversationError):
    code = "listening_unavailable"
    status = 501
    default = "This server has no recognizer: type instead."


class AccessDenied(ConversationError):
    code = "access_denied"
    status = 401
    default = "This server needs an access key."


class SessionUnknown(ConversationError):
    code = "session_unknown"
    status = 404
    default = "There is no such session."


class TurnUnknown(ConversationError):
    code = "turn_unknown"
    status = 404
    default = "There is no such turn."


class AudioGone(ConversationError):
    code = "audio_gone"
    status = 410
    default = "The audio of this turn has expired, or it never had any."


class CharacterUnknown(ConversationError):
    code = "character_unknown"
    status = 404
    default = "There is no such character."


class FormatUnknown(ConversationError):
    code = "format_unknown"
    default = "There is no such audio format."


class ServerBusy(ConversationError):
    code = "server_busy"
    status = 503
    retryable = True
    default = "The server is full at the moment."
    retry_after_s: ClassVar[int] = 5


class ServerRestarted(ConversationError):
    code = "server_restarted"
    status = 503
    retryable = True
    default = "The server restarted in the middle of this reply; ask again."


class TooManyWaiting(ConversationError):
    code = "too_many_waiting"
    status = 429
    retryable = True
    default = "Too many messages are waiting in this session."


class ListenerTooSlow(ConversationError):
    code = "listener_too_slow"
    retryable = True
    default = "This connection cannot keep up; come back and go on where you were."


class StoreUnreachable(ConversationError):
    code = "store_unreachable"
    status = 503
    retryable = True
    default = "The server cannot reach its memory at the moment."


class ModelError(ConversationError):
    """The language model did not answer as it should."""

    code = "model_failed"
    status = 502
    retryable = True
    default = "The language model failed."


class ModelUnreachable(ModelError):
    code = "model_unreachable"
    default = "The language model cannot be reached."


class ModelRefused(ModelError):
    code = "model_refused"
    retryable = False
    default = "The language model refused the request."


class ModelStalled(ModelError):
    code = "model_stalled"
    default = "The language model stopped answering."


class ReplyTooLong(ModelError):
    code = "reply_too_long"
    retryable = False
    default = "The reply became too long and was ended here."


class ModelCut(ModelError):
    code = "model_cut"
    default = "The connection to the language model was lost in the middle of the reply."
