"""Every Redis key and how long it lives. Not: connections, commands.

Keys of a session carry `{session}` as their hash tag, so that Redis Cluster keeps a session in one slot.
"""

SENTENCE_LIFETIME_S = 600
"""Audio can be resumed and replayed for ten minutes after it was asked for; an end or another attempt renews it."""
SESSION_LIFETIME_S = 24 * 3600
"""Text, turns and history of a session after its last sign of life."""
INBOX_LIFETIME_S = 120
WORKER_LIFETIME_S = 4
TICKET_LIFETIME_S = 60

EVENTS_MAXLEN = 20_000
"""Events of a session; most are under 300 bytes, none is longer than a reply may be."""
MESSAGES_MAXLEN = 256
INBOX_MAXLEN = 50_000
HISTORY_MAXLEN = 400

PREFIX = "cueline"
WORKERS = f"{PREFIX}:workers"
"""Set: names of the workers that have said they live; those without a key of their own are gone."""


def sentence(session: str, turn: int, sentence: int) -> str:
    """Stream: the audio of one sentence. Entry id = `<attempt>-<part + 2>`; see docs/decisions."""
    return f"{PREFIX}:{{{session}}}:sentence:{turn}:{sentence}"


def events(session: str) -> str:
    """Stream: every text message of a session. Entry id = `<n>-0`, n from 1."""
    return f"{PREFIX}:{{{session}}}:events"


def session(session: str) -> str:
    """Hash: what another api process needs to go on with a session."""
    return f"{PREFIX}:{{{session}}}:session"


def messages(session: str) -> str:
    """List: the clients' own names of messages, with their turns, oldest first."""
    return f"{PREFIX}:{{{session}}}:messages"


def owner(owner: str) -> str:
    """Sorted set: an owner's sessions by the time they were last used."""
    return f"{PREFIX}:owner:{owner}"


def turn(session: str, turn: int) -> str:
    """Hash: state, number of sentences and reason of one turn."""
    return f"{PREFIX}:{{{session}}}:turn:{turn}"


def history(session: str) -> str:
    """List: what was said and heard, as JSON messages, oldest first."""
    return f"{PREFIX}:{{{session}}}:history"


def inbox(api: str) -> str:
    """Stream: bells for one api process."""
    return f"{PREFIX}:inbox:{{{api}}}"


def worker(name: str) -> str:
    """String with a short lifetime: a speech worker that consumes, and what it can speak."""
    return f"{PREFIX}:worker:{name}"


def ticket(digest: str) -> str:
    """String: the owner of a one-use ticket, stored under the ticket's SHA-256."""
    return f"{PREFIX}:ticket:{digest}"
