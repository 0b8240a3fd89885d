"""What is said for a displayed sentence: no markup, no control tokens. Knows no engine, voice or language.

The text is hostile: a model repeats what a web page or a person told it. Every pattern here runs in linear time, and
the passes repeat until nothing changes, so that no tag can be put together from the remains of another.
"""

from __future__ import annotations

import re
import unicodedata

from api.turn.sentences import EMOJI, PICTURES, open_fence

MAX_CHARS = 1_000
"""Longest text sent to an engine."""
_INPUT_CHARS = 8_000
"""As much as is looked at; far more than a sentence."""
_PASSES = 8
_CODE = "code omitted"
_LINK = "link"

_EMOJI = re.compile(f"[{PICTURES}][{EMOJI}]*|[\u20e3\ufe00-\ufe0f\ufffd]+")
_JOINER = re.compile("(?<![\u0600-\u0dff])[\u200c\u200d]+|[\u200c\u200d]+(?![\u0600-\u0dff])")
"""Spelling in Persian and the Indic scripts, a hiding place everywhere else."""
_SPEAKER = re.compile(r"\[\s{0,3}SPEAKER[\s_]{0,3}[\d*]{0,4}\s{0,3}\]:?", re.IGNORECASE)
_SOUND = re.compile(r"<SE(?:_s)?>[^<>]*<(?:/SE|SE_e|/SE_s)>", re.IGNORECASE)
_TOKEN = re.compile(r"<\|[^<>]*>")
_TOKEN_PART = re.compile(r"<\||\|>")
_TAG = re.compile(r"<([/!?]?[^\W\d][^<>]*|!--[^<>]*)>")
_TAG_NAME = re.compile(r"[\w:.-]+")
_TAG_BEGUN = re.compile(r"<(?=[\w/!?:|])(?!\d)")

_URL = re.compile(r"<?\b(?:(?:https?|ftp)://|www\.)[^\s<>]*>?", re.IGNORECASE)
_LINK_TEXT = re.compile(r"!?\[([^\[\]]*)\](?:\((?:[^()]|\([^()]*\))*+\)|\[[^\[\]]*\])")
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]*\]:?")
_ESCAPE = re.compile(r"\\(?=[\\`*_{}\[\]()#+.!|>~-])")
_CODE_MARK = re.compile(r"`+|~{2,}")
_EMPHASIS = re.compile(r"\*+|_+")
_NEWLINE = re.compile("[\n\r\u2028\u2029]")
_RULE = re.compile(r"[\s|:*_=+~-]*")
_QUOTE_MARKS = re.compile(r"(?:>\s?)+")
_HEADING = re.compile(r"#{1,6}\s+")
_BULLET = re.compile(r"[-*+•‣◦]\s+(?:\[[ xX]\]\s+)?")
_NUMBER = re.compile(r"\d{1,3}[.)]\s")
_BARS = re.compile(r"[\s|]*\|[\s|]*")
_WORD = re.compile(r"[^\W_]+")


def spoken(sentence: str, fence: str = "") -> str:
    """What an engine should say: one line, at most `MAX_CHARS`, "" if nothing can be said.

    `fence`: the code fence that the sentences before left open, as `open_fence` tells; of a fence cut in pieces only
    the first is mentioned. What is returned passes through unchanged a second time.
    """
    text = _without_code(sentence[:_INPUT_CHARS], fence)
    for _ in range(_PASSES):
        before, text = text, _pass(text)
        if text == before:
            break
    else:
        # Nested deeper than anybody writes: keep the words, and nothing that could be markup.
        text = _shortened(" ".join(_WORD.findall(text)))
    return text if any(char.isalnum() for char in text) else ""


