"""Which voices espeak has, and what a Voice means to it: names to names. It must never call the library."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from contract.errors import VoiceUnknown
from contract.voice import Voice
from workers.tts.engine import VoiceInfo

ALIASES = {"female": "+f3", "male": "+m3", "whisper": "+whisper", "croak": "+croak"}
"""Friendly names; all of them speak the Voice's own language."""

CURATED = (
    ("en-us+f3", "Female, American", "female"),
    ("en-us+m3", "Male, American", "male"),
    ("en-gb+f2", "Female, British", "female"),
    ("en-gb+m7", "Male, British", "male"),
    ("en-us+f5", "Female, American, older", "female"),
    ("en-us", "Plain, American", "male"),
    ("en-us+whisper", "Whisper, American", ""),
    ("en-us+croak", "Croak, American", "male"),
)
"""What a person is offered first; the rest follows by language."""

NAME = re.compile(r"(?P<tag>[a-z0-9]+(?:-[a-z0-9]+)*)?(?:\+(?P<variant>[a-z0-9]+))?")
VARIANT_FILE = re.compile(r"[A-Za-z0-9]+")
UNREPEATABLE = re.compile(rb"^klatt\b", re.MULTILINE)
"""Variants we leave out: the Klatt synthesisers remember sound of the sentence before."""
WITHOUT_DICTIONARY = frozenset({"fo", "kaa", "xex"})
"""Listed by espeak 1.52, but it has no words for them."""
GENDERS = {1: "male", 2: "female"}


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of espeak's own voice list."""

    label: str
    file: str
    """Under espeak's voices; unlike its tag, espeak finds every voice by it."""
    gender: int
    tags: tuple[tuple[int, str], ...]
    """(priority, language tag); lower is better, the first tag is its name."""


class Catalogue:
    """Every name that may reach the library. What is not in here is unknown, whatever it looks like."""

    def __init__(self, listed: Iterable[Listed], variants: Iterable[str]) -> None:
        self._listed: dict[str, Listed] = {}
        self._variants = {variant.lower(): variant for variant in variants}
        best: dict[str, tuple[int, str]] = {}
        for entry in listed:
            name = entry.tags[0][1]
            if name in WITHOUT_DICTIONARY or name in self._listed:
                continue
            self._listed[name] = entry
            # A voice's own tag beats any other voice's claim to it, whatever the priority.
            for priority, tag in ((-1, name), *entry.tags):
                best[tag.lower()] = min((priority, name), best.get(tag.lower(), (priority, name)))
        self._tags = {tag: name for tag, (_, name) in best.items()}

    def espeak_name(self, voice: Voice) -> str:
        """What espeak calls this voice: a file, perhaps with a variant ("gmw/en-US+f3").

        Raises: VoiceUnknown.
        """
        name = ALIASES.get(voice.name, voice.name).lower()
        parts = NAME.fullmatch("" if name == "default" else name)
        if parts is None or not voice.name:
            raise VoiceUnknown(f"There is no voice {voice.name!r}.")
        tag, variant = parts["tag"], parts["variant"]
        language = self._tags.get(tag) if tag else self._spoken(voice.language)
        if language is None:
            raise VoiceUnknown(f"espeak has no voice for {(tag or voice.language)!r}.")
        file = self._listed[language].file
        if variant is None:
            return file
        if variant not in self._variants:
            raise VoiceUnknown(f"There is no voice variant {variant!r}.")
        return f"{file}+{self._variants[variant]}"

    def infos(self) -> list[VoiceInfo]:
        """Voices a person may choose: the curated ones, then every language."""
        return [*self._curated(), *self._languages()]

    def _curated(self) -> Iterator[VoiceInfo]:
        for name, label, gender in CURATED:
            tag, _, variant = name.partition("+")
            if tag in self._tags and (not variant or variant in self._variants):
                yield VoiceInfo(name, label, tag, gender)

    def _languages(self) -> Iterator[VoiceInfo]:
        curated = {name for name, _, _ in CURATED}
        for name, entry in self._listed.items():
            if name not in curated:
                yield VoiceInfo(name.lower(), entry.label, name.lower(), GENDERS.get(entry.gender, ""))

    def _spoken(self, language: str) -> str | None:
        """The voice for a language tag, or for the nearest wider one: "de-at" is spoken as "de"."""
        tag = language.lower()
        while tag and tag not in self._tags:
            tag = tag.rpartition("-")[0]
        return self._tags.get(tag)


def read_variants(folder: Path) -> list[str]:
    """Names of the variants in espeak's folder that sound the same every time."""
    return sorted(
        file.name
        for file in folder.iterdir()
        if VARIANT_FILE.fullmatch(file.name) and not UNREPEATABLE.search(file.read_bytes())
    )
