"""Tags: whose words are whose in a reply that speaks for several, found while it streams. Pure. Not: sentences.

A tag is `[SPEAKER1]`, the place of a member in the cast, anywhere; or a member's name and a colon where a line
begins. It is never part of the text. A place that nobody has, or that of a member who may not speak, changes nothing:
who speaks goes on. A name that nobody has is no tag, but text. Nothing is a tag in a code fence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from api.turn.sentences import open_fence

Piece = tuple[int, str]
"""Place of the speaker in the cast, and text of its."""

_PLACE = re.compile(r"\[[ \t]{0,3}SPEAKER[ \t_]{0,3}(\d{1,3})[ \t]{0,3}\]", re.IGNORECASE)
_PLACE_BEGUN = re.compile(
    r"\[[ \t]{0,3}(?:S|SP|SPE|SPEA|SPEAK|SPEAKE|SPEAKER(?:[ \t_]{0,3}(?:\d{1,3}[ \t]{0,3})?)?)?\Z", re.IGNORECASE
)
_LEAD = re.compile(r"[ \t]{0,3}([*_]{0,3})")
_NAME_END = re.compile(r"([*_]{0,3})[ \t]{0,2}[:：]")
_NAME_END_BEGUN = re.compile(r"[*_]{0,3}[ \t]{0,2}\Z")
_NEWLINES = "\n\r\u2028\u2029"
_STOP = re.compile(rf"[\[{_NEWLINES}]")
_BEHIND = re.compile(r"[ \t]*")


class TagSplitter:
    """Takes tokens, gives pieces: the same whichever way the reply was cut."""

    def __init__(self, names: Sequence[str], mute: Sequence[int], speaker: int) -> None:
        """`names` of the cast; places of those who may not speak; the place of who begins."""
        self._names = [re.compile(re.escape(name), re.IGNORECASE) for name in names]
        self._folded = [name.casefold() for name in names]
        self._mute = set(mute) - {speaker}
        self._speaker = speaker
        self._text = ""
        self._line = ""
        """The line so far, for the sake of code fences."""
        self._fence = ""
        self._is_line_start = True
        self._swallow = ""
        """What is left out behind a tag, if it comes: marks of emphasis, a colon; then spaces."""
        self._is_behind_tag = False

    def push(self, token: str) -> list[Piece]:
        """Add a token; the pieces of which it is known whose they are."""
        self._text += token
        return self._take(is_end=False)

    def flush(self) -> list[Piece]:
        """The reply has ended: what was held back."""
        return self._take(is_end=True)

    def _take(self, *, is_end: bool) -> list[Piece]:
        found: list[Piece] = []
        while self._text:
            if self._is_behind_tag and not self._skip(is_end=is_end):
                break
            if not self._text:
                break
            if self._is_line_start and not self._fence:
                known = self._name(is_end=is_end)
                if known is None:
                    break
                if known:
                    continue
            if self._text[0] == "[" and not self._fence:
                known = self._place(is_end=is_end)
                if known is None:
                    break
                if known:
                    continue
            self._give(found)
        return found

    def _give(self, found: list[Piece]) -> None:
        """Give text up to where the next tag might begin."""
        stop = _STOP.search(self._text, 1) if self._text[0] not in _NEWLINES else None
        if self._text[0] in _NEWLINES:
            piece, self._text = self._text[0], self._text[1:]
            self._fence, self._line, self._is_line_start = open_fence(self._line, self._fence), "", True
        else:
            end = stop.start() if stop else len(self._text)
            piece, self._text = self._text[:end], self._text[end:]
            self._line += piece
            self._is_line_start = False
        if found and found[-1][0] == self._speaker:
            piece = found.pop()[1] + piece
        found.append((self._speaker, piece))

    def _skip(self, *, is_end: bool) -> bool:
        """Leave out what belongs to the tag before; False while that is not known."""
        if self._swallow:
            if self._text.startswith(self._swallow):
                self._text, self._swallow = self._text[len(self._swallow) :], ""
            elif self._swallow.startswith(self._text) and not is_end:
                return False
            else:
                self._swallow = ""
        spaces = _BEHIND.match(self._text)
        self._text = self._text[spaces.end() if spaces else 0 :]
        if self._text:
            self._is_behind_tag = False
        return True

    def _place(self, *, is_end: bool) -> bool | None:
        """Take a tag that names a place; None: the text does not tell yet."""
        if tag := _PLACE.match(self._text):
            self._turn_to(int(tag[1]))
            self._leave_out(tag.end(), ":")
            return True
        return None if not is_end and _PLACE_BEGUN.match(self._text) else False

    def _name(self, *, is_end: bool) -> bool | None:
        """The same for a tag that is a name."""
        lead = _LEAD.match(self._text)
        assert lead is not None  # noqa: S101  it matches nothing at all, too
        is_open = lead.end() == len(self._text)
        for place, name in enumerate(self._names):
            if whole := name.match(self._text, lead.end()):
                if end := _NAME_END.match(self._text, whole.end()):
                    self._turn_to(place)
                    self._leave_out(end.end(), "" if end[1] else lead[1])
                    self._is_line_start = False
                    return True
                is_open = is_open or _NAME_END_BEGUN.match(self._text, whole.end()) is not None
            else:
                is_open = is_open or self._folded[place].startswith(self._text[lead.end() :].casefold())
        return None if is_open and not is_end else False

    def _turn_to(self, place: int) -> None:
        if place < len(self._names) and place not in self._mute:
            self._speaker = place

    def _leave_out(self, end: int, behind: str) -> None:
        self._text, self._swallow, self._is_behind_tag = self._text[end:], behind, True
