"""What can go wrong with recordings that voices shall sound like."""

from __future__ import annotations

from api.errors import ConversationError


class ClipUnknown(ConversationError):
    code = "clip_unknown"
    status = 404
    default = "There is no such recorded voice."


class TooManyClips(ConversationError):
    code = "too_many_clips"
    status = 409
    default = "There are too many recorded voices; delete one first."


class ConsentMissing(ConversationError):
    code = "consent_missing"
    default = "Whoever speaks in the recording has to agree to be spoken like: say so with consent=true."


class AudioTooShort(ConversationError):
    code = "audio_too_short"
    default = "The recording is too short."


class AudioSilent(ConversationError):
    code = "audio_silent"
    default = "Nobody can be heard in this recording."


class ClipUntold(ConversationError):
    code = "clip_untold"
    default = "What is said in the recording has to be known, word by word: send it as ref_text."
