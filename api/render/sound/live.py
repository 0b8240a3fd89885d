"""Live: a render heard while its later lines are still being made. Not: the file that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from api.render.sound.assembly import clip_blocks, gain_db_for, never, place, silence
from api.render.sound.loudness import NOTHING_LUFS, Loudness
from api.render.sound.placing import gains, places, samples_to_pcm
from api.render.sound.takes import Style, Take


class Live:
    """The render of lines that are still being made: the same sound, but for how loud its speakers are.

    Nobody knows yet how loud somebody will have been: the first line of each decides. So who listens to this hears
    levels that may differ by some decibels from those of the file.
    """

    def __init__(self, speakers: Iterable[str], style: Style | None = None) -> None:
        self._style = style or Style()
        self._places = places(speakers, self._style.places)
        self._gains_db: dict[str, float] = {}
        self._at = 0
        self._has_begun = False

    def add(self, take: Take, is_cancelled: Callable[[], bool] = never) -> Iterator[bytes]:
        """The next line with the silence before it, in blocks. Raises: AudioGone, Cancelled."""
        speaker, meter = take.line.speaker, Loudness()
        placed = place(take, self._style, self._at, not self._has_begun, meter, is_cancelled)
        lufs = meter.finish()
        gain_db = self._gains_db.get(speaker, gain_db_for(lufs, self._style))
        if lufs > NOTHING_LUFS:
            self._gains_db[speaker] = gain_db
        factors = gains(self._places.get(speaker, 0.0), self._style.channels)
        at, self._at, self._has_begun = self._at, placed.end, True
        for clip in placed.clips:
            yield from silence(clip.start - at, self._style.channels)
            for samples in clip_blocks(placed, clip, gain_db, self._style):
                yield samples_to_pcm(samples, factors)
            at = clip.start + clip.length
        yield from silence(placed.end - at, self._style.channels)
