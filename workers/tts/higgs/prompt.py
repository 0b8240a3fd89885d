"""What the model is given to read: chat turns as token ids, earlier speech as codes. Not: the network, who speaks next.

The form is the checkpoint's own (its chat template; https://github.com/boson-ai/higgs-audio, examples/generation.py).
Text is encoded piece by piece between the control tokens, and never as one of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from contract.errors import EngineUnavailable, TextUnspeakable
from workers.tts.engine import Codes, Spoken

SYSTEM = "Generate audio following instruction."
QUIET_SCENE = "Audio is recorded from a quiet room."
CONTROL = re.compile(r"<\|[^|<>]{0,64}\|>")
"""What looks like a control token is no word that anybody could say."""
EVENTS = {
    "[laugh]": "<SE>[Laughter]</SE>",
    "[applause]": "<SE>[Applause]</SE>",
    "[cheering]": "<SE>[Cheering]</SE>",
    "[cough]": "<SE>[Cough]</SE>",
}
"""Sounds that the model was trained to make, as people write them and as it knows them."""
MAX_DESCRIPTION_CHARS = 500


@dataclass(frozen=True, slots=True)
class Prompt:
    """A run of positions: each is a text token, or a frame of speech."""

    ids: npt.NDArray[np.int64]
    """[positions]; at frames of speech a placeholder."""
    rows: npt.NDArray[np.int64]
    """[frames, codebooks], in the order of their placeholders, delayed as the model hears them."""
    is_audio: npt.NDArray[np.bool_]
    """[positions]."""

    def __len__(self) -> int:
        return len(self.ids)

    def key(self) -> bytes:
        """Equal for equal prompts."""
        return self.ids.tobytes() + self.rows.tobytes()


def joined(parts: Sequence[Prompt]) -> Prompt:
    """One after the other."""
    return Prompt(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.is_audio for part in parts]),
    )


def delayed(codes: Codes, bos: int, eos: int) -> npt.NDArray[np.int64]:
    """[codebooks, frames] as the model hears them: a start, the frames, an end, each codebook one row later than the
    one before it. [frames + codebooks + 1, codebooks]."""
    books, frames = codes.shape
    rows = np.full((frames + books + 1, books), eos, np.int64)
    for book in range(books):
        rows[: book + 1, book] = bos
        rows[book + 1 : book + 1 + frames, book] = codes[book]
    return rows


class Prompts:
    """Writes prompts for one checkpoint."""

    def __init__(self, tokenizer: Any, config: Any) -> None:
        """`tokenizer` and `config` are those of transformers.

        Raises: EngineUnavailable if the tokenizer lacks one of the control tokens.
        """
        self._books: int = config.num_codebooks
        self._bos: int = config.audio_stream_bos_id
        self._eos: int = config.audio_stream_eos_id
        self._encode = _text_encoder(tokenizer)
        self._forbidden = frozenset(tokenizer.get_added_vocab().values())
        self._audio_out: int = config.audio_token_id
        self._delay: int = config.audio_delay_token_id
        names = (
            "begin_of_text",
            "start_header_id",
            "end_header_id",
            "eot_id",
            "audio_eos",
            "audio_out_bos",
            "scene_desc_start",
            "scene_desc_end",
        )
        self._control = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in names}
        missing = [name for name, id_ in self._control.items() if id_ is None or id_ == tokenizer.unk_token_id]
        if missing:
            raise EngineUnavailable(f"The tokenizer of this checkpoint has no token <|{missing[0]}|>.")

    def prefix(self, scene: str, description: str, anchor: Spoken | None) -> Prompt:
        """What all sentences of one voice begin with: how it sounds, and a sample of it."""
        scene = " ".join(words(scene)[:MAX_DESCRIPTION_CHARS].split()) or QUIET_SCENE
        description = " ".join(words(description)[:MAX_DESCRIPTION_CHARS].split())
        if description:
            scene = f"{scene}\n\nSPEAKER0: {description}"
        name = self._control
        start = self._ids(
            name["begin_of_text"], *self._header("system"), f"{SYSTEM}\n\n",
            name["scene_desc_start"], f"\n{scene}\n", name["scene_desc_end"], name["eot_id"],
        )  # fmt: skip
        return joined([self._of_text(start), *([] if anchor is None else [self._turn(anchor, bool(description))])])

    def rest(self, before: Sequence[Spoken], text: str, *, has_description: bool) -> Prompt:
        """What was said last, and what to say now. Raises: TextUnspeakable."""
        asked = self._ids(*self._user(text, has_description), *self._answer())
        return joined([*(self._turn(spoken, has_description) for spoken in before), self._of_text(asked)])

    def _turn(self, spoken: Spoken, is_tagged: bool) -> Prompt:
        rows = delayed(spoken.codes, self._bos, self._eos)
        heard = [self._audio_out] * (len(rows) - (self._books - 1)) + [self._delay] * (self._books - 1)
        opening = self._ids(*self._user(spoken.text, is_tagged), *self._answer())
        closing = [self._control["audio_eos"], self._control["eot_id"]]
        is_audio = [False] * len(opening) + [True] * len(rows) + [False] * len(closing)
        return Prompt(np.array([*opening, *heard, *closing], np.int64), rows, np.array(is_audio))

    def _user(self, text: str, is_tagged: bool) -> list[int | str]:
        told = words(text)
        return [*self._header("user"), f"[SPEAKER0] {told}" if is_tagged else told, self._control["eot_id"]]

    def _answer(self) -> list[int | str]:
        return [*self._header("assistant"), self._control["audio_out_bos"]]

    def _header(self, role: str) -> list[int | str]:
        return [self._control["start_header_id"], role, self._control["end_header_id"], "\n\n"]

    def _of_text(self, ids: list[int]) -> Prompt:
        return Prompt(np.array(ids, np.int64), np.zeros((0, self._books), np.int64), np.zeros(len(ids), bool))

    def _ids(self, *parts: int | str) -> list[int]:
        """Control tokens as they are, and what stands between two of them encoded as one text."""
        ids: list[int] = []
        text = ""
        for part in parts:
            if isinstance(part, str):
                text += part
                continue
            ids += [*self._text(text), part]
            text = ""
        return ids + self._text(text)

    def _text(self, text: str) -> list[int]:
        ids = self._encode(text)
        if not self._forbidden.isdisjoint(ids):
            raise TextUnspeakable("This text holds a control token of the voice model.")
        return ids


def _text_encoder(tokenizer: Any) -> Callable[[str], list[int]]:
    """Encodes text and nothing but text, whatever it looks like."""
    backend = tokenizer.backend_tokenizer
    backend.encode_special_tokens = True
    return lambda text: list(backend.encode(text, add_special_tokens=False).ids)


def words(text: str) -> str:
    """`text` without control tokens, with the punctuation and the signs that the model was trained on."""
    while (stripped := CONTROL.sub(" ", text)) != text:
        text = stripped
    text = unicodedata.normalize("NFC", text)
    text = text.translate(_MARKS)
    for written, known in EVENTS.items():
        text = text.replace(written, known)
    return text.strip()


_MARKS = str.maketrans(
    {
        "，": ", ",
        "。": ". ",
        "：": ": ",
        "；": "; ",
        "？": "? ",
        "！": "! ",
        "、": ", ",
        "（": " ",
        "）": " ",
        "(": " ",
        ")": " ",
        "“": '"',
        "”": '"',
        "‘": "'",
        "’": "'",
        "…": "...",
        "—": " - ",
        "°": " degrees ",
    }
)
