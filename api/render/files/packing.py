"""Packing: every line as a file of its own, in one ZIP, with a manifest. Not: the produced dialogue itself."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, cast

from api.encoding.encoder import file_encoder
from api.encoding.formats import FILES, find_format
from api.render.files.mastering import READ_BYTES, Produced, find_chapters, written
from api.render.files.subtitles import describe
from api.render.script import Script
from api.render.sound.assembly import Cancelled, Placed, Plan, line_blocks, never

MANIFEST = "manifest.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first day that a ZIP knows: the same lines are the same file."""
_SPOOLED_BYTES = 8 * 1024 * 1024


def pack(
    plan: Plan,
    script: Script,
    target: Path,
    audio_format: str = "wav",
    extra: Iterable[tuple[str, str]] = (),
    is_cancelled: Callable[[], bool] = never,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Produced:
    """Write a ZIP of all lines (mono, as loud as in the render), the manifest, and `extra` texts under their names.

    Raises: FormatUnknown, AudioGone, DiskFull, FileUnwritable, Cancelled.
    """
    ending = find_format(audio_format, FILES).extension
    files: dict[int, dict[str, Any]] = {}
    with written(target) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for number, placed in enumerate(plan.placed, 1):
                if is_cancelled():
                    raise Cancelled
                if placed.clips:
                    name = f"{placed.take.line.number:05}-{_file_name(placed.take.line.speaker)}.{ending}"
                    files[placed.take.line.number] = {
                        "file": name,
                        **_add_line(archive, name, plan, placed, audio_format),
                    }
                on_progress(number / len(plan.placed))
            for name, text in (*extra, (MANIFEST, manifest(plan, script, files=files))):
                archive.writestr(_entry(name), text.encode(), zipfile.ZIP_DEFLATED)
        digest = hashlib.sha256()
        size = file.seek(0, 2)
        file.seek(0)
        while data := file.read(READ_BYTES):
            digest.update(data)
    return Produced(target, "zip", plan.duration_ms, size, digest.hexdigest())


def manifest(
    plan: Plan, script: Script, produced: Iterable[Produced] = (), files: dict[int, dict[str, Any]] | None = None
) -> str:
    """What a render is made of, as JSON: its style, each line with the SHA-256 of its sound as it was made, each
    chapter, each file with its own."""
    whole = {
        "version": 1,
        "title": script.title,
        "duration_ms": plan.duration_ms,
        "channels": plan.style.channels,
        "loudness_lufs": plan.style.lufs,
        "peak_dbtp": plan.style.peak_db,
        "speakers": {
            speaker: {"gain_db": round(gain_db, 2), "place": round(plan.places[speaker], 3)}
            for speaker, gain_db in plan.gains_db.items()
        },
        "chapters": [
            {"title": one.title, "start_ms": one.start_ms, "end_ms": one.end_ms} for one in find_chapters(plan, script)
        ],
        "lines": [
            {**describe(placed, script), "sha256": placed.sha256, **(files or {}).get(placed.take.line.number, {})}
            for placed in plan.placed
        ],
        "files": [
            {"name": one.path.name, "format": one.format, "size": one.size, "sha256": one.sha256} for one in produced
        ],
    }
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def _add_line(archive: zipfile.ZipFile, name: str, plan: Plan, placed: Placed, audio_format: str) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as spool:
        encoder = file_encoder(cast(BinaryIO, spool), audio_format, title=placed.take.line.speaker)
        for pcm in line_blocks(plan, placed):
            encoder.write(pcm)
        encoder.finish()
        spool.seek(0)
        with archive.open(_entry(name), "w", force_zip64=True) as entry:
            while data := spool.read(READ_BYTES):
                entry.write(data)
                digest.update(data)
                size += len(data)
    return {"file_size": size, "file_sha256": digest.hexdigest()}


def _entry(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.external_attr = 0o644 << 16
    return info


def _file_name(speaker: str) -> str:
    """A name that every system takes: letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKC", speaker)
    return re.sub(r"[^\w]+", "-", plain).strip("-_")[:40] or "speaker"
