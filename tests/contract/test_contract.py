"""Promises that both sides rely on."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import keys, variables
from contract.chunk import HEADER, MAX_PARTS, Chunk, part_size, part_start, tombstone, unpack
from contract.errors import CuelineError, EngineFailed, NoWorker, SpeechError, error_from_dict
from contract.job import SpeechJob
from contract.voice import Voice

U32 = st.integers(0, 2**32 - 1)
PCM = st.binary(max_size=400).map(lambda data: data[: len(data) // 2 * 2])
CHUNKS = st.builds(Chunk, U32, U32, U32, st.integers(0, 65535), PCM, st.booleans(), st.booleans())


@given(CHUNKS)
def test_a_chunk_comes_back_as_it_went(chunk: Chunk) -> None:
    assert unpack(chunk.pack()) == chunk


def test_the_header_is_the_one_that_is_documented() -> None:
    frame = Chunk(1, 2, 3, 4, b"\x05\x06", last=True).pack()
    assert frame == bytes.fromhex("01000000 02000000 03000000 0400 01 01 0506".replace(" ", ""))
    assert HEADER.size == 16
    assert tombstone(1, 2, 3, 4).pack()[14] == 3


@pytest.mark.parametrize(
    ("frame", "why"),
    [(b"", "16 bytes"), (b"\0" * 15, "16 bytes"), (b"\0" * 16, "version"), (b"\0" * 15 + b"\1\7", "half a sample")],
)
def test_what_is_no_frame_of_ours_is_refused(frame: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        unpack(frame)


def test_parts_lie_side_by_side_on_the_grid() -> None:
    for part in range(MAX_PARTS):
        assert part_start(part) + part_size(part) == part_start(part + 1)


def _job(**changes: object) -> SpeechJob:
    values = {
        "session": "s",
        "turn": 1,
        "sentence": 2,
        "attempt": 1,
        "text": "Hello.",
        "voice": Voice("x"),
        "character": "Ava",
        "inbox": "i",
    }
    return SpeechJob(**{**values, **changes})  # type: ignore[arg-type]


def test_a_job_survives_json() -> None:
    job = _job(voice=Voice("en-gb+m3", rate=1.5), from_part=7)
    assert SpeechJob.from_dict(json.loads(json.dumps(job.to_dict()))) == job


def test_a_job_from_a_newer_version_is_understood() -> None:
    data = _job().to_dict() | {"mood": "bright"}
    data["voice"]["breath"] = 3
    assert SpeechJob.from_dict(data) == _job()


def test_the_content_hash_names_the_sound_and_nothing_else() -> None:
    assert _job(turn=9, sentence=9, attempt=3, session="other").content_hash() == _job().content_hash()
    assert _job(text="Hello!").content_hash() != _job().content_hash()
    assert _job(voice=Voice("x", rate=1.01)).content_hash() != _job().content_hash()


def test_a_label_is_one_short_printable_line() -> None:
    label = _job(text="One\x1b[31m\ntwo " + "x" * 500).label()
    assert label.isprintable()
    assert len(label) < 80


@pytest.mark.parametrize("changes", [{"rate": 0.1}, {"rate": 5}, {"pitch": 0.1}, {"pitch": 3}])
def test_a_voice_beyond_its_bounds_cannot_be_made(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must lie between"):
        Voice(**changes)  # type: ignore[arg-type]


def _tree(kind: type[CuelineError]) -> list[type[CuelineError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _tree(child))]


def test_every_error_has_a_code_of_its_own_and_a_sentence_for_a_person() -> None:
    import api.errors  # noqa: F401  makes the other half of the tree

    kinds = [kind for kind in _tree(CuelineError) if not kind.__module__.startswith("tests")]
    codes = [kind.code for kind in kinds if "code" in vars(kind)]
    assert len(set(codes)) == len(codes)
    for kind in kinds:
        assert kind().text[0].isupper()
        assert kind().text.endswith(".")


def test_errors_cross_a_stream() -> None:
    error = error_from_dict(json.loads(json.dumps(EngineFailed("It broke.").to_dict())))
    assert (type(error), error.text, error.retryable) == (EngineFailed, "It broke.", True)
    assert type(error_from_dict({"code": "from_the_future", "text": "?"})) is SpeechError
    assert not NoWorker().retryable


def test_keys_of_a_session_share_its_slot() -> None:
    names = [keys.sentence("s", 1, 2), keys.events("s"), keys.session("s"), keys.turn("s", 1), keys.history("s")]
    assert len(set(names)) == len(names)
    assert all("{s}" in name for name in names)


def test_the_contract_needs_the_standard_library_only() -> None:
    code = (
        "import contract.job, contract.chunk, contract.keys, contract.errors, contract.variables, sys; "
        "print([name for name in sys.modules if name.split('.')[0] in "
        "{'celery', 'redis', 'pydantic', 'numpy', 'api', 'workers'}])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_misspelt_variable_is_noticed() -> None:
    assert variables.unknown(["CUELINE_HOST", "CUELINE_HOTS", "PATH"]) == ["CUELINE_HOTS"]
