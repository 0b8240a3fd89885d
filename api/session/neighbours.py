"""Neighbours: the other api processes, each asked through its inbox. Not: what is asked."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from api.errors import ConversationError, error_of_code
from api.inbox import Inbox
from api.streams import Streams, StreamsError
from contract import keys
from contract.errors import CuelineError

log = logging.getLogger(__name__)

Answer = dict[str, Any]
ANSWER_S = 1.0
"""A neighbour that lives answers within milliseconds."""


class NeighbourSilent(Exception):
    """It did not answer: gone, or too busy."""


class Neighbours:
    """Questions and answers travel as entries of inbox streams, among the bells."""

    def __init__(self, streams: Streams, inbox: Inbox, name: str) -> None:
        self.name = name
        self.answer: Callable[[str, str], Awaitable[Answer]]
        """(session, question) → answer; set by who holds the sessions."""
        self._streams = streams
        self._inbox = inbox
        self._open: dict[str, asyncio.Future[Answer]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        inbox.on_note = self._take

    async def ask(self, name: str, session: str, question: str, within_s: float = ANSWER_S) -> Answer:
        """Ask another process something about a session.

        Raises: NeighbourSilent; StreamsError; the ConversationError with which it answered.
        """
        number = secrets.token_hex(8)
        future = self._open[number] = asyncio.get_running_loop().create_future()
        note = {"q": number, "from": self._inbox.key, "s": session, "m": question}
        try:
            if not await self._streams.send_note(keys.inbox(name), note):
                raise NeighbourSilent
            async with asyncio.timeout(within_s):
                answer: Answer = await future
        except TimeoutError as error:
            raise NeighbourSilent from error
        finally:
            self._open.pop(number, None)
        if refusal := answer.get("error"):
            raise error_of_code(str(refusal["code"]), str(refusal["text"])) if _is_refusal(refusal) else NeighbourSilent
        return answer

    def _take(self, note: dict[bytes, bytes]) -> None:
        if number := note.get(b"r"):
            future = self._open.get(number.decode(errors="replace"))
            if future and not future.done():
                future.set_result(_read(note.get(b"m", b"")))
            return
        task = asyncio.create_task(self._reply(note))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _reply(self, note: dict[bytes, bytes]) -> None:
        if not {b"q", b"from", b"s", b"m"} <= note.keys():
            log.warning("a neighbour's question that makes no sense")
            return
        try:
            answer = await self.answer(note[b"s"].decode(), note[b"m"].decode())
        except CuelineError as error:
            answer = {"error": error.to_dict()}
        except Exception:
            log.exception("a neighbour's question broke")
            answer = {"error": ConversationError().to_dict()}
        try:
            await self._streams.send_note(note[b"from"].decode(), {"r": note[b"q"].decode(), "m": json.dumps(answer)})
        except (StreamsError, ValueError) as error:
            log.warning("a neighbour gets no answer: %s", error)


def _read(answer: bytes) -> Answer:
    """What a neighbour answered; what is no answer says nothing."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"error": "broken"}


def _is_refusal(refusal: Any) -> bool:
    return isinstance(refusal, dict) and {"code", "text"} <= refusal.keys()
