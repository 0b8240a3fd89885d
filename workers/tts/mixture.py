"""Mixtures: names of voices that are several, `a+b(2)`, read and checked. Not: how voices are mixed."""

from __future__ import annotations

import re
from collections.abc import Container

from contract.errors import VoiceUnknown

PART = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)(?:\((?P<weight>[0-9]{1,3}(?:\.[0-9]{1,3})?)\))?")
MAX_VOICES = 8


def read_mixture(name: str, known: Container[str]) -> dict[str, float]:
    """Each voice's share of `name`, all together 1: "a+b(2)" is a third of a and two thirds of b.

    Raises: VoiceUnknown for a voice that is not `known`, a weight of nothing, or more than eight voices.
    """
    written = name.split("+")
    weights: dict[str, float] = {}
    for text in written if len(written) <= MAX_VOICES else [""]:
        part = PART.fullmatch(text)
        if part is None or part["name"] not in known or not (weight := float(part["weight"] or 1)):
            raise VoiceUnknown(f"There is no voice {name[:80]!r}.")
        weights[part["name"]] = weights.get(part["name"], 0.0) + weight
    total = sum(weights.values())
    return {voice: weight / total for voice, weight in weights.items()}
