"""The running batch: what it makes is what the model makes alone, whoever joins and leaves."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.errors import EngineFailed, SpeechError, TextUnspeakable
from workers.tts.higgs.batch import Batch
from workers.tts.higgs.checkpoint import Checkpoint
from workers.tts.higgs.codec import FRAME_SAMPLES, Codec
from workers.tts.higgs.prompt import Prompt, Prompts, Spoken, joined
from workers.tts.higgs.take import Sampling, Take

COLD = Sampling(temperature=0, most_repeats=0)
MakeBatch = Callable[..., Batch]
TEXTS = ("The sun rises in the east.", "Hello there.", "A longer one, which has quite a few more words in it.")


def reference(frames: int = 30, seed: int = 0) -> Spoken:
    codes = np.random.default_rng(seed).integers(0, 1024, (8, frames))
    return Spoken("It was the night.", codes.astype(np.uint16))


def three(prompts: Prompts) -> list[tuple[Prompt, Prompt]]:
    """With a description; with nothing; with an anchor and something said before."""
    return [
        (prompts.prefix("", "feminine", None), prompts.rest([], TEXTS[0], has_description=True)),
        (prompts.prefix("", "", None), prompts.rest([], TEXTS[1], has_description=False)),
        (
            prompts.prefix("A hall.", "", reference()),
            prompts.rest([reference(12, 1)], TEXTS[2], has_description=False),
        ),
    ]


def take(parts: tuple[Prompt, Prompt], *, seed: int = 1, frames: int = 40, sampling: Sampling = COLD) -> Take:
    return Take(*parts, seed=seed, most_frames=frames, sampling=sampling)


def run_out(batch: Batch) -> None:
    while batch.turn():
        pass


def heard(one: Take) -> tuple[bytes, np.ndarray[Any, Any]]:
    pcm = b"".join(one.blocks())
    assert one.end is not None
    return pcm, one.end.codes


def generated(checkpoint: Checkpoint, parts: tuple[Prompt, Prompt], rows: int) -> np.ndarray[Any, Any]:
    """Rows of codes from transformers itself, without the first, which is the start of speech."""
    prompt = joined(parts)
    ids = torch.from_numpy(prompt.ids)[None]
    audio: dict[str, torch.Tensor] = {}
    if len(prompt.rows):
        audio = {
            "audio_input_ids": torch.from_numpy(prompt.rows)[None],
            "audio_input_ids_mask": torch.ones(1, len(prompt.rows), dtype=torch.bool),
        }
    checkpoint.model.generation_config.ras_win_len = None
    made = checkpoint.model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=rows + 1, do_sample=False, **audio
    )
    return made[0, len(prompt.rows) + 1 :].numpy()  # type: ignore[no-any-return]


def undelayed(rows: np.ndarray[Any, Any], frames: int) -> np.ndarray[Any, Any]:
    return np.stack([rows[book : book + frames, book] for book in range(8)])


def test_codes_are_those_of_generate_whenever_a_sentence_joins(
    make_batch: MakeBatch, prompts: Prompts, checkpoint: Checkpoint
) -> None:
    batch, parts = make_batch(), three(prompts)
    takes = [take(part) for part in parts]
    for one, turns in zip(takes, (5, 11, 0), strict=True):
        batch.submit(one)
        for _ in range(turns):
            batch.turn()
    run_out(batch)
    made = [heard(one)[1] for one in takes]
    for codes, part in zip(made, parts, strict=True):
        assert codes.shape == (8, 40)
        assert np.array_equal(codes, undelayed(generated(checkpoint, part, 48), 40))
    assert not np.array_equal(made[0], made[1]), "the prompts of this test change nothing"


def test_streamed_sound_is_that_of_one_decode_but_for_the_first_seam(
    make_batch: MakeBatch, prompts: Prompts, codec: Codec
) -> None:
    batch = make_batch()
    one = batch.submit(take(three(prompts)[0], frames=150))
    run_out(batch)
    pcm, codes = heard(one)
    whole = np.clip(codec.decode([codes])[0].numpy(), -1, 1)
    streamed = np.frombuffer(pcm, "<i2") / 32_767
    assert len(streamed) == 150 * FRAME_SAMPLES
    seam = 10 * FRAME_SAMPLES
    assert np.abs(streamed - whole)[seam:].max() < 5e-5
    # The first piece is decoded without what follows, which the last of its frames would have heard.
    assert np.abs(streamed - whole)[: seam - 10 * FRAME_SAMPLES // 2].max() < 0.3


def test_the_first_sound_is_there_before_the_sentence_is_made(make_batch: MakeBatch, prompts: Prompts) -> None:
    batch = make_batch()
    one = batch.submit(take(three(prompts)[0], frames=100))
    for _ in range(20):
        batch.turn()
    assert one.first_at
    blocks = one.blocks()
    assert len(next(blocks)) == (10 * FRAME_SAMPLES - 480) * 2
    blocks.close()


def test_a_seed_makes_the_same_audio_whatever_else_is_in_the_batch(make_batch: MakeBatch, prompts: Prompts) -> None:
    parts, warm = three(prompts), Sampling()
    alone = make_batch()
    first = alone.submit(take(parts[2], seed=9, sampling=warm))
    run_out(alone)
    crowd = make_batch()
    takes = [take(parts[n % 3], seed=n, sampling=warm) for n in range(9)] + [take(parts[2], seed=9, sampling=warm)]
    for one in takes:
        crowd.submit(one)
        crowd.turn()
    run_out(crowd)
    (pcm, codes), (pcm_again, codes_again) = heard(first), heard(takes[-1])
    assert np.array_equal(codes, codes_again)
    assert pcm == pcm_again
    assert not np.array_equal(codes, heard(takes[8])[1])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moves=st.lists(
        st.tuples(st.sampled_from(["join", "join", "turn", "turn", "leave"]), st.integers(0, 40)),
        min_size=4,
        max_size=14,
    )
)
def test_joins_and_leaves_at_any_step_change_nobodys_audio(
    make_batch: MakeBatch, prompts: Prompts, moves: list[tuple[str, int]]
) -> None:
    parts = three(prompts)
    alone = {}
    batch, joined_takes = make_batch(slots=2), []
    for move, number in moves:
        if move == "join":
            joined_takes.append(
                (number % 3, batch.submit(take(parts[number % 3], seed=5, frames=12, sampling=Sampling())))
            )
        elif move == "leave" and joined_takes:
            joined_takes[number % len(joined_takes)][1].cancel()
        else:
            for _ in range(number % 8 + 1):
                batch.turn()
    run_out(batch)
    for kind, one in joined_takes:
        cancelled = one.is_cancelled
        _, codes = heard(one)
        if kind not in alone:
            single = make_batch(slots=2)
            only = single.submit(take(parts[kind], seed=5, frames=12, sampling=Sampling()))
            run_out(single)
            alone[kind] = heard(only)[1]
        assert np.array_equal(codes, alone[kind][:, : codes.shape[1]])
        assert cancelled or codes.shape == (8, 12)


def test_who_is_cancelled_leaves_before_the_next_step_and_the_place_is_taken(
    make_batch: MakeBatch, prompts: Prompts
) -> None:
    batch, parts = make_batch(slots=1), three(prompts)
    first, second = (batch.submit(take(parts[0], frames=frames)) for frames in (200, 10))
    for _ in range(30):
        batch.turn()
    assert second.first_at == 0
    first.cancel()
    batch.turn()
    assert _drained(first) == ["cancelled"]
    run_out(batch)
    assert heard(second)[1].shape == (8, 10)


def _drained(one: Take) -> list[str]:
    for _ in one.blocks():
        pass
    return [one.end.reason] if one.end else []


def test_closing_the_iterator_frees_the_slot(make_batch: MakeBatch, prompts: Prompts) -> None:
    batch = make_batch(slots=1)
    batch.start()
    one = batch.submit(take(three(prompts)[0], frames=300))
    blocks = one.blocks()
    next(blocks)
    blocks.close()
    other = batch.submit(take(three(prompts)[1], frames=5))
    assert heard(other)[1].shape == (8, 5)
    batch.stop()


def test_many_threads_share_few_slots(make_batch: MakeBatch, prompts: Prompts) -> None:
    batch, parts = make_batch(slots=4), three(prompts)
    batch.start()
    sizes: dict[int, int] = {}

    def listen(number: int) -> None:
        sizes[number] = len(heard(batch.submit(take(parts[number % 3], seed=number, frames=12)))[0])

    threads = [threading.Thread(target=listen, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    batch.stop()
    assert sizes == dict.fromkeys(range(16), 12 * FRAME_SAMPLES * 2)


def test_what_fits_into_no_slot_is_refused(make_batch: MakeBatch, prompts: Prompts) -> None:
    with pytest.raises(TextUnspeakable):
        make_batch().submit(take(three(prompts)[0], frames=600))


def test_without_memory_it_goes_on_with_half_the_slots_and_begins_again_once(
    make_batch: MakeBatch, prompts: Prompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, parts = make_batch(slots=4), three(prompts)
    start, calls = batch._stepper.start, iter([True, True, True])

    def fail_once(*arguments: Any) -> Any:
        if next(calls, False):
            return start(*arguments)
        raise torch.OutOfMemoryError("there is no more")

    monkeypatch.setattr(batch._stepper, "start", fail_once)
    takes = [batch.submit(take(part, frames=12)) for part in parts]
    batch.start()
    assert [heard(one)[1].shape for one in takes] == [(8, 12)] * 3
    assert batch.slot_count == 2
    batch.stop()


def test_a_fault_ends_who_is_in_the_batch_and_nobody_after(
    make_batch: MakeBatch, prompts: Prompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, parts = make_batch(), three(prompts)
    monkeypatch.setattr(batch._stepper, "start", lambda *_: 1 / 0)
    one = batch.submit(take(parts[0]))
    batch.start()
    with pytest.raises(EngineFailed):
        list(one.blocks())
    assert heard(batch.submit(take(parts[0], frames=5)))[1].shape == (8, 5)
    batch.stop()


def test_a_batch_that_cannot_go_on_tells_everybody_at_once(
    make_batch: MakeBatch, prompts: Prompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, parts = make_batch(slots=1), three(prompts)
    broken = threading.Event()
    batch.on_broken = broken.set

    def is_full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("there is no more")

    monkeypatch.setattr(batch._stepper, "start", is_full)
    monkeypatch.setattr(batch, "_build", is_full)
    takes = [batch.submit(take(parts[0])) for _ in range(2)]
    batch.start()
    for one in takes:
        with pytest.raises(EngineFailed):
            list(one.blocks())
    assert broken.wait(10)
    with pytest.raises(EngineFailed):
        batch.submit(take(parts[0]))


def test_when_it_stops_nobody_waits(make_batch: MakeBatch, prompts: Prompts) -> None:
    batch = make_batch(slots=1)
    takes = [batch.submit(take(three(prompts)[0], frames=300)) for _ in range(3)]
    batch.start()
    next(takes[0].blocks())
    batch.stop()
    for one in takes[1:]:
        with contextlib.suppress(SpeechError):
            list(one.blocks())
    with pytest.raises(EngineFailed):
        batch.submit(take(three(prompts)[0]))
