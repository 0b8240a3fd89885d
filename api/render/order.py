"""Order: what somebody asks to be rendered, read, cast and checked whole before anything is made. Not: making it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.characters import Character
from api.errors import Problem, ScriptInvalid
from api.render.casting import Role, assign
from api.render.pieces import pieces
from api.render.play import CastLine, Play
from api.render.reading.kinds import read_script
from api.render.script import MAX_LINE_CHARS, MAX_SPEAKER_CHARS, MAX_TITLE_CHARS, Line, Script
from contract.voice import Voice

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_SPEAKER_CHARS)]
Voices = Sequence[Mapping[str, Any]]
"""As `GET /api/voices` lists them."""


@dataclass(frozen=True, slots=True)
class ScriptFile:
    """A script as a file of somebody's."""

    name: str
    """Its ending tells the kind, its stem the title."""
    data: bytes


class VoiceFields(BaseModel):
    """A whole voice."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=128)] = "default"
    engine: Annotated[str, Field(max_length=64)] = ""
    language: Annotated[str, Field(max_length=32)] = "en-us"
    rate: Annotated[float, Field(ge=0.25, le=4)] = 1.0
    pitch: Annotated[float, Field(ge=0.5, le=2)] = 1.0
    description: Annotated[str, Field(max_length=1000)] = ""
    scene: Annotated[str, Field(max_length=1000)] = ""
    anchor: Annotated[str, Field(max_length=128)] = ""

    def to_voice(self) -> Voice:
        """As engines know it."""
        return Voice(**self.model_dump())


class CastVoice(BaseModel):
    """Who speaks: a character, or a voice by its name or in all its fields."""

    model_config = ConfigDict(extra="forbid")

    voice: Name | VoiceFields


class Order(BaseModel):
    """What is to be rendered."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_TITLE_CHARS)] = ""
    script: str | list[Any]
    kind: Annotated[str, Field(max_length=32)] = ""
    narrator: Annotated[str, Field(max_length=MAX_SPEAKER_CHARS)] = ""
    cast: dict[Name, Name | CastVoice] = Field(default_factory=dict)
    gap_ms: Annotated[int, Field(ge=0, le=10_000)] | None = None
    lufs: Annotated[float, Field(ge=-40, le=-8)] | None = None
    peak_db: Annotated[float, Field(ge=-20, le=0)] | None = None
    channels: Annotated[int, Field(ge=1, le=2)] | None = None
    places: dict[Name, Annotated[float, Field(ge=-1, le=1)]] | None = None
    """Speaker → -1 (left) to 1 (right)."""
    key: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """The same key twice is one render."""

    def style(self) -> dict[str, Any]:
        """How it shall sound, where that was said; see sound/takes.py."""
        return self.model_dump(include={"gap_ms", "lufs", "peak_db", "channels", "places"}, exclude_none=True)


class LineChange(BaseModel):
    """What is to be different in one line."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=MAX_LINE_CHARS)] | None = None
    speaker: Name | None = None
    voice: Name | VoiceFields | None = None
    direction: Annotated[str, Field(max_length=500)] | None = None
    speed: Annotated[float, Field(ge=0.25, le=4)] | None = None
    pause_before_ms: Annotated[int, Field(ge=0, le=60_000)] | None = None


def read_order(
    order: Order, characters: Iterable[Character], voices: Voices | None, file: ScriptFile | None = None
) -> tuple[str, Play]:
    """Title, and the lines with their voices; of the `file`, if there is one. Raises: ScriptInvalid, with everything
    that is wrong."""
    data, name = (file.data, file.name) if file else (order.script, "")
    script = read_script(data, name, kind=order.kind, narrator=order.narrator)
    cast = {name: _wish(who.voice if isinstance(who, CastVoice) else who) for name, who in order.cast.items()}
    roles = assign(script, cast, characters, voices)
    lines = tuple(cast_line(line, roles[line.speaker]) for line in script.lines)
    if all(line.is_silent for line in lines):
        raise ScriptInvalid(problems=[Problem(0, "there is nothing in this script that can be spoken.")])
    return order.title or script.title, Play(lines, script.chapters, script.pause_after_ms)


def cast_line(line: Line, role: Role) -> CastLine:
    """A line as it is kept."""
    voice = role.voice_for(line)
    return CastLine(
        line.speaker,
        line.text,
        voice,
        line.direction,
        line.speed,
        line.pause_before_ms,
        line.chapter,
        not pieces(line.text, voice.language),
    )


def change_line(
    number: int, line: CastLine, change: LineChange, characters: Iterable[Character], voices: Voices | None
) -> CastLine:
    """The line as it is to be. Raises: ScriptInvalid."""
    wanted = Line(
        number + 1,
        number + 1,
        change.speaker or line.speaker,
        " ".join((line.text if change.text is None else change.text).split()),
        line.direction if change.direction is None else change.direction,
        line.speed if change.speed is None else change.speed,
        line.pause_before_ms if change.pause_before_ms is None else change.pause_before_ms,
        line.chapter,
    )
    if not wanted.text:
        raise ScriptInvalid(problems=[Problem(number + 1, "there is nothing to say.")])
    if change.voice is None and wanted.speaker == line.speaker:
        role = Role(line.speaker, _bare_voice(line))
    else:
        cast = {} if change.voice is None else {wanted.speaker: _wish(change.voice)}
        role = assign(Script((wanted,)), cast, characters, voices)[wanted.speaker]
    return cast_line(wanted, role)


def _bare_voice(line: CastLine) -> Voice:
    """The line's voice without what the line itself put into it."""
    described = line.voice.description.removesuffix(line.direction).removesuffix(", ") if line.direction else None
    rate = min(max(line.voice.rate / line.speed, 0.25), 4.0)
    return replace(line.voice, rate=rate, description=line.voice.description if described is None else described)


def _wish(voice: str | VoiceFields) -> str | Voice:
    return voice.to_voice() if isinstance(voice, VoiceFields) else voice
