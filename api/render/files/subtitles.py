"""Subtitles of a render: SRT, WebVTT, and every time that is known as JSON. Not: the sound.

A line is shown while it is spoken; a long one in captions of two rows at most. Where those begin is known to the
sample for each piece that was spoken by itself, to the word if the engine told, and else estimated from the letters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Any, NamedTuple

from api.render.pieces import cut
from api.render.script import Script
from api.render.sound.assembly import Placed, Plan
from api.render.sound.clips import ms_to_samples, samples_to_ms
from api.transcript import Cue, clock, escape

CAPTION_CHARS = 84
"""Two rows of 42."""
_SENTENCE_ENDS, _CLAUSE_ENDS, _CLOSING = (".", "!", "?", "…"), (",", ";", ":", "—", "–"), "\"'”’»)"
_WORD = re.compile(r"\S+")


class TimedWord(NamedTuple):
    """A word, and when it is heard."""

    text: str
    start_ms: int
    end_ms: int
    is_estimated: bool


def as_srt(plan: Plan, _: Script) -> str:
    """SubRip."""
    blocks = [
        f"{number}\n{clock(cue.start_ms, ',')} --> {clock(cue.end_ms, ',')}\n{cue.speaker}: {cue.text}\n"
        for number, cue in enumerate(captions(plan), 1)
    ]
    return "\n".join(blocks)


def as_vtt(plan: Plan, _: Script) -> str:
    """WebVTT."""
    blocks = [
        f"{clock(cue.start_ms, '.')} --> {clock(cue.end_ms, '.')}\n<v {escape(cue.speaker)}>{escape(cue.text)}\n"
        for cue in captions(plan)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def as_json(plan: Plan, script: Script) -> str:
    """Each line with its words."""
    lines = [
        {
            **describe(placed, script),
            "words": [
                {"text": word.text, "start_ms": word.start_ms, "end_ms": word.end_ms}
                | ({"estimated": True} if word.is_estimated else {})
                for word in words(placed)
            ],
        }
        for placed in plan.placed
    ]
    whole = {"title": script.title, "duration_ms": plan.duration_ms, "lines": lines}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


FORMATS: Mapping[str, tuple[str, Callable[[Plan, Script], str]]] = {
    "srt": ("application/x-subrip", as_srt),
    "vtt": ("text/vtt", as_vtt),
    "json": ("application/json", as_json),
}
"""Name → media type, and what makes it."""


def describe(placed: Placed, script: Script) -> dict[str, Any]:
    """A line and when it is heard."""
    line = placed.take.line
    return {
        "number": line.number,
        "speaker": line.speaker,
        "text": line.text,
        **({"chapter": script.chapters[line.chapter]} if script.chapters else {}),
        "start_ms": placed.start_ms,
        "end_ms": placed.end_ms,
    }


def captions(plan: Plan) -> Iterator[Cue]:
    """In the order of the render; none for what is silent."""
    for placed in plan.placed:
        speaker = _shown(placed.take.line.speaker)
        rows = list(_rows(words(placed)))
        for row, following in zip(rows, [*rows[1:], []], strict=True):
            end_ms = following[0].start_ms if following else placed.end_ms
            yield Cue(row[0].start_ms, end_ms, speaker, _shown(" ".join(word.text for word in row)))


def words(placed: Placed) -> list[TimedWord]:
    """The words of a line as it is written, in order; none if it is silent."""
    if not placed.clips:
        return []
    if placed.take.words:
        return [
            TimedWord(word.text, _produced_ms(placed, word.start_ms), _produced_ms(placed, word.end_ms), False)
            for word in placed.take.words
        ]
    parts = cut(placed.take.line.text)
    if len(parts) != len(placed.clips):
        return _estimated(placed.take.line.text, placed.start, placed.end)
    return [
        word
        for part, clip in zip(parts, placed.clips, strict=True)
        for word in _estimated(part, clip.start, clip.start + clip.length)
    ]


def _estimated(text: str, start: int, end: int) -> list[TimedWord]:
    """Words over a stretch of samples, each as long as it has letters."""
    found = [(word[0], word.start(), word.end()) for word in _WORD.finditer(text)]
    step = (end - start) / max(1, len(text))
    return [
        TimedWord(word, samples_to_ms(start + round(first * step)), samples_to_ms(start + round(last * step)), True)
        for word, first, last in found
    ]


def _produced_ms(placed: Placed, raw_ms: int) -> int:
    """When a moment of the line's clips, one behind the other, is heard in the render."""
    raw = ms_to_samples(raw_ms)
    clip = next((clip for clip in reversed(placed.clips) if clip.offset <= raw), placed.clips[0])
    within = min(max(raw - clip.offset - clip.first, 0), clip.length)
    return samples_to_ms(clip.start + within)


def _rows(left: list[TimedWord]) -> Iterator[list[TimedWord]]:
    """Words as they are shown together: broken behind a sentence, else behind a clause, else where it is full."""
    while left:
        lengths = list(accumulate(len(word.text) + 1 for word in left[:CAPTION_CHARS]))
        fits = max(1, sum(length - 1 <= CAPTION_CHARS for length in lengths))
        if fits < len(left):
            for marks in (_SENTENCE_ENDS, _CLAUSE_ENDS):
                ends = [at for at in range(fits, fits // 3, -1) if left[at - 1].text.rstrip(_CLOSING).endswith(marks)]
                if ends:
                    fits = ends[0]
                    break
        yield left[:fits]
        left = left[fits:]


def _shown(text: str) -> str:
    """One row of text; an arrow would begin another caption."""
    return " ".join(text.replace("-->", "→").split())
