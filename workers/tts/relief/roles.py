"""Roles: the voices of the starter cast, which have espeak's names, on engines that have voices of their own.

So the cast speaks with whatever is here, and each of it as somebody else. Not: other names, which an engine has or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from contract.voice import Voice
from workers.tts.engine import Engine, VoiceInfo

ROLES = {
    "en-us+f3": ("female", "en-us"),
    "en-gb+m3": ("male", "en-gb"),
    "en-us+f2": ("female", "en-us"),
    "en-gb-scotland+m7": ("male", "en-gb"),
}
"""Name → gender and language that a listener would expect; the most important first."""
NATIVE = "espeak"


def is_role(voice: Voice) -> bool:
    """Whether it is one that any engine can play."""
    return voice.name in ROLES


class Cast:
    """Who plays the roles among the voices of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._players: dict[str, VoiceInfo] | None = None

    def play(self, voice: Voice) -> Voice:
        """`voice` as this engine has it; itself where it is no role, or the engine's voices have no names."""
        if not is_role(voice) or self._engine.name == NATIVE:
            return voice
        if self._players is None:
            self._players = assign([info for info in self._engine.voices() if info.name != "default"])
        player = self._players.get(voice.name)
        return replace(voice, name=player.name, language=player.language) if player else voice


def assign(voices: Sequence[VoiceInfo]) -> dict[str, VoiceInfo]:
    """A voice for each role: of its gender, then of its language, and no two the same as long as there are others."""
    players: dict[str, VoiceInfo] = {}
    # Who finds a voice of their gender chooses first: else the others might take it.
    genders = {info.gender for info in voices}
    for role in sorted(ROLES, key=lambda role: ROLES[role][0] not in genders) if voices else ():
        gender, language = ROLES[role]
        taken = {info.name for info in players.values()}
        ranks = {
            info.name: (
                info.gender not in {gender, ""},
                info.gender != gender,
                info.language.partition("-")[0] != language.partition("-")[0],
                info.name in taken,
                info.language != language,
            )
            for info in voices
        }
        players[role] = min(voices, key=lambda info: ranks[info.name])
    return players
