"""Told: what listeners are told of a session's cast and settings. Not: when."""

from __future__ import annotations

from typing import Any, Literal

from api.events import ServerMessage


class CastTold(ServerMessage):
    type: Literal["cast"] = "cast"
    members: list[dict[str, Any]]
    order: str
    answers: int


class SettingsTold(ServerMessage):
    type: Literal["settings"] = "settings"
    model: str
    voice: str
    speed: float
    turn_taking: str
