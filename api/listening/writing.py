"""Writing: words as json, text, srt and vtt, in OpenAI's shapes. Not: how they were understood."""

from __future__ import annotations

from typing import Any, Literal

from contract.transcribe import Segment, Transcript

Format = Literal["json", "text", "verbose_json", "srt", "vtt"]
FORMATS: tuple[Format, ...] = ("json", "text", "verbose_json", "srt", "vtt")


def verbose(whole: Transcript, seconds: float, temperature: float, *, with_words: bool) -> dict[str, Any]:
    """`verbose_json`."""
    body: dict[str, Any] = {
        "task": "transcribe",
        "language": whole.language,
        "duration": round(seconds, 3),
        "text": whole.text,
        "segments": [
            {
                "id": number,
                "seek": 0,
                "start": round(segment.start, 3),
                "end": round(segment.end, 3),
                "text": segment.text,
                "tokens": [],
                "temperature": temperature,
                "avg_logprob": segment.avg_logprob,
                "compression_ratio": segment.compression_ratio,
                "no_speech_prob": segment.no_speech_prob,
            }
            for number, segment in enumerate(whole.segments)
        ],
    }
    if with_words:
        body["words"] = [
            {"word": word.text, "start": round(word.start, 3), "end": round(word.end, 3)}
            for segment in whole.segments
            for word in segment.words
        ]
    return body


def subtitles(segments: tuple[Segment, ...], kind: Literal["srt", "vtt"]) -> str:
    """A file of subtitles."""
    mark = "," if kind == "srt" else "."
    blocks = ["WEBVTT\n"] if kind == "vtt" else []
    for number, segment in enumerate(segments, 1):
        # A blank line would end the cue, and an arrow would begin another.
        text = " ".join(segment.text.split()).replace("-->", "→")
        head = f"{number}\n" if kind == "srt" else ""
        blocks.append(f"{head}{_clock(segment.start, mark)} --> {_clock(segment.end, mark)}\n{text}\n")
    return "\n".join(blocks)


def _clock(seconds: float, mark: str) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}{mark}{ms % 1000:03d}"
