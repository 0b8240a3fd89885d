"""Prompt: what of a conversation a model is given, in tokens, and no more of it than it can hold. Not: the model.

What people and characters say is text. Tokens that steer the model come from its chat template alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

ROLES = ("system", "user", "assistant")
SYSTEM_SHARE = 0.5
"""Of the prompt, at most, for who the character is."""


class Tokenizer(Protocol):
    """What of transformers' tokenizers is needed here."""

    def get_added_vocab(self) -> dict[str, int]: ...
    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...
    def decode(self, ids: list[int]) -> Any: ...
    def apply_chat_template(self, conversation: Any, **options: Any) -> Any: ...


def make_prompt(tokenizer: Tokenizer, messages: Sequence[dict[str, str]], most: int) -> list[int]:
    """The conversation as the model's template writes it, in at most `most` tokens.

    What the character is stays, shortened if it must be; then as many of the last messages as there is room for. Of a
    last message that is too long itself the end stays.
    """
    said = [
        {
            "role": message["role"] if message["role"] in ROLES else "user",
            "content": plain(tokenizer, message["content"]),
        }
        for message in messages
    ]
    system = [message for message in said if message["role"] == "system"][:1]
    talk = [message for message in said if message["role"] != "system"]
    for message in system:
        message["content"] = _cut(tokenizer, message["content"], int(most * SYSTEM_SHARE), from_end=False)
    while len(talk) > 1 and len(_render(tokenizer, system + talk)) > most:
        # An eighth at a time: a long talk would be written out a hundred times else.
        del talk[: max(1, len(talk) // 8)]
    if talk and (over := len(_render(tokenizer, system + talk)) - most) > 0:
        last = talk[-1]
        room = len(tokenizer.encode(last["content"], add_special_tokens=False)) - over
        last["content"] = _cut(tokenizer, last["content"], max(room, 1), from_end=True)
    return _render(tokenizer, system + talk)[-most:]


def plain(tokenizer: Tokenizer, text: str) -> str:
    """`text` without anything that the tokenizer would take for one of its steering tokens."""
    pattern = "|".join(re.escape(token) for token in sorted(tokenizer.get_added_vocab(), key=len, reverse=True))
    while pattern and (cleaned := re.sub(pattern, "", text)) != text:
        # Once more: what was around one may be another now.
        text = cleaned
    return text


def _render(tokenizer: Tokenizer, messages: Sequence[dict[str, str]]) -> list[int]:
    ids: list[int] = tokenizer.apply_chat_template(
        list(messages), tokenize=True, add_generation_prompt=True, return_dict=False
    )
    return ids


def _cut(tokenizer: Tokenizer, text: str, most: int, *, from_end: bool) -> str:
    ids = tokenizer.encode(text, add_special_tokens=False)
    if len(ids) <= most:
        return text
    # The cut may fall into a letter.
    return str(tokenizer.decode(ids[-most:] if from_end else ids[:most])).strip("\ufffd")
