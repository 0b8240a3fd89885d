"""ReorderBuffer: chunks in any order in, the order of speech out. Pure: no clock, no Redis, no socket."""

from __future__ import annotations

from dataclasses import replace

from contract.chunk import Chunk


class ReorderBuffer:
    """Puts the chunks of one turn back in order, each part once.

    Any arrival order gives the same output. What was given out is never given again; until then the newest
    attempt's copy of a part wins. A failed chunk is the last one of its sentence, under the number of the first
    part that nobody will make.
    """

    def __init__(self, after: tuple[int, int] | None = None) -> None:
        """`after` is the (sentence, part) that the listener already has."""
        self._held: dict[int, dict[int, Chunk]] = {}
        self._after = after
        self._sentence, part = after or (0, -1)
        self._part = part + 1

    @property
    def position(self) -> tuple[int, int]:
        """(sentence, part) that is due next."""
        return self._sentence, self._part

    def next_part(self, sentence: int) -> int:
        """First part of a sentence that has not arrived: where another attempt has to go on."""
        if sentence < self._sentence:
            return 0
        part = self._part if sentence == self._sentence else 0
        held = self._held.get(sentence, {})
        while part in held and not held[part].failed:
            part += 1
        return part

    def is_whole(self, sentence: int) -> bool:
        """Whether its end has come and nothing before that is missing."""
        if sentence < self._sentence:
            return True
        held, part = self._held.get(sentence, {}), self.next_part(sentence)
        # What waits at the missing part is the end of a sentence that was given up.
        return part in held or (part - 1 in held and held[part - 1].last)

    def cut(self, sentence: int) -> None:
        """Drop what waits behind the first part that is missing."""
        part, held = self.next_part(sentence), self._held.get(sentence, {})
        for number in [number for number in held if number >= part]:
            del held[number]

    def forget(self, sentence: int) -> bool:
        """Drop what waits of a sentence; False, and nothing is dropped, once any of it was given out."""
        if (sentence, 0) < self.position:
            return False
        self._held.pop(sentence, None)
        return True

    def clear(self) -> None:
        """Keep the place, drop what waits."""
        self._held.clear()

    def push(self, chunk: Chunk) -> list[Chunk]:
        """Take one chunk; return those whose turn has come, in order."""
        part = chunk.part
        if chunk.last and (chunk.sentence, part) == self._after and self.position == (chunk.sentence, part + 1):
            # The listener has the end of its sentence already: only now is it known to be one.
            self._after = None
            self._next_sentence()
            return self._due()
        if chunk.failed and chunk.sentence == self._sentence:
            # The owner counted the parts it had seen; a few more may have been written before the stream was
            # closed. The end then takes the place that is due.
            part = max(part, self._part)
        if (chunk.sentence, part) < self.position:
            return []
        parts = self._held.setdefault(chunk.sentence, {})
        known = parts.get(part)
        if known is None or chunk.attempt > known.attempt:
            parts[part] = chunk if part == chunk.part else replace(chunk, part=part)
        return self._due()

    def _due(self) -> list[Chunk]:
        due: list[Chunk] = []
        while chunk := self._held.get(self._sentence, {}).pop(self._part, None):
            due.append(chunk)
            if chunk.last:
                self._next_sentence()
            else:
                self._part += 1
        return due

    def _next_sentence(self) -> None:
        self._held.pop(self._sentence, None)
        self._sentence += 1
        self._part = 0
