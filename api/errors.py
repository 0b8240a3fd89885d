"""What can go wrong in a conversation: requests, sessions, the language model. Not: speech (contract/errors.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

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


class AudioUnreadable(ConversationError):
    code = "audio_unreadable"
    default = "This is no sound file: wav, flac, ogg, opus and mp3 are."


class AudioTooLong(ConversationError):
    code = "audio_too_long"
    status = 413
    default = "The recording is too long."


class AccessDenied(ConversationError):
    code = "access_denied"
    status = 401
    default = "This server needs an access key."


class AccessExpired(ConversationError):
    code = "access_expired"
    status = 401
    retryable = True
    default = "You are signed in no longer; sign in again and go on where you were."


class UsersUnreachable(ConversationError):
    code = "users_unreachable"
    status = 503
    retryable = True
    default = "Nobody can say at the moment whether you are signed in; try again."
    retry_after_s: ClassVar[int] = 5


class ShareUnknown(ConversationError):
    code = "share_unknown"
    status = 404
    default = "This link has expired or was taken back."


class ReadOnly(ConversationError):
    code = "read_only"
    status = 403
    default = "Whoever came by this link may listen, not speak."


class RouteUnknown(ConversationError):
    code = "route_unknown"
    status = 404
    default = "There is nothing at this address, or not with this method."


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


class CharacterBuiltIn(ConversationError):
    code = "character_built_in"
    status = 409
    default = "This character is there from the start and cannot be deleted; a change makes a copy of your own."


class NameTaken(ConversationError):
    code = "name_taken"
    status = 409
    default = "There is a character of this name already."


class TooManyCharacters(ConversationError):
    code = "too_many_characters"
    status = 409
    default = "There are too many characters; delete one first."


class CardInvalid(ConversationError):
    code = "card_invalid"
    default = "This file is no character card."


class CastInvalid(ConversationError):
    code = "cast_invalid"
    default = "A session cannot have this cast."


class ModelUnknown(ConversationError):
    code = "model_unknown"
    default = "This server does not talk with that model."


class FormatUnknown(ConversationError):
    code = "format_unknown"
    default = "There is no such audio format."


class Problem(NamedTuple):
    """One thing that is wrong with a script."""

    source_line: int
    """Counts from 1; 0: the whole of it."""
    text: str


class ScriptInvalid(ConversationError):
    """A script that cannot be rendered, with everything that is wrong with it."""

    code = "script_invalid"
    default = "This script cannot be understood."
    TOLD: ClassVar[int] = 5
    """As many problems as its sentence names."""

    def __init__(self, text: str = "", problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        """In the order of the script."""
        super().__init__(text or _told(self.problems, self.TOLD))


class ScriptEmpty(ScriptInvalid):
    code = "script_empty"
    default = "There is nothing to say in this script."


class ScriptTooLong(ScriptInvalid):
    code = "script_too_long"
    status = 413
    default = "The script is too long."


class CastUnknown(ScriptInvalid):
    code = "cast_unknown"
    default = "Somebody in this script is not known here."


class DiskFull(ConversationError):
    code = "disk_full"
    status = 507
    retryable = True
    default = "The disk is full: make room and go on, nothing that was made is lost."


class FileUnwritable(ConversationError):
    code = "file_unwritable"
    status = 500
    default = "The file cannot be written."


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
    default = "The server restarted in the middle of this reply: what it had said is spoken, the rest is lost."


class SessionMoved(ConversationError):
    code = "session_moved"
    status = 503
    retryable = True
    default = "This conversation goes on in another process; come back and go on where you were."


class HolderSilent(ConversationError):
    code = "holder_silent"
    status = 503
    retryable = True
    default = "The process that holds this conversation does not answer; try again in a moment."


class TooManyWaiting(ConversationError):
    code = "too_many_waiting"
    status = 429
    retryable = True
    default = "Too many messages are waiting in this session."


class TooManyMessages(ConversationError):
    code = "too_many_messages"
    status = 429
    retryable = True
    default = "Too many messages at once: wait a moment."
    retry_after_s: ClassVar[int] = 1


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


def error_of_code(code: str, text: str) -> ConversationError:
    """The error that another process answered with; an unknown code becomes a plain ConversationError."""
    kinds = [ConversationError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return next((kind for kind in kinds if kind.code == code), ConversationError)(text)


def _told(problems: Sequence[Problem], at_most: int) -> str:
    told = [f"Line {line}: {text}" if line else text[:1].upper() + text[1:] for line, text in problems[:at_most]]
    more = len(problems) - at_most
    return " ".join([*told, f"And {more} more."] if more > 0 else told)
