"""Every Redis key, how long it lives and how large it may grow. Not: connections, commands.

Keys of a session carry `{session}` as their hash tag, so that Redis Cluster keeps a session in one slot.
"""

RENEW_S = 60
"""While a turn lives, the audio of all its sentences is renewed this often: a reply may be paced to twenty minutes."""
SENTENCE_LIFETIME_S = 600 + RENEW_S
"""Audio can be resumed and replayed for ten minutes after the end of its turn."""
SESSION_LIFETIME_S = 24 * 3600
"""Text, turns and history of a session after its last sign of life."""
TURN_LIFETIME_S = 6 * 3600
"""What is known of a turn beside its text; longer than eight that wait for each other can take."""
INBOX_LIFETIME_S = 120
WORKER_LIFETIME_S = 4
API_LIFETIME_S = 2
"""An api process that has not said for this long that it lives has lost its sessions to whoever wants them."""
TICKET_LIFETIME_S = 60
SHARE_LIFETIME_S = 24 * 3600
"""How long a link to a session works, if it is not taken back before."""
SHARES_MAX = 32
"""Links of one session that work at once."""
RECORDING_LIFETIME_S = 120
"""What somebody said, and what was heard in it, after the last look at it."""
CLIP_LIFETIME_S = 3600
"""A recording that is spoken like, after the last job that named it; the Shelf has it."""
ANCHOR_LIFETIME_S = 30 * 24 * 3600
"""What an engine has made of a recording or a description, after it was last used."""
SPOKEN_LIFETIME_S = 3600
"""What a voice has said last in a session."""
SPEAKING_LIFETIME_S = 20
"""That a sentence is being made, after it was said; then its worker is taken for dead."""
SPOKEN_MAX, SPOKEN_FRAMES = 4, 750
"""Sentences of one voice that are remembered, and the longest: two are gone on from, others may prove unheard."""
UNHEARD = "unheard"
"""Field of a turn: its first sentence that was not heard to its end, where it was cut off."""
CASTING_LIFETIME_S = 30
"""How long a worker that makes one is waited for by others; then it is taken for dead."""

EVENTS_MAXLEN = 20_000
EVENTS_BYTES = 4 * 1024 * 1024
"""Events of a session: the older half goes when there is more. Over an hour of talk."""
EVENTS_LOOK = 256
"""So many events, or so many bytes in one batch, between two looks at their size."""
EVENTS_LOOK_BYTES = 65_536
MESSAGES_MAXLEN = 256
INBOX_MAXLEN = 20_000
"""Bells that nobody has heard yet; those that were heard are forgotten."""
HISTORY_MAXLEN = 400
HISTORY_CHARS = 200_000
"""Of a conversation; a model is told the last of it only."""
OWNER_MAXLEN = 10_000
"""Sessions of one owner that are listed."""

MAX_BYTES = {
    "sentence": 6_500_000,
    "events": EVENTS_BYTES + 1024 * 1024,
    "history": 1024 * 1024,
    "messages": 65_536,
    "session": 65_536,
    "turn": 512 * 1024,
    "holders": 8192,
    "api": 1024,
    "owner": 2 * 1024 * 1024,
    "inbox": 50_000_000,
    "worker": 65_536,
    "workers": 65_536,
    "recording": 1_048_576,
    "transcript": 2 * 1024 * 1024,
    "clip": 2 * 1024 * 1024,
    "anchor": 262_144,
    "casting": 1024,
    "spoken": 131_072,
    "speaking": 1024,
    "recognizer": 65_536,
    "recognizers": 65_536,
    "ticket": 1024,
    "shares": 16_384,
    "probe": 1024,
}
"""Bytes of one key of each kind, as Redis counts them, at the very worst.

A sentence: `chunk.MAX_PARTS` frames. Events: their bound, and what may come between two looks. A history: its
characters at four bytes each. A recording: half a minute of 16 kHz, and Redis' room to grow. A clip: half a minute of
24 kHz and its words. An anchor: half a minute of codes, for ten engines. Spoken: four
of half a minute. A turn: a message, and twice a reply of
20 000 characters. An inbox: `INBOX_MAXLEN` first chunks of 40 ms, while its api does not read.
"""

