"""Take: one piece of a line spoken by the workers, whole. Not: which is next, where its sound is kept."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial

from api.inbox import Inbox
from api.render.pieces import pieces
from api.render.play import CastLine, Work
from api.turn.dispatch import Dispatcher, Prepare
from api.turn.relay import SentenceFeed
from api.turn.reorder import ReorderBuffer
from api.turn.timing import Timing
from contract import keys
from contract.chunk import MAX_PCM_BYTES, Chunk
from contract.job import SpeechJob


class Take:
    """What workers say of one piece. Nobody is given any of it before the end, so an attempt that was given up leaves
    nothing behind, whatever the engine."""

    def __init__(self, inbox: Inbox, job: SpeechJob, on_claim: Callable[[], None]) -> None:
        self.key = keys.sentence(job.session, job.turn, job.sentence)
        self.is_cut = False
        """It was longer than a stream can hold."""
        self._job = job
        self._inbox = inbox
        # The sentence before it does not end until all of this one is there.
        self._held = ReorderBuffer((job.sentence - 1, 0))
        timing = Timing(is_heard=False)
        self.feed = SentenceFeed(
            job.sentence, self.key, self._held, self._hold, on_claim, timing, clock=lambda: inbox.listened_s
        )

    async def make(self, dispatcher: Dispatcher, prepare: Prepare) -> bytes:
        """s16le mono 24 kHz, all of it. Raises: SpeechError."""
        job = self._job
        self._inbox.subscribe(self.feed.subscription)
        try:
            next_part = partial(self._held.next_part, job.sentence)
            await dispatcher.speak(job, self.feed, None, next_part, prepare)
        finally:
            self._inbox.unsubscribe(self.feed.subscription)
        before = Chunk(job.turn, job.sentence - 1, 1, 1, b"", last=True)
        pcm = b"".join(chunk.pcm for chunk in self._held.push(before))
        self.is_cut = len(pcm) >= MAX_PCM_BYTES
        return pcm

    def _hold(self, chunk: Chunk) -> None:
        self._held.push(chunk)


def piece_jobs(work: Work, number: int, line: CastLine, inbox: str) -> list[SpeechJob]:
    """The jobs that speak a line, piece by piece: a line is a turn, a piece of it a sentence, from 1 on.

    Each time under a name of its own: what was asked for before, and was given up or is another text by now, may
    still be made, but nobody reads it.
    """
    session = f"line-{secrets.token_hex(8)}"
    return [
        SpeechJob(
            session=session,
            turn=number,
            sentence=place,
            attempt=1,
            text=text,
            voice=line.voice,
            character=line.speaker,
            inbox=inbox,
            render=work.row["title"],
            lines=len(work.lines),
        )
        for place, text in enumerate(pieces(line.text, line.voice.language), 1)
    ]
