"""The built-in demo character: talks sensibly without any model, and says what it is. Not: a language model."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from datetime import datetime

from api.errors import ModelUnknown

TOKEN_PAUSE_S = 0.012
"""About eighty words a second: faster than speech, slow enough to be seen streaming."""

NOTICE = (
    "This is the built-in demo: a small script, not a language model. To connect one, start the server with "
    "CUELINE_LLM_BASE_URL and CUELINE_LLM_MODEL (any OpenAI-compatible server), OPENROUTER_API_KEY or OPENAI_API_KEY."
)
_INTRODUCTION = (
    "By the way, I am a built-in demo, a small script and not a language model. "
    "Ask me how to connect a real one, whenever you like."
)

_STORY = (
    "Gladly, here is a short one. A lighthouse keeper found a bottle on the rocks, with a note inside. "
    "It said only this: please turn the light a little to the left. She did, and for the first time in "
    "forty years a small boat came home by the shorter way. The next morning there was a second bottle, "
    "and it said thank you."
)
_HOW_IT_WORKS = (
    "Every sentence I say is a job of its own. The server cuts my reply into sentences while it is still being "
    "written, and puts each of them into a queue. Speech workers take them, several at a time, and send the sound "
    "back in small chunks. Then the chunks are put in order again, and that is what you are hearing now."
)
_CONNECT = (
    "That is easy. Stop the server, set the variable CUELINE_LLM_BASE_URL to any OpenAI compatible server, and "
    "CUELINE_LLM_MODEL to one of its models. A key for OpenRouter or OpenAI in the environment works too. "
    "Then start me again, and I will be a good deal cleverer."
)


def _calculate(match: re.Match[str]) -> str:
    left, sign, right = float(match[1]), match[2], float(match[3])
    if sign in "/÷" and right == 0:
        return "Nothing can be divided by zero, not even by me."
    value = {
        "+": left + right,
        "plus": left + right,
        "-": left - right,
        "minus": left - right,
        "*": left * right,
        "x": left * right,
        "times": left * right,
    }.get(sign.lower(), left / right if right else 0.0)
    return f"That makes {value:g}. I can do small sums, and not much more."


def _count(match: re.Match[str]) -> str:
    last = min(int(match[1]), 50)
    numbers = " ".join(f"{number}." if number == last else f"{number}," for number in range(1, last + 1))
    return f"Here we go. {numbers} That was all of them."


def _clock(_: re.Match[str]) -> str:
    now = datetime.now().astimezone()
    return f"My clock says {now.hour}:{now.minute:02d}. It is {now:%A}, the {now.day} of {now:%B}."


def _repeat(match: re.Match[str]) -> str:
    return match[1].strip()


_RULES: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r"^\s*(?:please )?(?:say|repeat)(?: after me)?[:,]?\s+(.+)$", _repeat),
    (r"\b(connect|real|language) .*model|api key|connect (?:you|a model)", _CONNECT),
    (r"how (?:do|does) (?:you|this|it|cueline) work|what is cueline|job queue|celery", _HOW_IT_WORKS),
    (r"(-?\d+(?:\.\d+)?)\s*(\+|-|\*|x|/|÷|plus|minus|times|divided by)\s*(-?\d+(?:\.\d+)?)", _calculate),
    (r"\bcount (?:up )?to (\d{1,6})\b", _count),
    (r"\bwhat(?:'s| is)? (?:the )?(?:time|date|day)|what time", _clock),
    (r"\bstory\b|tell me something", _STORY),
    (
        r"\bjoke\b",
        "Why did the sentence wait in the queue? Because it wanted to be spoken for. I am told the pause helps.",
    ),
    (
        r"\bwho are you|what are you|are you (?:real|human|a bot|an ai)",
        "I am {name}, and I live in this demo.",
    ),
    (
        r"\bmy name is (\w{1,30})|\bi am called (\w{1,30})",
        "Good to meet you, {1}. What would you like to talk about?",
    ),
    (
        r"\bhow are you|how do you do",
        "I am well, thank you. The workers are awake, and the queue is short. And you?",
    ),
    (r"\b(?:thank you|thanks)\b", "You are very welcome. Is there anything else?"),
    (r"\b(?:bye|goodbye|good night|see you)\b", "Goodbye for now. It was good to hear from you."),
    (
        r"\b(?:help|what can you do)\b",
        "I can tell a story or a joke, count, do a small sum, tell the time, and repeat what you say. "
        "I can also explain how Cueline works. Just ask.",
    ),
    (r"^\s*(?:hi|hello|hey|good (?:morning|evening|afternoon)|hallo)\b", "Hello, and welcome. I am {name}."),
    (r"\bi (?:feel|am feeling|am) ([^.!?]{2,60})", "You are {1}, you say. Tell me a little more about that."),
    (r"\bi (?:like|love|enjoy) ([^.!?]{2,60})", "What is it about {1} that you like best?"),
    (r"^\s*(?:yes|yeah|no|ok|okay|sure)\W*$", "All right. Shall I tell you a story, or how I work?"),
    (
        r"\?\s*$",
        "That is a good question, and a script like me cannot answer it well. A language model could: "
        "ask me how to connect one. Or shall I tell you a story?",
    ),
]
_FALLBACKS = (
    "I heard you say: {text}. What made you think of that?",
    "{text}, I see. And how did it go on?",
    "Tell me more, I am listening. You said: {text}.",
)


class DemoModel:
    """Answers by rules. Streams its words like a model does, so that everything behind it is the real thing."""

    name = "demo"

    def __init__(self, pause_s: float = TOKEN_PAUSE_S) -> None:
        self._pause_s = pause_s

    def check(self, model: str) -> None:
        """Raises: ModelUnknown, for any but itself."""
        if model not in {"", self.name}:
            raise ModelUnknown("This server has no language model, so there is none to choose.")

    async def reply(
        self, messages: list[dict[str, str]], model: str = "", on_count: Callable[[int, int], None] | None = None
    ) -> AsyncGenerator[str]:
        """Yield the answer to the last message, word by word."""
        for word in re.findall(r"\s*\S+", answer(messages)):
            yield word
            await asyncio.sleep(self._pause_s)

    async def close(self) -> None:
        """Nothing is open."""


def answer(messages: list[dict[str, str]]) -> str:
    """What the demo says to the last message; the first time it also says what it is."""
    said = [message["content"] for message in messages if message["role"] == "user"]
    text = said[-1] if said else ""
    name = next((m["content"] for m in messages if m["role"] == "system"), "")
    found = re.search(r"You are (\w+)", name)
    reply = _reply(text, found[1] if found else "the demo", len(said))
    is_plain = re.match(r"\s*(?:please )?(?:say|repeat)", text, re.IGNORECASE)
    return reply if len(said) > 1 or is_plain else f"{reply} {_INTRODUCTION}"


def _reply(text: str, name: str, count: int) -> str:
    for pattern, made in _RULES:
        if match := re.search(pattern, text[:1000], re.IGNORECASE | re.DOTALL):
            if callable(made):
                return made(match)
            groups = [group for group in match.groups() if group] or [""]
            return made.replace("{name}", name).replace("{1}", groups[0].strip())
    short = " ".join(text.split()[:12]).rstrip(".!?,;")
    return _FALLBACKS[count % len(_FALLBACKS)].replace("{text}", short)
