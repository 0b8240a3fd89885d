"""A stand-in for the package boson-multimodal, with the few names of it that are used. No model: numbers that tell."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

BOS, EOS, BOOKS = 1024, 1025, 8


def codes_said(text: str, seed: int) -> npt.NDArray[np.int64]:
    """What the stand-in says: a frame per character, another for each seed."""
    return np.array([[(ord(sign) * 7 + book * 31 + seed) % 1024 for sign in text] for book in range(BOOKS)])


def delayed_rows(codes: npt.NDArray[np.int64]) -> list[list[int]]:
    """As the model makes them: codebook i of a frame i rows later, marks around it."""
    frames = codes.shape[1]
    return [
        [int(codes[i, at - i]) if 0 <= at - i < frames else BOS if at < i else EOS for i in range(BOOKS)]
        for at in range(frames + BOOKS)
    ]


def pcm_of(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """What the stand-in's codec makes of codes: samples that depend on all codes up to ten frames away."""
    sums = codes.sum(axis=0).astype(np.float64)
    padded = np.pad(sums, 10)
    near = np.array([padded[at : at + 21].sum() for at in range(len(sums))])
    return np.repeat(np.sin(near) * 0.5, 960).astype(np.float32)


class FakeBoson:
    """What its engine does. Words in the text: `explode` raises after some rows, `hang` makes no more, and `endless`
    goes on until it is stopped."""

    def __init__(self) -> None:
        self.prompts: list[list[tuple[str, Any]]] = []
        self.rows_made = 0
        self.at_once = self.most_at_once = 0
        self.release = threading.Event()
        self.opened: tuple[Any, ...] = ()
        self.kv_caches: dict[int, Any] = {}
        self.tokenizer = None
        self.model = types.SimpleNamespace(generate=self.generate)
        self.audio_tokenizer = types.SimpleNamespace(decode=lambda codes: pcm_of(np.asarray(codes)[0])[None, None])

    def _prepare_inputs(self, sample: Any, force_audio_gen: bool = False) -> dict[str, Any]:
        assert force_audio_gen
        self.prompts.append([(message.role, message.content) for message in sample.messages])
        return {"text": sample.messages[-1].content.removeprefix("[SPEAKER0] ")}

    def _prepare_kv_caches(self) -> None:
        pass

    def generate(self, *, text: str, seed: int, streamer: Any, max_new_tokens: int, **_: Any) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            streamer.put(_tensor([[1, 2, 3]]))
            rows = delayed_rows(codes_said(text, seed))
            while "endless" in text:
                self._put(streamer, rows[10])
            for at, row in enumerate(rows[:max_new_tokens]):
                if at == 25 and "explode" in text:
                    raise RuntimeError("CUDA error")
                if at == 25 and "hang" in text:
                    self.release.wait(20)
                self._put(streamer, row)
            streamer.end()
        finally:
            self.at_once -= 1

    def _put(self, streamer: Any, row: list[int]) -> None:
        self.rows_made += 1
        streamer.put(_tensor(row))


def _tensor(values: Any) -> Any:
    return np.array(values)


def install_boson(set_module: Callable[[str, Any], None]) -> FakeBoson:
    """Put it where the package would be; `set_module` undoes that in the end."""
    boson = FakeBoson()

    def open_engine(*arguments: Any, **options: Any) -> FakeBoson:
        boson.opened = (*arguments, options)
        return boson

    @dataclass
    class AudioContent:
        audio_url: str
        raw_audio: str | None = None

    @dataclass
    class Message:
        role: str
        content: Any

    @dataclass
    class ChatMLSample:
        messages: list[Message]

    names = {
        "boson_multimodal": {},
        "boson_multimodal.serve": {},
        "boson_multimodal.serve.serve_engine": {"HiggsAudioServeEngine": open_engine},
        "boson_multimodal.data_types": {
            "AudioContent": AudioContent,
            "ChatMLSample": ChatMLSample,
            "Message": Message,
        },
    }
    for name, contents in names.items():
        module = sys.modules.get(name) or types.ModuleType(name)
        for attribute, value in contents.items():
            setattr(module, attribute, value)
        set_module(name, module)
    return boson
