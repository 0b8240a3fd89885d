"""`cueline say`: any text through the queue and workers of a talk, to a file or loudspeaker. Not: an engine."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import secrets
import sys
import tempfile
import wave
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path

from api.admission import Admission
from api.characters import find_character
from api.ensemble.dialogue import Dialogue
from api.ensemble.playbill import Playbill
from api.events import ErrorMessage, ServerMessage
from api.history import History
from api.inbox import Inbox
from api.settings import SettingsError, read_settings
from api.streams import Streams, StreamsError
from api.turn.dispatch import Dispatcher
from api.turn.stage import Parts
from api.turn.turn import Turn
from api.turn.utterance import Utterance
from cli.log import safe
from cli.loudspeaker import Player, find_player, play_file
from cli.running import read_run
from cli.settings import find_data_dir
from contract.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, bytes_to_ms
from contract.chunk import Chunk


def say(text: str, output: str, voice: str) -> int:
    """Speak `text` with the workers that run here; exit code 1 if there are none or a sentence failed."""
    try:
        run = read_run(find_data_dir(os.environ))
        url = read_settings().redis_url if os.environ.get("CUELINE_REDIS_URL") else run.redis if run else ""
    except SettingsError as error:
        return _complain(str(error), 2)
    player = find_player()
    if not url:
        return _complain("nothing runs here that could speak; start `cueline up` in another terminal")
    if not output and not player:
        return _complain("there is nothing to play sound with; write a file: cueline say TEXT -o FILE.wav")
    if not text.strip():
        return _complain("there is nothing to say")
    try:
        if output:
            with Path(output).open("ab"):
                pass  # better now than after everything is spoken
        stage = asyncio.run(_speak(url, text, voice))
    except StreamsError as error:
        return _complain(f"the queue does not answer ({error}); is `cueline up` running?")
    except OSError as error:
        return _complain(f"{output} cannot be written: {error.strerror}")
    for problem in stage.problems:
        _complain(problem)
    if not stage.pcm:
        return _complain("nothing was spoken")
    if output:
        _write(Path(output), stage.pcm)
        sys.stdout.write(f"{output}: {bytes_to_ms(len(stage.pcm)) / 1000:.1f} s\n")
    elif player:
        _play(player, stage.pcm)
    return 1 if stage.problems else 0


class _Stage:
    """The listener of one turn that nobody answers: it keeps the sound."""

    def __init__(self, playbill: Playbill) -> None:
        self.playbill = playbill
        self.id = f"say-{secrets.token_hex(8)}"
        self.owner = ""
        self.problems: list[str] = []
        self._pcm: list[bytes] = []

    @property
    def pcm(self) -> bytes:
        return b"".join(self._pcm)

    def emit(self, message: ServerMessage) -> None:
        if isinstance(message, ErrorMessage):
            self.problems.append(message.message)

    def play(self, chunk: Chunk) -> None:
        self._pcm.append(chunk.pcm)

    def silence(self, turn: int) -> None:
        self._pcm.clear()


class _Recital:
    """A model that says what it was given."""

    name = "recital"

    def __init__(self, text: str) -> None:
        self._text = text

    def check(self, model: str) -> None:
        pass

    async def reply(
        self, messages: list[dict[str, str]], model: str = "", on_count: Callable[[int, int], None] | None = None
    ) -> AsyncGenerator[str]:
        yield self._text


async def _speak(url: str, text: str, voice: str) -> _Stage:
    speaker = find_character(None)
    # What goes wrong is told in the end, in words for a person.
    logging.getLogger("api").setLevel(logging.ERROR)
    if voice:
        speaker = replace(speaker, voice=replace(speaker.voice, name=voice))
    streams, stage = Streams(url), _Stage(Playbill(speaker))
    inbox = Inbox(streams, secrets.token_hex(8))
    dialogue = Dialogue(stage.playbill, History(), 0)
    try:
        await inbox.start()
        parts = Parts(streams, inbox, Dispatcher(streams, inbox), _Recital(text), Admission(streams, max_listeners=0))
        await Turn(parts, stage, 0, Utterance(text), dialogue, ahead_s=math.inf).run()
    finally:
        await inbox.stop()
        await streams.close()
    return stage


def _write(path: Path, pcm: bytes) -> None:
    with wave.open(str(path), "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(SAMPLE_BYTES)
        audio.setframerate(SAMPLE_RATE_HZ)
        audio.writeframes(pcm)


def _play(player: Player, pcm: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        _write(path, pcm)
        play_file(player, path)


def _complain(problem: str, code: int = 1) -> int:
    sys.stderr.write(f"cueline: {safe(problem)}\n")
    return code
