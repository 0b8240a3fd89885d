"""The api's only door to Redis, one file per kind of thing that is kept there. Not: order, meaning."""

from api.streams.client import Entry, StreamsAway, StreamsError
from api.streams.clips import ClipBlobs
from api.streams.events import EventStreams
from api.streams.holders import Holder, Holders
from api.streams.passes import Passes
from api.streams.queue import Queue, Record
from api.streams.recordings import Recordings
from api.streams.records import Records
from api.streams.sentences import TOP_ID, SentenceStreams

__all__ = ["TOP_ID", "Entry", "Holder", "Record", "Streams", "StreamsAway", "StreamsError"]


class Streams(SentenceStreams, EventStreams, Records, Recordings, Queue, Passes, Holders, ClipBlobs):
    """Commands that are short, and clients whose calls end within seconds."""
