"""What can go wrong with a render and its lines. Not: scripts and files, whose errors are the api's own."""

from __future__ import annotations

from api.errors import ConversationError


class RenderUnknown(ConversationError):
    code = "render_unknown"
    status = 404
    default = "There is no such render."


class LineUnknown(ConversationError):
    code = "line_unknown"
    status = 404
    default = "There is no such line."


class LineNotReady(ConversationError):
    code = "line_not_ready"
    status = 409
    retryable = True
    default = "This line has not been made yet, or could not be."


class LineTooLong(ConversationError):
    code = "line_too_long"
    default = "This line is longer than two minutes of speech: cut it in two."


class RenderChanged(ConversationError):
    code = "render_changed"
    status = 409
    retryable = True
    default = "Somebody else has just changed this render; look again."


class TooManyRenders(ConversationError):
    code = "too_many_renders"
    status = 409
    default = "There are too many renders; delete one first."
