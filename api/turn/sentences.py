"""Sentences: cuts a streamed reply into pieces fit to be spoken at once. Knows no clock, job, voice, socket.

Whether a mark ends a sentence is decided by a fixed amount of the text behind it (closing quotes, next word),
never by where a token ended. So the same reply gives the same sentences however the model cut it.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum, auto

from api.turn.abbreviations import OPENING, is_lower, stop_belongs_to_word, stop_ends, words_before

FIRST_CLAUSE_CHARS = 20
"""The first piece may end at a clause from this length on: the first audio starts earlier."""
LOOK_AHEAD = 64
"""Characters behind the longest sentence that may still decide about its end."""
WORD_CHARS = 24
"""As much of the next word as is looked at."""

PICTURES = "\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
EMOJI = PICTURES + "\u200d\u20e3\ufe0e\ufe0f\U000e0020-\U000e007f"
"""Body of a character class: pictures, and what joins or colours them."""
_SPACED = ".!?…‽⁇⁈⁉‼．"
"""End a sentence before a space."""
_UNSPACED = "。！？｡؟۔।॥։។៕།༎။፧።፨᠃᠉෴܀܁܂๚๛꯫"
"""End a sentence whatever follows: their scripts write no space, or use the mark for nothing else."""
_MARKS = _SPACED + _UNSPACED
_CLOSING = r"\"'”’“‘»«›‹)\]}」』）】》〉］｝*_~`"
_NEWLINES = "\n\r\u2028\u2029"
_CLAUSES, _UNSPACED_CLAUSES = ",;:—–،؛", "，、；："

_NEWLINE = re.compile(f"[{_NEWLINES}]")
_CANDIDATE = re.compile(f"[{_NEWLINES}{_MARKS}]")
_FIRST_CANDIDATE = re.compile(f"[{_NEWLINES}{_MARKS}{_CLAUSES}{_UNSPACED_CLAUSES}-]")
_END = re.compile(f"([{_MARKS}]+)([{_CLOSING}{_MARKS}]*)(?:[ \u00a0\u202f]?[{EMOJI}]+[{_CLOSING}]*)*")
_FRENCH_QUOTE = re.compile("[ \u00a0\u202f]?»")
_LONG_CLAUSE = re.compile(f"[{_CLAUSES}!?](?=[ \t])|[{_UNSPACED_CLAUSES}]")
_SPACES = re.compile(rf"[^\S{_NEWLINES}]*+")
_WORD = re.compile(rf"(?:[«‹„—–*-]{{1,4}}[^\S{_NEWLINES}])?(\S{{0,{WORD_CHARS}}})")
"""With an opening quote or dash that stands apart: « Oui. »"""
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_HIRAGANA = re.compile("[\u3041-\u309f]")
_JOINED = re.compile("(?s)\u200d.|.[\u200d🏻-🏿\U000e0020-\U000e007f]|[\ud800-\udbff][\udc00-\udfff]")
_FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))
_ADDRESS = re.compile(r"[/@\\]|www|\d\Z")

_FENCE_LINE = re.compile(r"[ \t>]*(`{3,}|~{3,})([^`]*)")
_FENCE_TAIL = re.compile(r"[ \t](`{3,})[^`\s]*[ \t]*\Z")

_WAIT = -1
"""In place of an end: the text does not tell yet."""


class _Rest(Enum):
    """What is known about the text behind the buffer."""

    UNKNOWN = auto()
    LATE = auto()
    """More may come, but the caller would rather speak than wait."""
    NONE = auto()


class SentenceBuffer:
    """Collects tokens, hands out sentences; what was handed out is never taken back.

    A sentence is stripped of white space at both ends; nothing else is lost, doubled or moved. It has at most
    `max_chars` characters, and at least `min_chars` unless the text ends: a short one is joined to the next.
    A code fence is one piece, cut only if it is longer than `max_chars`.
    """

    def __init__(
        self, min_chars: int = 10, max_chars: int = 240, first_clause: bool = True, language: str = "en"
    ) -> None:
        """`language`: ISO code whose abbreviations `sentencex` should know besides our own tables.

        Raises: ValueError unless 1 <= min_chars <= max_chars.
        """
        if not 1 <= min_chars <= max_chars:
            raise ValueError(f"1 <= min_chars <= max_chars, not {min_chars} and {max_chars}")
        self._min, self._max, self._limit = min_chars, max_chars, max_chars + LOOK_AHEAD
        self._first_clause, self._language = first_clause, language
        self._reset()

    def push(self, token: str) -> list[str]:
        """Add a token; return the sentences it completed.

        A list and no generator: a caller that drops the result must not thereby lose the token.
        """
        found: list[str] = []
        # A long token goes through in slices, so that cutting from the front of the buffer stays cheap.
        for start in range(0, len(token), self._limit):
            self._text += token[start : start + self._limit]
            found += self._take(_Rest.UNKNOWN)
        return found

    def flush(self) -> list[str]:
        """End of the reply: return all that is left; the buffer is then as new."""
        found = self._take(_Rest.NONE)
        self._reset()
        return found

    def idle(self) -> list[str]:
        """The model pauses: return the sentences that wait only for their look-ahead.

        Never half a sentence, but for one case that no rule can see: a pause within "example" "." "com".
        """
        return self._take(_Rest.LATE)

    def _reset(self) -> None:
        self._text, self._fence = "", ""
        self._scanned, self._scanned_fence = 0, ""
        self._line_start, self._first = True, self._first_clause

    def _take(self, rest: _Rest) -> list[str]:
        found = []
        self._trim()
        while self._text and (end := self._end(rest)) is not None:
            sentence, self._text = self._text[:end].rstrip(), self._text[end:]
            found.append(sentence)
            self._fence = open_fence(sentence, self._fence)
            self._scanned, self._scanned_fence = 0, self._fence
            self._line_start = self._first = False
            self._trim()
        return found

    def _trim(self) -> None:
        """Drop white space before a sentence."""
        if not self._scanned and self._text[:1].isspace():
            text = self._text.lstrip()
            gap = self._text[: len(self._text) - len(text)]
            self._line_start = self._line_start or _NEWLINE.search(gap) is not None
            self._text = text

    def _end(self, rest: _Rest) -> int | None:
        """Where the first sentence ends, a position in the buffer; None: the text does not tell yet."""
        text = self._text[: self._limit]
        if len(text) == self._limit:
            rest = _Rest.NONE
        at, fence, end = self._scanned, self._scanned_fence, None
        while end is None and at < min(len(text), self._max + 1):
            end, at, fence = self._step(text, at, fence, rest)
            if end is not None and end != _WAIT and not self._fits(text, end):
                end = None
        if rest is not _Rest.LATE:
            self._scanned, self._scanned_fence = at, fence
        if end is None and rest is _Rest.NONE:
            return len(text) if len(text.rstrip()) <= self._max else self._longest(text, fence)
        return None if end == _WAIT else end

    def _fits(self, text: str, end: int) -> bool:
        return end <= self._max and len(text[:end].rstrip()) >= self._min

    def _step(self, text: str, at: int, fence: str, rest: _Rest) -> tuple[int | None, int, str]:
        """Look at the next newline, mark or clause: the end if it is one, where to go on, the open fence."""
        found = (_NEWLINE if fence else _FIRST_CANDIDATE if self._first else _CANDIDATE).search(text, at)
        if found is None or found.start() > self._max:
            return None, len(text), fence
        start, mark = found.start(), found[0]
        if mark in _NEWLINES:
            line_start = max(text.rfind(newline, 0, start) for newline in _NEWLINES) + 1
            fence = _fence_after(text[line_start:start], fence)
            return None if fence else start, start + 1, fence
        if mark in _MARKS:
            marks, end = _marks(text, start)
            ends, go_on = self._ends(text, marks, end, rest), marks.end()
        elif start + 1 >= max(FIRST_CLAUSE_CHARS, self._min):
            ends, end, go_on = _is_clause(text, start, rest), start + 1, start + 1
        else:
            return None, start + 1, fence
        return (_WAIT, start, fence) if ends is None else (end if ends else None, go_on, fence)

    def _ends(self, text: str, marks: re.Match[str], end: int, rest: _Rest) -> bool | None:
        """Whether a sentence ends at `end`, behind `marks`; None: the text does not tell yet."""
        at, following, whole = _following(text, end, rest)
        if at == len(text):
            return None if rest is _Rest.UNKNOWN else rest is _Rest.NONE or _is_complete(text[:end], marks)
        if not following:  # a newline
            return True
        if _is_inside(text[:end]):
            return False
        unspaced = any(mark in _UNSPACED for mark in marks[0])
        if at == end:
            before = text[marks.start() - 1 : marks.start()]
            # 「行く。」と言った: the quotation goes on.
            goes_on = bool(marks[2]) and _HIRAGANA.match(following) is not None
            return not goes_on if unspaced else bool(_CJK.match(before) and _CJK.match(following))
        if unspaced:
            return True
        head = following.lstrip(OPENING)
        if whole is None and (marks[1] == "." or len(head) < 2):
            return None
        if marks[1] == ".":
            seen = text[: at + len(following)]
            return stop_ends(seen, marks.start(), at, bool(whole), self._line_start, self._language)
        # "Really?" he said. Hmm… yes. But: what? no way!
        needs_capital = bool(marks[2]) or end > marks.end() or not ("!" in marks[1] or "?" in marks[1])
        return not (needs_capital and is_lower(head))

    def _longest(self, text: str, fence: str) -> int:
        """Where to cut what exceeds the limit: at a clause, else at a word, else where it breaks least."""
        if not fence:
            clauses = [found.end() for found in _LONG_CLAUSE.finditer(text, self._max // 2, self._max)]
            if clauses and clauses[-1] >= self._min:
                return clauses[-1]
        for spaces in (_NEWLINES, " \t" + _NEWLINES) if fence else (" \t",):
            for at in range(self._max, self._min - 1, -1):
                if text[at] in spaces and self._fits(text, at):
                    return at
        for at in range(self._max, max(self._min, self._max - 32) - 1, -1):
            if not _is_within(text, at) and self._fits(text, at):
                return at
        return self._max


def open_fence(sentence: str, fence: str = "") -> str:
    """The marker of the code fence left open behind a sentence, "" if none; `fence`: the one open before it."""
    if fence or "```" in sentence or "~~~" in sentence:
        for line in _NEWLINE.split(sentence):
            fence = _fence_after(line, fence)
    return fence


def _fence_after(line: str, fence: str) -> str:
    marker = _FENCE_LINE.fullmatch(line)
    if fence:
        return "" if marker and marker[1].startswith(fence) and not marker[2].strip() else fence
    if marker:
        return marker[1]
    # Models also open one behind a colon: "Try this: ```python".
    tail = _FENCE_TAIL.search(line) if line.count("```") == 1 else None
    return tail[1] if tail else ""


def _marks(text: str, start: int) -> tuple[re.Match[str], int]:
    """The marks at `start` with what closes behind them, and where that ends."""
    marks = _END.match(text, start)
    assert marks is not None  # noqa: S101 - there is a mark at `start`
    quote = _FRENCH_QUOTE.match(text, marks.end())
    if quote and text.count("«", 0, quote.start()) > text.count("»", 0, quote.start()):
        return marks, quote.end()
    return marks, marks.end()


def _following(text: str, end: int, rest: _Rest) -> tuple[int, str, bool | None]:
    """The word behind `end`: its position, its text, whether it is whole (None: not told yet)."""
    spaces = _SPACES.match(text, end)
    at = spaces.end() if spaces else end
    word = _WORD.match(text, at)
    following = word[0] if word else ""
    if at + len(following) < len(text) or (word and len(word[1]) == WORD_CHARS):
        return at, following, True
    return at, following, None if rest is _Rest.UNKNOWN else rest is _Rest.NONE


def _is_clause(text: str, start: int, rest: _Rest) -> bool | None:
    """Whether the first piece may end behind the clause mark at `start`; None: the text does not tell yet."""
    if text[start] == "-" and not text[start - 1].isspace():
        return False
    if _is_inside(text[:start]) or text.count("(", 0, start) > text.count(")", 0, start):
        return False
    if text[start] in _UNSPACED_CLAUSES:
        return True
    at, following, whole = _following(text, start + 1, rest)
    if at == start + 1 < len(text):
        return False
    if whole is None:
        return None
    # Something must follow that word: "…, sir." is not worth a piece of its own.
    return at + len(following) < len(text) and bool(following) and not _END.search(following)


def _is_inside(piece: str) -> bool:
    """Whether `piece` stops within inline code or the text of a link, which only make sense whole."""
    return piece.count("`") % 2 == 1 or piece.rfind("[") > piece.rfind("]")


def _is_complete(piece: str, marks: re.Match[str]) -> bool:
    """Whether `piece`, with which the buffer ends, is a sentence whatever comes next."""
    if _is_inside(piece) or piece.count('"') % 2 or piece.count("**") % 2:
        return False
    if any(piece.count(left) > piece.count(right) for left, right in ("()", "«»")):
        return False
    if piece.count("“") > piece.count("”") + piece.count("„"):
        return False
    if any(mark in _UNSPACED for mark in marks[0]):
        return True
    words = words_before(piece, marks.start())
    if marks[1] != ".":
        return ("!" in marks[1] or "?" in marks[1]) and not (words and _ADDRESS.search(words[-1]))
    if not words or len(words[-1]) < 2 or _ADDRESS.search(words[-1]):
        return False
    return not stop_belongs_to_word(words, "", whole=False)


def _is_within(text: str, at: int) -> bool:
    """Whether a cut at `at` would break what is seen as one character."""
    if text[at] in _FLAG_LETTERS:
        return (at - len(text[:at].rstrip(_FLAG_LETTERS))) % 2 == 1
    return unicodedata.category(text[at])[0] == "M" or _JOINED.match(text, at - 1) is not None
