"""A produced dialogue: in time, equally loud, without clicks, whole or not there at all."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import resource
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.encoding.formats import FILES
from api.errors import AudioGone, DiskFull, FileUnwritable, FormatUnknown
from api.render.files.mastering import Produced, master
from api.render.files.packing import MANIFEST, manifest, pack
from api.render.files.subtitles import as_json, as_srt, as_vtt, captions, words
from api.render.script import Script
from api.render.sound import assembly
from api.render.sound.assembly import Cancelled, Plan, blocks, line_blocks
from api.render.sound.levelling import prepare
from api.render.sound.limiting import limited, true_peaks
from api.render.sound.live import Live
from api.render.sound.placing import places
from api.render.sound.takes import Style, Take, Word
from contract.audio import SAMPLE_RATE_HZ, bytes_to_ms, ms_to_bytes
from tests.api.render.producing import decoded, line, measure, play, say, stretches, tone


@pytest.fixture(scope="module")
def whole() -> tuple[Script, Plan]:
    script, takes = play()
    return script, prepare(takes, pause_after_ms=200)


@pytest.mark.parametrize("name", FILES)
def test_subtitles_are_in_time_with_what_is_heard(whole: tuple[Script, Plan], name: str, tmp_path: Path) -> None:
    script, plan = whole
    produced = master(plan, script, tmp_path / f"play.{name}", name)
    heard = stretches(*decoded(produced.path))
    cues = list(captions(plan))
    assert len(heard) == len(cues) == 5
    for (start, end), cue in zip(heard, cues, strict=True):
        assert abs(start - cue.start_ms) <= 50
        assert abs(end - cue.end_ms) <= 50
    with av.open(produced.path) as container:
        assert container.duration
        assert abs(container.duration // 1000 - produced.duration_ms) < 30


def test_everybody_is_equally_loud_and_nothing_clips(whole: tuple[Script, Plan]) -> None:
    _, plan = whole
    lufs, peak_db = measure(b"".join(blocks(plan)))
    assert abs(lufs - -16) < 0.5
    assert peak_db <= -1
    loud: list[float] = []
    for speaker in ("AVA", "BEN", "Narrator"):
        said = b"".join(
            pcm for one in plan.placed if one.take.line.speaker == speaker for pcm in line_blocks(plan, one)
        )
        loud.append(measure(said)[0])
    assert max(loud) - min(loud) < 0.5


def test_loudness_and_peak_are_what_was_asked_for() -> None:
    _, takes = play()
    pcm = b"".join(blocks(prepare(takes, Style(lufs=-23, peak_db=-9))))
    lufs, peak_db = measure(pcm)
    assert abs(lufs - -23) < 1
    assert peak_db <= -9


def test_silence_around_a_line_is_cut_and_gaps_are_exact() -> None:
    takes = [
        Take(line(1), (tone(300, before_ms=700, after_ms=900),)),
        Take(line(2, "BEN"), (tone(200), tone(100, before_ms=400))),
        Take(line(3, pause_before_ms=1234), (tone(250, after_ms=2000),)),
        Take(line(4), (bytes(4800),)),
        Take(line(5), (tone(250),)),
    ]
    plan = prepare(takes, Style(gap_ms=400, piece_gap_ms=50), pause_after_ms=500)
    one, two, three, four, five = plan.placed
    assert one.start == 0
    assert 300 <= one.end_ms <= 370
    assert two.start_ms - one.end_ms == five.start_ms - four.end_ms == 400
    assert 350 <= two.end_ms - two.start_ms <= 450
    assert three.start_ms - two.end_ms == 1234
    assert four.start == four.end
    assert plan.duration_ms - five.end_ms == 500
    assert bytes_to_ms(sum(map(len, blocks(plan)))) == plan.duration_ms


def test_edges_do_not_click() -> None:
    plan = prepare([Take(line(1), (tone(300, 0.5),)), Take(line(2, "BEN"), (tone(300, 0.5),))])
    samples = np.frombuffer(b"".join(blocks(plan)), "<i2").astype(float)
    inside = np.abs(np.diff(samples[2400:4800])).max()
    assert np.abs(np.diff(np.pad(samples, 1))).max() <= inside * 1.3


def test_a_limit_is_kept_between_samples_and_softens_only_what_is_near() -> None:
    # At a quarter of the rate, between its samples, this sine is 3 dB higher than at them.
    at = np.arange(SAMPLE_RATE_HZ)
    sine = (np.sin(2 * np.pi * at / 4 + np.pi / 4) * np.where((at > 9000) & (at < 12_000), 1.3, 0.4)).astype(np.float32)
    shaped = limited(sine, 0.8)
    assert true_peaks(sine).max() > 1.28 > np.abs(sine).max() * 1.3
    assert true_peaks(shaped).max() <= 0.8
    assert np.array_equal(shaped[:8800], sine[:8800])
    assert np.array_equal(shaped[12_200:], sine[12_200:])


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 40))
def test_a_long_clip_sounds_the_same_however_it_is_read(windows: int) -> None:
    clip = say("The ropes came off one by one.", "Narrator")[: ms_to_bytes(900)]
    takes = [Take(line(1), (clip,))]
    plan = prepare(takes, Style(lufs=-9))
    expected = np.frombuffer(b"".join(blocks(plan)), "<i2").astype(int)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "BLOCK", assembly.WINDOW * windows)
        again = prepare(takes, Style(lufs=-9))
        assert [one.clips for one in again.placed] == [one.clips for one in plan.placed]
        assert np.abs(np.frombuffer(b"".join(blocks(plan)), "<i2") - expected).max() <= 1


def test_speakers_stand_where_they_were_put() -> None:
    takes = [Take(line(n, name), (tone(500),)) for n, name in enumerate(("AVA", "BEN", "Narrator"), 1)]
    plan = prepare(takes, Style(channels=2, places={"ava": -1}))
    stereo = np.frombuffer(b"".join(blocks(plan)), "<i2").astype(float).reshape(-1, 2) / 32_768
    mono = np.frombuffer(b"".join(blocks(prepare(takes))), "<i2").astype(float) / 32_768
    power = [np.square(stereo[one.start : one.end]).mean(axis=0) for one in plan.placed]
    assert power[0][1] < 1e-9
    assert power[2][0] == pytest.approx(power[2][1], rel=0.01)
    for one, (left, right) in zip(plan.placed, power, strict=True):
        assert left + right == pytest.approx(np.square(mono[one.start : one.end]).mean(), rel=0.02)
    assert places(["A", "B", "C"], {}) == {"A": -0.6, "B": 0.0, "C": 0.6}


def test_the_same_lines_are_the_same_bytes(whole: tuple[Script, Plan], tmp_path: Path) -> None:
    script, _ = whole
    plans = [prepare(play()[1]) for _ in "ab"]
    assert plans[0] == plans[1]
    for name in FILES:
        first, second = (master(plan, script, tmp_path / f"{n}.{name}", name) for n, plan in enumerate(plans))
        assert first.path.read_bytes() == second.path.read_bytes()
        assert first.sha256 == second.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()
        assert first.size == first.path.stat().st_size
    packed = [pack(plan, script, tmp_path / f"{n}.zip").sha256 for n, plan in enumerate(plans)]
    assert packed[0] == packed[1]


def test_a_book_has_its_chapters_where_they_begin(whole: tuple[Script, Plan], tmp_path: Path) -> None:
    script, plan = whole
    master(plan, script, tmp_path / "play.m4b", "m4b")
    with av.open(tmp_path / "play.m4b") as container:
        found = [(one["metadata"]["title"], int(one["start"]), int(one["end"])) for one in container.chapters()]
    second = plan.placed[3].start_ms
    assert found == [("One", 0, second), ("Two", second, plan.duration_ms)]


def test_a_long_render_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.pcm"
    path.write_bytes(tone(1000, 0.1) * 60)
    takes = [Take(line(number), (path,)) for number in (1, 2)]
    process = psutil.Process()
    sum(len(pcm) for pcm in blocks(prepare(takes[:1])))
    before = process.memory_info().rss
    most = max(process.memory_info().rss for _ in blocks(prepare(takes)))
    assert most - before < 4_000_000, "its sound is 6 MB, 12 as floats"


def test_cancelling_leaves_what_was_there_before(whole: tuple[Script, Plan], tmp_path: Path) -> None:
    script, plan = whole
    target = tmp_path / "play.mp3"
    target.write_bytes(b"before")
    asked: Iterator[bool] = iter([False, False, True])
    with pytest.raises(Cancelled):
        master(plan, script, target, "mp3", lambda: next(asked))
    with pytest.raises(Cancelled):
        pack(plan, script, target, is_cancelled=lambda: True)
    with pytest.raises(Cancelled):
        prepare(play()[1], is_cancelled=lambda: True)
    assert [path.name for path in tmp_path.iterdir()] == ["play.mp3"]
    assert target.read_bytes() == b"before"


@pytest.mark.parametrize("name", [*FILES, "zip"])
def test_a_full_disk_is_said_and_leaves_nothing_half_written(
    whole: tuple[Script, Plan], name: str, tmp_path: Path
) -> None:
    script, plan = whole
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(DiskFull):
            if name == "zip":
                pack(plan, script, tmp_path / "play.zip", "opus")
            else:
                master(plan, script, tmp_path / "play", name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_said(whole: tuple[Script, Plan], tmp_path: Path) -> None:
    script, plan = whole
    with pytest.raises(FileUnwritable, match="no such file"):
        master(plan, script, tmp_path / "nowhere/play.wav", "wav")
    with pytest.raises(FormatUnknown):
        master(plan, script, tmp_path / "play.ogg", "ogg")


def test_two_that_write_one_file_leave_one_whole_file(whole: tuple[Script, Plan], tmp_path: Path) -> None:
    script, plan = whole
    target, made = tmp_path / "play.opus", list[Produced]()
    threads = [threading.Thread(target=lambda: made.append(master(plan, script, target, "opus"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {one.sha256 for one in made} == {hashlib.sha256(target.read_bytes()).hexdigest()}
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_process_left_is_cleared_away(whole: tuple[Script, Plan], tmp_path: Path) -> None:
    script, plan = whole
    old, held, other = (tmp_path / f".{name}.part" for name in ("play.wav.0123", "play.wav.4567", "other.wav.0123"))
    for path in (old, held, other):
        path.write_bytes(b"half")
        os.utime(path, (1, 1))
    with held.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        master(plan, script, tmp_path / "play.wav", "wav")
    assert {path.name for path in tmp_path.iterdir()} == {"play.wav", held.name, other.name}


def test_a_line_whose_sound_is_gone_is_named(tmp_path: Path) -> None:
    path = tmp_path / "line.pcm"
    with pytest.raises(AudioGone, match="line 7"):
        prepare([Take(line(7), (path,))])
    path.write_bytes(tone(500))
    plan = prepare([Take(line(7), (path,))])
    path.write_bytes(tone(100))
    with pytest.raises(AudioGone, match="line 7"):
        list(blocks(plan))


def test_every_line_can_be_had_as_a_file_of_its_own(whole: tuple[Script, Plan], tmp_path: Path) -> None:
    script, plan = whole
    pack(plan, script, tmp_path / "play.zip", "flac", [("play.srt", as_srt(plan, script))])
    with zipfile.ZipFile(tmp_path / "play.zip") as archive:
        assert archive.testzip() is None
        told = json.loads(archive.read(MANIFEST))
        assert archive.namelist() == [*(one["file"] for one in told["lines"]), "play.srt", MANIFEST]
        assert archive.namelist()[3] == "00004-Narrator.flac"
        for one, placed in zip(told["lines"], plan.placed, strict=True):
            data = archive.read(one["file"])
            assert hashlib.sha256(data).hexdigest() == one["file_sha256"]
            assert hashlib.sha256(b"".join(placed.take.clips)).hexdigest() == one["sha256"]  # type: ignore[arg-type]
            (tmp_path / "one.flac").write_bytes(data)
            samples, rate = decoded(tmp_path / "one.flac")
            assert abs(len(samples) * 1000 // rate - (one["end_ms"] - one["start_ms"])) <= 1


def test_a_manifest_names_the_files_that_were_made(whole: tuple[Script, Plan], tmp_path: Path) -> None:
    script, plan = whole
    produced = master(plan, script, tmp_path / "play.wav", "wav")
    told = json.loads(manifest(plan, script, [produced]))
    assert told["files"] == [{"name": "play.wav", "format": "wav", "size": produced.size, "sha256": produced.sha256}]
    assert [one["title"] for one in told["chapters"]] == ["One", "Two"]


def test_who_listens_while_it_is_made_hears_it_at_the_same_times(whole: tuple[Script, Plan]) -> None:
    script, plan = whole
    live = Live(script.speakers)
    pcm = b"".join(block for placed in plan.placed for block in live.add(placed.take))
    assert len(pcm) // 2 == plan.placed[-1].end
    assert abs(measure(pcm)[0] - -16) < 2
    heard = stretches(np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768, SAMPLE_RATE_HZ)
    assert all(abs(at[0] - one.start_ms) <= 50 for at, one in zip(heard, plan.placed, strict=True))


def test_times_of_words_are_the_engines_or_marked_as_estimated() -> None:
    clip = tone(1000, before_ms=500, after_ms=500)
    told = (Word("One", 500, 900), Word("two", 900, 1500))
    plan = prepare([Take(line(1), (tone(300),)), Take(line(2), (clip,), told), Take(line(3), (clip,))])
    start = plan.placed[1].start_ms
    first, second = words(plan.placed[1])
    assert abs(first.start_ms - start) <= 15
    assert second.start_ms == first.end_ms == first.start_ms + 400
    lines = json.loads(as_json(plan, Script(tuple(one.take.line for one in plan.placed))))["lines"]
    assert [["estimated" in word for word in one["words"]] for one in lines] == [[True], [False, False], [True]]
    assert lines[2]["words"][0] | {"text": ""} == {
        "text": "",
        "start_ms": plan.placed[2].start_ms,
        "end_ms": plan.placed[2].end_ms,
        "estimated": True,
    }


def test_captions_are_short_and_say_nothing_but_the_text() -> None:
    text = (
        "This is <b>not</b> a tag --> nor an arrow, but it goes on & on until nobody reads it any more. Short one. " * 3
    )
    long = play()[1][0].line.__class__(1, 1, "A<b>", text.strip())
    plan = prepare([Take(long, (tone(2000), tone(2000)))])
    cues = list(captions(plan))
    assert max(len(cue.text) for cue in cues) <= 84
    assert " ".join(cue.text for cue in cues) == text.strip().replace("-->", "→")
    assert all(cue.start_ms < cue.end_ms for cue in cues)
    script = Script((long,))
    assert as_srt(plan, script).count("-->") == as_vtt(plan, script).count("-->") == len(cues)
    assert "<b>" not in as_vtt(plan, script)


@pytest.mark.parametrize(
    "wrong", [{"gap_ms": -1}, {"lufs": 0}, {"peak_db": 1}, {"channels": 3}, {"piece_gap_ms": 99_999}]
)
def test_a_style_has_bounds(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Style(**wrong)  # type: ignore[arg-type]
