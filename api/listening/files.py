"""Files: a sound file of a stranger, to words. Not: HTTP, how words are written down.

It is decoded in a process of its own (decode.py), then understood in pieces of half a minute at most, each cut where
it is most silent: between two of them whoever talks live has the recognizer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

import numpy as np

from api.admission import refusal
from api.encoding.apart import MISSING, Refused, read_apart
from api.errors import AudioTooLong, AudioUnreadable, ConversationError, ListeningUnavailable
from api.listening.hearing import Hearing
from api.listening.words.doubt import Sound, believed, sure
from api.listening.words.recognition import Wishes
from contract.transcribe import HEARING_BYTES_PER_S, Segment, Transcript, Word

MAX_S = 600.0
MAX_FILE_BYTES = 25 * 1024 * 1024
DECODE_S = 90.0
AT_ONCE = 4
"""Files in one process: each holds up to fifty megabytes."""
CUT_FROM_S, CUT_S = 15, 28
WINDOW_BYTES = HEARING_BYTES_PER_S // 50
SILENT_DBFS = -50.0
PROMPT_CHARS = 200
NO_DECODER = "This server cannot read sound files: pip install 'cueline[whisper]'."


class Files:
    """Files that are being understood in this process."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing
        self._at_once = 0

    async def transcribe(self, data: bytes, wishes: Wishes) -> AsyncGenerator[tuple[float, Transcript]]:
        """Each piece's words as they are understood, with the seconds of sound before its end.

        Raises: ConversationError, RecognitionError.
        """
        if self._at_once >= AT_ONCE:
            raise refusal("file")
        self._at_once += 1
        try:
            await self._hearing.check_recognizer()
            pcm = await decode(data)
            async for piece in self._pieces(pcm, wishes):
                yield piece
        finally:
            self._at_once -= 1

    async def _pieces(self, pcm: bytes, wishes: Wishes) -> AsyncGenerator[tuple[float, Transcript]]:
        start = 0
        while start < len(pcm):
            end = cut(pcm, start)
            transcript = await self._hear(pcm[start:end], wishes)
            shifted = _shifted(transcript, start / HEARING_BYTES_PER_S)
            yield end / HEARING_BYTES_PER_S, shifted
            language = wishes.language or transcript.language
            wishes = replace(wishes, prompt=(transcript.text or wishes.prompt)[-PROMPT_CHARS:], language=language)
            start = end

    async def _hear(self, piece: bytes, wishes: Wishes) -> Transcript:
        sound = Sound(len(piece) / HEARING_BYTES_PER_S, len(piece) * 1000 // HEARING_BYTES_PER_S, _loudest(piece))
        if not sound.is_worth_a_look:
            return Transcript()
        recording = self._hearing.recognition.record("file")
        recording.pcm += piece
        try:
            transcript = await recording.look("file", len(piece), wishes)
        finally:
            await recording.close()
        return sure(transcript) if believed(transcript, sound) else replace(transcript, segments=())


async def decode(data: bytes) -> bytes:
    """s16le mono 16 kHz.

    Raises: AudioUnreadable, AudioTooLong, ListeningUnavailable.
    """
    try:
        return await read_apart("api.listening.decode", data, DECODE_S, str(MAX_S))
    except TimeoutError as error:
        raise AudioTooLong("The file takes too long to read.") from error
    except Refused as refused:
        raise _why(refused) from refused


def cut(pcm: bytes, start: int) -> int:
    """Where the piece that begins at `start` ends: at its most silent place, if it has to be cut."""
    if len(pcm) - start <= CUT_S * HEARING_BYTES_PER_S:
        return len(pcm)
    first, last = start + CUT_FROM_S * HEARING_BYTES_PER_S, start + CUT_S * HEARING_BYTES_PER_S
    samples = np.frombuffer(pcm[first:last], "<i2").astype(np.float32)
    power = np.square(samples).reshape(-1, WINDOW_BYTES // 2).mean(axis=1)
    smooth = np.convolve(power, np.ones(5), "same")
    return first + int(np.argmin(smooth)) * WINDOW_BYTES + WINDOW_BYTES // 4 * 2


def _loudest(piece: bytes) -> float:
    """dBFS of its loudest fifth of a second."""
    samples = np.frombuffer(piece, "<i2").astype(np.float32) / np.float32(32_768)
    size = HEARING_BYTES_PER_S // 10
    windows = samples[: len(samples) // size * size].reshape(-1, size) if len(samples) >= size else samples[None]
    power = float(np.square(windows).mean(axis=1).max()) if samples.size else 0.0
    return 10 * float(np.log10(max(power, 1e-10)))


def _shifted(transcript: Transcript, by_s: float) -> Transcript:
    return replace(transcript, segments=tuple(_shift(segment, by_s) for segment in transcript.segments))


def _shift(segment: Segment, by_s: float) -> Segment:
    words = tuple(Word(word.text, word.start + by_s, word.end + by_s) for word in segment.words)
    return replace(segment, start=segment.start + by_s, end=segment.end + by_s, words=words)


def _why(refused: Refused) -> ConversationError:
    if refused.code == MISSING:
        return ListeningUnavailable(NO_DECODER)
    return {kind.code: kind for kind in (AudioUnreadable, AudioTooLong)}.get(refused.code, AudioUnreadable)(
        refused.text
    )