PREFIX = "cueline"
WORKERS = f"{PREFIX}:workers"
"""Set: names of the workers that have said they live; those without a key of their own are gone."""

RECOGNIZERS = f"{PREFIX}:recognizers"
"""Set: the same of recognition workers."""

PROBE = f"{PREFIX}:probe"
"""String: written to learn whether Redis takes anything; nobody reads it."""


def sentence(session: str, turn: int, sentence: int) -> str:
    """Stream: the audio of one sentence. Entry id = `<attempt>-<part + 2>`; see docs/decisions."""
    return f"{PREFIX}:{{{session}}}:sentence:{turn}:{sentence}"


def events(session: str) -> str:
    """Stream: every text message of a session. Entry id = `<n>-0`, n from 1."""
    return f"{PREFIX}:{{{session}}}:events"


def session(session: str) -> str:
    """Hash: what another api process needs to go on with a session."""
    return f"{PREFIX}:{{{session}}}:session"


def holders(session: str) -> str:
    """Stream: which api process holds a session. Entry id = `<epoch>-0`, so that of two who claim one wins."""
    return f"{PREFIX}:{{{session}}}:holders"


def messages(session: str) -> str:
    """List: the clients' own names of messages, with their turns, oldest first."""
    return f"{PREFIX}:{{{session}}}:messages"


def owner(owner: str) -> str:
    """Sorted set: an owner's sessions by the time they were last used."""
    return f"{PREFIX}:owner:{owner}"


def turn(session: str, turn: int) -> str:
    """Hash: state, what was said, and each sentence of the reply so far, so that another process can go on."""
    return f"{PREFIX}:{{{session}}}:turn:{turn}"


def history(session: str) -> str:
    """List: what was said and heard, as JSON messages, oldest first."""
    return f"{PREFIX}:{{{session}}}:history"


def api(name: str) -> str:
    """String with a short lifetime: an api process that lives."""
    return f"{PREFIX}:api:{name}"


def inbox(api: str) -> str:
    """Stream: bells for one api process, and notes from the others."""
    return f"{PREFIX}:inbox:{{{api}}}"


def worker(name: str) -> str:
    """String with a short lifetime: a speech worker that consumes, and what it can speak."""
    return f"{PREFIX}:worker:{name}"


def recognizer(name: str) -> str:
    """String with a short lifetime: a recognition worker that consumes, and what it hears with."""
    return f"{PREFIX}:recognizer:{name}"


def recording(name: str) -> str:
    """String: what somebody said, as s16le mono at 16 kHz."""
    return f"{PREFIX}:{{{name}}}:recording"


def transcript(name: str) -> str:
    """Stream: what was heard in a recording. Entry id = `<revision>-1` for the claim, `<revision>-2` for the rest."""
    return f"{PREFIX}:{{{name}}}:transcript"


def clip(clip: str) -> str:
    """Hash: a recording that may be spoken like, `pcm` as s16le mono at 24 kHz, and `text`, the words in it."""
    return f"{PREFIX}:{{{clip}}}:clip"


def spoken(session: str, speaker: str, context: str) -> str:
    """Hash: what a voice has said last, `turn:sentence` → JSON, for engines that go on from it."""
    return f"{PREFIX}:{{{session}}}:spoken:{speaker}:{context}"


def speaking(session: str, turn: int, sentence: int) -> str:
    """String with a short lifetime: the context of a sentence that is being made."""
    return f"{PREFIX}:{{{session}}}:speaking:{turn}:{sentence}"


def anchor(name: str) -> str:
    """Hash: what engines have made of a clip, or of a voice that is described, for all workers; engine → JSON."""
    return f"{PREFIX}:{{{name}}}:anchor"


def casting(name: str) -> str:
    """String with a short lifetime: who is making an anchor just now."""
    return f"{PREFIX}:{{{name}}}:casting"


def ticket(digest: str) -> str:
    """String: the owner of a one-use ticket, stored under the ticket's SHA-256."""
    return f"{PREFIX}:ticket:{digest}"


def shares(session: str) -> str:
    """Sorted set: SHA-256 of each link's token, by the second at which it expires."""
    return f"{PREFIX}:{{{session}}}:shares"
