"""SRT and WebVTT: captions as lines, their times as pauses. Not: subtitles of a render (files/subtitles.py)."""

from __future__ import annotations

import re

from api.render.reading.cues import find_cue, say, say_cue
from api.render.reading.draft import Draft
from api.render.reading.text import text_lines
from api.render.script import NARRATOR, Script

MAX_GAP_MS = 5_000
"""What is longer was made for a film, and nobody wants to listen to it."""
_CLOCK = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})[,.](\d{1,3})"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^<>]*)>")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}")
_BLOCKS = ("WEBVTT", "NOTE", "STYLE", "REGION")


def read_captions(text: str, narrator: str = "") -> Script:
    """`narrator`: who says what has no name; else one of that name. Raises: ScriptInvalid."""
    draft, block, is_cue, end_ms = Draft(), "", False, None
    for number, raw in enumerate(text_lines(text), 1):
        line = raw.strip()
        if not line:
            block, is_cue = "", False
        elif times := _TIMES.fullmatch(line):
            start_ms, ends_ms = _ms(times.groups()[:4]), _ms(times.groups()[4:])
            if ends_ms < start_ms:
                draft.problem(number, "a caption cannot end before it begins.")
            if end_ms is not None:
                draft.pause(number, min(max(start_ms - end_ms, 0), MAX_GAP_MS - draft.pause_ms))
            end_ms, is_cue = ends_ms, True
            draft.speak_as(number, narrator or NARRATOR)
        elif is_cue:
            _read_words(draft, number, line)
        elif block or line.startswith(_BLOCKS):
            block = line
        elif not line.isdigit() and "-->" in line:
            draft.problem(number, "these are no times; 00:00:01,000 --> 00:00:02,500 would be.")
        else:
            # The number or the name of a caption.
            block = ""
    return draft.finish()


def _read_words(draft: Draft, number: int, line: str) -> None:
    if voice := _VOICE.search(line):
        draft.speak_as(number, voice[1])
    line = _TAG.sub("", _VOICE.sub("", line)).replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
    # Two people in one caption: "- Here? - Here."
    line = line.removeprefix("- ").removeprefix("– ")
    if (cue := find_cue(line)) is not None:
        say_cue(draft, number, cue)
    else:
        say(draft, number, line)


def _ms(clock: tuple[str | None, ...]) -> int:
    hours, minutes, seconds, rest = clock
    return (int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)) * 1000 + int(
        (rest or "0").ljust(3, "0")
    )