def _without_code(text: str, fence: str) -> str:
    """Replace code fences; what stands before one on its line stays."""
    if not fence and "```" not in text and "~~~" not in text:
        return text
    lines = []
    for line in _NEWLINE.split(text):
        was_open, fence = bool(fence), open_fence(line, fence)
        if not was_open and not fence:
            lines.append(line)
        elif not was_open:
            lines += [line[: line.rfind(fence)].rstrip(">` \t~"), _CODE]
    return "\n".join(lines)


def _pass(text: str) -> str:
    text = _visible(unicodedata.normalize("NFKC", text))
    text = _URL.sub(_say_url, _LINK_TEXT.sub(r"\1", text))
    for pattern in (_SOUND, _SPEAKER, _FOOTNOTE):
        text = pattern.sub(" ", text)
    text, tokens = _TOKEN.subn(" ", text)
    text, tags = _TAG.subn(_say_tag, text)
    if not tokens and not tags:
        # Only now: what looks half may become whole when the one inside it is gone.
        text = _TAG_BEGUN.sub("< ", _TOKEN_PART.sub(" ", text))
    text = _EMPHASIS.sub(_say_emphasis, _CODE_MARK.sub("", _ESCAPE.sub("", text)))
    return _shortened(_one_line(text))


def _visible(text: str) -> str:
    """Without emoji, controls, bidi marks, lone surrogates and code points that mean nothing."""
    if text.isascii() and text.isprintable():
        return text
    text = _JOINER.sub("", _EMOJI.sub(" ", text))
    return "".join(
        char for char in text if char in "\u200c\u200d" or char.isspace() or unicodedata.category(char)[0] != "C"
    )


def _say_url(url: re.Match[str]) -> str:
    text = url[0]
    if text[0] == "<":
        return _LINK + ("" if text[-1] == ">" else " ")
    return _LINK + text[len(text.rstrip(".,!?;:…)]}'\"*_|>")) :]


def _say_tag(tag: re.Match[str]) -> str:
    """Nothing for a tag; "a <b and c> d" is none, but is spaced so that no engine takes it for one."""
    content = tag[1]
    name = _TAG_NAME.match(content)
    rest = content[name.end() :].strip() if name else ""
    return " " if not rest or "=" in rest or rest[-1] == "/" else f"< {content} >"


def _say_emphasis(run: re.Match[str]) -> str:
    """Nothing for emphasis; "2 * 3", "2**3" and "snake_case" keep their marks."""
    before, after = run.string[run.start() - 1 : run.start()], run.string[run.end() : run.end() + 1]
    if before.isalnum() and after.isalnum():
        keep = run[0][0] == "_" or len(run[0]) == 1 or (before.isdigit() and after.isdigit())
    else:
        keep = run[0] == "*" and before.isspace() and after.isspace()
    return run[0] if keep else ""


def _one_line(text: str) -> str:
    """Join lines; a heading or an item gets a full stop, so that it does not run into the next."""
    said: list[str] = []
    was_apart = False
    for raw in text.splitlines():
        line, apart = _say_line(raw.strip())
        if not line:
            continue
        if said and said[-1][-1].isalnum() and (apart or was_apart or not line[0].islower()):
            said[-1] += "."
        said.append(line)
        was_apart = apart
    return " ".join(" ".join(said).split())


def _say_line(line: str) -> tuple[str, bool]:
    """One line without its markup, and whether it stands apart from its neighbours."""
    if _RULE.fullmatch(line):
        return "", False
    if quote := _QUOTE_MARKS.match(line):
        line = line[quote.end() :].lstrip()
    if heading := _HEADING.match(line):
        return line[heading.end() :].rstrip("# "), True
    if bullet := _BULLET.match(line):
        return line[bullet.end() :], True
    if line.startswith("|") or line.count(" | ") > 1:
        return ", ".join(cell for cell in _BARS.split(line) if cell), True
    return line, line == _CODE or _NUMBER.match(line) is not None


def _shortened(text: str) -> str:
    if len(text) <= MAX_CHARS:
        return text
    return text[: MAX_CHARS + 1].rpartition(" ")[0] or text[:MAX_CHARS]
