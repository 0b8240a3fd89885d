"""Hearing: whether this server can listen, and an ear for each microphone. Not: what is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from api.errors import ListeningUnavailable
from api.events import Start
from api.listening.ear import Ear
from api.listening.line import Line
from api.listening.sound.smart_turn import SmartTurn, TurnModelBroken
from api.listening.sound.vad import VadMissing, VadModel
from api.listening.understanding import Understanding
from api.listening.words.language import Language
from api.listening.words.recognition import Recognition
from api.listening.words.turn_end import TurnEnd
from api.settings import Settings
from api.streams import StreamsError

NOT_SET = (
    "This server does not listen: start it with CUELINE_STT_ENGINE=whisper (make run installs what that needs). "
    "Until then, type."
)
NO_WORKER = "No recognition worker is running: this server cannot listen now. Type instead."
LOADING = "The recognizer is still loading: try again in a moment, or type."


class Hearing:
    """The ears of one api process."""

    def __init__(self, settings: Settings, recognition: Recognition) -> None:
        self.recognition = recognition
        self._engine = settings.stt_engine
        self._language = settings.stt_language
        self._turn_path = settings.turn_model
        self._model: VadModel | None = None
        self._turn_model: SmartTurn | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    async def check(self) -> None:
        """Raises: ListeningUnavailable, with the sentence that says what is missing."""
        await self.check_recognizer()
        try:
            if self._model is None:
                self._model = await asyncio.to_thread(VadModel)
            if self._turn_path and self._turn_model is None:
                self._turn_model = await asyncio.to_thread(SmartTurn, self._turn_path)
        except (VadMissing, TurnModelBroken) as error:
            raise ListeningUnavailable(str(error)) from error

    async def check_recognizer(self) -> None:
        """The same for who needs no ear, only words."""
        if not self._engine:
            raise ListeningUnavailable(NOT_SET)
        try:
            said = await self.recognition.streams.recognizers()
        except StreamsError as error:
            raise ListeningUnavailable("The server's memory is away: it cannot listen now.") from error
        if any(worker.get("state") == "ready" for worker in said):
            return
        problems = [str(worker["problem"]) for worker in said if worker.get("problem")]
        if problems:
            raise ListeningUnavailable(f"This server cannot listen. {problems[0]}")
        raise ListeningUnavailable(LOADING if said else NO_WORKER)

    def open_ear(self, line: Line, start: Start) -> Ear:
        """An ear for a microphone that has just begun; after `check`. `start` says how it takes turns."""
        assert self._model is not None  # noqa: S101  what `check` is for
        understanding = Understanding(
            self.recognition,
            line,
            Language(start.language or self._language),
            TurnEnd(self._turn_model),
        )
        ear = Ear(self._model, understanding, start.sample_rate)
        ear.take_turns(start.turn_taking or "barge_in")
        return ear

    def let_go(self, work: Coroutine[Any, Any, None]) -> None:
        """End an ear in the background: its last words may still be on their way."""
        task = asyncio.create_task(work)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def stop(self) -> None:
        """This process goes."""
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
