"""The plain form: one `NAME: what they say` a line. Not: files of other kinds.

A line without a name goes on with the last speaker: directly below as the same line, after a blank one as the next.
So does an indented one, and one behind a backslash, whatever is in it. `#` begins a comment, a line that is all in
parentheses or brackets is a stage direction, [chapter Title] begins a chapter, [pause 800ms] is silence.
"""

from __future__ import annotations

from api.render.reading.cues import chapter_title, find_cue, is_apart, say, say_cue
from api.render.reading.draft import Draft
from api.render.reading.text import text_lines
from api.render.script import Script


def read_plain(text: str) -> Script:
    """Raises: ScriptInvalid."""
    draft = Draft()
    for number, raw in enumerate(text_lines(text), 1):
        line = raw.strip()
        is_literal = line.startswith("\\")
        cue = None if is_literal or raw[:1].isspace() else find_cue(line)
        if not line:
            draft.close()
        elif line.startswith("#"):
            continue
        elif cue is not None:
            say_cue(draft, number, cue)
        elif (title := chapter_title(line)) is not None:
            draft.chapter(number, title)
        elif is_apart(line) and not is_literal:
            draft.skip(number, line)
        else:
            say(draft, number, line.removeprefix("\\"))
    return draft.finish()
