"""Markup: pauses, speed, pitch and readings written into a text, as passages. Pure. Not: sentences, engines.

`[pause 500ms]` anywhere, and a small part of SSML where the text contains one of its tags: `break`, `prosody` with
`rate` and `pitch`, `sub`, `say-as`; `speak`, `p` and `s` are understood and mean nothing more than a boundary.
Everything else in angle brackets is text, and is handed on as such. Nothing fails: what is half or wrong stays text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

MAX_PAUSE_MS = 10_000
MIN_FACTOR, MAX_FACTOR = 0.25, 4.0
MIN_PITCH, MAX_PITCH = 0.5, 2.0
MAX_DEPTH = 16

_PAUSE = r"\[\s{0,3}pause\s{1,3}(?P<pause>\d{1,5}(?:\.\d{1,3})?)\s{0,2}(?P<unit>ms|s)\s{0,3}\]"
_TAG = r"<(?P<close>/)?(?P<name>speak|break|prosody|sub|say-as|p|s)(?P<attributes>(?:\s[^<>]{0,400})?)(?P<empty>/)?>"
_MARK = re.compile(f"{_PAUSE}|{_TAG}", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([\w:-]{1,32})\s{0,3}=\s{0,3}(?:"([^"]{0,400})"|'([^']{0,400})')""")
_TIME = re.compile(r"\+?(\d{1,5}(?:\.\d{1,3})?)\s?(ms|s)", re.IGNORECASE)
_PERCENT = re.compile(r"([+-]?)(\d{1,3}(?:\.\d{1,3})?)%")
_SEMITONES = re.compile(r"([+-]?\d{1,2}(?:\.\d{1,3})?)st", re.IGNORECASE)
_FACTOR = re.compile(r"\d(?:\.\d{1,3})?")

_STRENGTHS = {"none": 0, "x-weak": 100, "weak": 250, "medium": 500, "strong": 800, "x-strong": 1200}
_RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.6}
_PITCHES = {"x-low": 0.6, "low": 0.8, "medium": 1.0, "default": 1.0, "high": 1.2, "x-high": 1.5}


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of text that is said in one manner, or a pause."""

    text: str = ""
    pause_ms: int = 0
    """Silence; then there is no text."""
    rate: float = 1.0
    """Factor on the speed of the voice."""
    pitch: float = 1.0
    """Factor on its pitch."""


class _Manner(NamedTuple):
    tag: str
    rate: float = 1.0
    pitch: float = 1.0
    alias: str | None = None
    """Said instead of everything inside."""
    reading: str = ""


def passages(text: str) -> list[Passage]:
    """What there is to say, in order; neighbours of one manner are one passage."""
    found: list[Passage] = []
    open_: list[_Manner] = [_Manner("")]
    place = 0
    for mark in _MARK.finditer(text):
        _say(found, text[place : mark.start()], open_)
        place = mark.end()
        if mark["pause"]:
            _pause(found, _milliseconds(mark["pause"], mark["unit"]))
        else:
            _obey(found, mark, open_)
    _say(found, text[place:], open_)
    return found


def _obey(found: list[Passage], mark: re.Match[str], open_: list[_Manner]) -> None:
    tag = mark["name"].lower()
    attributes = {name.lower(): one or other for name, one, other in _ATTRIBUTE.findall(mark["attributes"])}
    is_empty = bool(mark["empty"]) or mark["attributes"].rstrip().endswith("/")
    if tag == "break" and not mark["close"]:
        _pause(found, _break_ms(attributes))
    elif tag in {"p", "s", "speak", "break"}:
        _say(found, "\n" if tag == "p" else " ", open_)
    elif mark["close"]:
        if any(manner.tag == tag for manner in open_):
            while open_.pop().tag != tag:
                continue
    elif is_empty:
        if tag == "sub" and attributes.get("alias"):
            _say(found, attributes["alias"], open_)
    elif len(open_) < MAX_DEPTH:
        open_.append(_manner(tag, attributes, open_[-1]))
        if tag == "sub" and open_[-1].alias:
            _say(found, open_[-1].alias or "", open_[:-1])


def _manner(tag: str, attributes: dict[str, str], around: _Manner) -> _Manner:
    if tag == "sub":
        return around._replace(tag=tag, alias=attributes.get("alias"))
    if tag == "say-as":
        return around._replace(tag=tag, reading=attributes.get("interpret-as", "").lower())
    rate = around.rate * _factor(attributes.get("rate", ""), _RATES, is_rate=True)
    pitch = around.pitch * _factor(attributes.get("pitch", ""), _PITCHES, is_rate=False)
    return around._replace(
        tag=tag, rate=_within(rate, MIN_FACTOR, MAX_FACTOR), pitch=_within(pitch, MIN_PITCH, MAX_PITCH)
    )


def _say(found: list[Passage], text: str, open_: list[_Manner]) -> None:
    manner = open_[-1]
    if not text or manner.alias:
        return
    if manner.reading in {"characters", "spell-out", "digits", "telephone"}:
        text = " ".join(char for char in text if not char.isspace())
        text = f" {text} " if text else ""
    if found and not found[-1].pause_ms and (found[-1].rate, found[-1].pitch) == (manner.rate, manner.pitch):
        found[-1] = replace(found[-1], text=found[-1].text + text)
    elif text:
        found.append(Passage(text, rate=manner.rate, pitch=manner.pitch))


def _pause(found: list[Passage], ms: int) -> None:
    if found and found[-1].pause_ms:
        found[-1] = Passage(pause_ms=min(MAX_PAUSE_MS, found[-1].pause_ms + ms))
    elif ms:
        found.append(Passage(pause_ms=ms))


def _break_ms(attributes: dict[str, str]) -> int:
    if time := _TIME.fullmatch(attributes.get("time", "").strip()):
        return _milliseconds(time[1], time[2])
    return _STRENGTHS.get(attributes.get("strength", "medium").lower(), _STRENGTHS["medium"])


def _milliseconds(number: str, unit: str) -> int:
    return min(MAX_PAUSE_MS, round(float(number) * (1000 if unit.lower() == "s" else 1)))


def _factor(said: str, names: dict[str, float], *, is_rate: bool) -> float:
    """As SSML 1.1 says it: a rate of 120% is that much of the normal one, a pitch of +20% so much more."""
    said = said.strip().lower()
    if said in names:
        return names[said]
    if percent := _PERCENT.fullmatch(said):
        share = float(percent[2]) / 100
        if percent[1] or not is_rate:
            return max(0.0, 1 - share if percent[1] == "-" else 1 + share)
        return share
    if semitones := _SEMITONES.fullmatch(said):
        return float(2 ** (float(semitones[1]) / 12))
    return float(said) if is_rate and _FACTOR.fullmatch(said) else 1.0


def _within(value: float, least: float, most: float) -> float:
    return min(most, max(least, value))
