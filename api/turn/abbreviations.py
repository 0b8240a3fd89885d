"""Full stops: which ones end a sentence and which belong to a word. Knows no buffer and no token.

Two opinions: tables of our own, and `sentencex`, which knows the abbreviations of many languages. A sentence
ends only where both agree: together they split wrongly less often than either alone.
"""

from __future__ import annotations

import re

try:
    import sentencex
except ImportError:  # Our tables then decide alone.
    sentencex = None


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEVER_LAST = _words(
    """
    dr mr mrs ms mx prof rev hon gen col maj capt cpt cmdr lt sgt cpl pvt gov sen rep pres supt messrs mt
    e.g i.e eg ie vs cf viz approx est ca al incl excl resp tel ext feat ft
    z.b d.h u.a i.d.r bzw ggf usf zzgl inkl evtl sog vgl hr hrn fr frl mag nr str abs bspw dipl ing phil habil
    geb gest mme mlle mm mgr p.ex par.ex m.m env av
    sra srta srs dra dña dn ud uds vd p.ej ej
    sig dott avv sigg dhr mevr drs bijv d.w.z
    """
)
"""Casefolded, without the last stop: titles, and what always explains the next word."""

SELDOM_LAST = _words(
    """
    etc usw jr sr esq inc ltd co corp llc plc bros gmbh dept univ assn ave blvd rd st ste sq apt bldg ct hwy
    ph.d m.d b.a m.a b.sc m.sc d.d.s r.n a.m p.m a.d b.c b.c.e c.e u.s u.s.a u.k u.n e.u d.c
    jan feb febr mar apr jun jul aug sep sept oct nov dec mär okt dez janv févr avr juil déc ene abr ago dic
    mon tue tues wed thu thur thurs fri max avg hr hrs lb lbs oz
    """
)
"""These end a sentence only before a word that usually begins one."""

BEFORE_NUMBER = _words("no nos p pp fig figs vol vols ch chap art sec eq eqs ver op pt par núm nº n° pág bd kap min")
"""These belong to the number behind them; before a word they are words."""

STARTERS = _words(
    """
    The This That These Those It He She We They You I A An My Your His Her Our Their Its There Here
    In On At By To For From With After Before While Since Because If When Where Why How What Who Which As
    But And So Then Or Yet Now Also However Still Thus Later Once Both Each Every Some Many Most Not Yes No
    Is Are Was Were Do Does Did Can Could Will Would Should Have Has Had Let Let's Please Thanks Although
    It's That's There's He's She's I'm I've I'll We're We've You're They're What's Don't
    Der Die Das Es Er Sie Wir Ich Ihr Ein Eine Und Aber Dann Dort Hier Im Am Auf Mit Wenn Wie Was Wer Wo Doch
    Le La Les Il Elle Nous Vous Ils Elles Je Un Une Et Mais Ce Cette C'est On
    El Los Las Lo Una Y Pero Esta Este En Yo
    """
)
"""Words with which sentences begin and that are no names."""

GERMAN_DATES = _words(
    """
    Januar Jänner Februar März April Mai Juni Juli August September Oktober November Dezember Jahrhundert
    Weltkrieg Stock Klasse Platz Mal
    """
)
BEFORE_ORDINAL = _words("am der die das den dem des vom zum zur im ab bis seit beim jeden jeder jedes")
"""German words after which a number of one or two digits is an ordinal: "am 3. Mai"."""

OPENING = "([{<\"'“”‘’„‚«‹»›*_`~¿¡—–-/ \u00a0\u202f"
"""What may stand before the first letter of a word."""

_ROMAN = re.compile(r"(?:[IVXLC]{2,}|[VX])\b")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
_LIST_NUMBER = re.compile(r"[ \t>]*(?:[-*+•][ \t]+)?[#*_ ]*(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WIDE_SPACE = re.compile(r"[^\S ]")


def stop_ends(text: str, stop: int, at: int, whole: bool, new_line: bool, language: str) -> bool:
    """Whether the single full stop at `stop` ends a sentence when the next word is `text[at:]`.

    `whole`: nothing can be added to that word. `new_line`: the text starts on a line of its own.
    """
    line_start = max(text.rfind("\n", 0, stop), text.rfind("\r", 0, stop)) + 1
    if (line_start or new_line) and _LIST_NUMBER.fullmatch(text, line_start, stop):
        return False
    words, following = words_before(text, stop), text[at:]
    if following[:1] == "." or stop_belongs_to_word(words, following, whole):
        return False
    if is_lower(following.lstrip(OPENING)) and not _is_casual(text[:stop], words):
        return False
    if words and _is_before_number(words[-1].lstrip(OPENING)):
        # To sentencex "No. I do not" is a number.
        return True
    return _library_agrees(text, stop, len(text) - len(following.lstrip(OPENING)), language)


def stop_belongs_to_word(words: list[str], following: str, whole: bool) -> bool:
    """Whether the stop after `words` is part of the last of them; `following` is "" if nothing is known."""
    word = words[-1].lstrip(OPENING) if words else ""
    head = following.lstrip(OPENING)
    starter = whole and head.rstrip(",;:!?…\"'”’*_") in STARTERS
    folded = word.casefold()
    if folded in NEVER_LAST:
        return True
    if _is_before_number(word):
        return not following or head[:1].isdigit() or _ROMAN.match(head) is not None
    if word.isdecimal() and len(word) <= 2:
        is_ordinal = len(words) > 1 and words[-2].casefold() in BEFORE_ORDINAL
        return head.rstrip(",.;:") in GERMAN_DATES or (is_ordinal and not starter)
    if folded in SELDOM_LAST or _DOTTED.fullmatch(word) or (len(word) == 1 and word.isupper()):
        # "J. R. R. Tolkien", "the U.S. Government", but "vitamin C. It helps".
        return not starter
    return False


def words_before(text: str, stop: int) -> list[str]:
    """The last one or two words before the stop; none if it stands alone."""
    near = text[max(0, stop - 48) : stop]
    return [] if near[-1:].isspace() else near.split()[-2:]


def is_lower(head: str) -> bool:
    """Whether a word begins small; "iPhone" does not."""
    return head[:1].islower() and not head[1:2].isupper()


def _is_before_number(word: str) -> bool:
    return word.casefold() in BEFORE_NUMBER and not (len(word) == 1 and word.isupper())


def _is_casual(piece: str, words: list[str]) -> bool:
    """Whether the writer uses no capitals at all: "i am fine. how are you?"."""
    return piece == piece.lower() and bool(words) and len(words[-1]) > 1 and words[-1].isalpha()


def _library_agrees(text: str, stop: int, end: int, language: str) -> bool:
    """Whether `sentencex`, if installed, also splits `text` behind the stop and not behind `end`."""
    if sentencex is None:
        return True
    # sentencex 1.0.32 panics where a white space of several bytes precedes an initial; it refuses surrogates.
    plain = _SURROGATE.sub("x", _WIDE_SPACE.sub(" ", text))
    try:
        pieces = sentencex.segment(language, plain)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        # A Rust panic is no Exception: unhandled it would end the whole turn.
        return True
    at = 0
    for piece in pieces:
        at += len(piece)
        if at > stop:
            return at <= end
    return True
