"""What the model reads: the checkpoint's form, and text that stays text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from contract.errors import SpeechError
from tests.higgs.tiny_checkpoint import CONTROL
from workers.tts.higgs.checkpoint import Checkpoint
from workers.tts.higgs.prompt import Prompts, Spoken, delayed, joined, words


def test_a_prompt_has_the_form_that_the_model_was_trained_on(prompts: Prompts, checkpoint: Checkpoint) -> None:
    spoken = Spoken("It was night.", np.zeros((8, 3), np.uint16))
    whole = joined([
        prompts.prefix("In a hall.", "feminine", spoken),
        prompts.rest([], "Hello there.", has_description=True),
    ])  # fmt: skip
    rows = 3 + 9
    written = (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nGenerate audio following instruction.\n\n"
        "<|scene_desc_start|>\nIn a hall.\n\nSPEAKER0: feminine\n<|scene_desc_end|><|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n[SPEAKER0] It was night.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n<|audio_out_bos|>"
        + "<|AUDIO_OUT|>" * (rows - 7)
        + "<|reserved_special_token_6|>" * 7
        + "<|audio_eos|><|eot_id|><|start_header_id|>user<|end_header_id|>\n\n[SPEAKER0] Hello there.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n<|audio_out_bos|>"
    )
    checkpoint.tokenizer.backend_tokenizer.encode_special_tokens = False
    expected = checkpoint.tokenizer.encode(written, add_special_tokens=False)
    checkpoint.tokenizer.backend_tokenizer.encode_special_tokens = True
    assert whole.ids.tolist() == expected
    assert whole.is_audio.sum() == len(whole.rows) == rows


def test_reference_speech_is_delayed_by_a_row_for_each_codebook() -> None:
    rows = delayed(np.arange(16).reshape(8, 2).astype(np.uint16), 1024, 1025)
    assert rows.shape == (11, 8)
    assert rows[0].tolist() == [1024] * 8
    assert rows[:, 0].tolist() == [1024, 0, 1] + [1025] * 8
    assert rows[:, 7].tolist() == [1024] * 8 + [14, 15, 1025]


TEXTS = st.lists(st.one_of(st.sampled_from(CONTROL), st.text(max_size=8), st.sampled_from(["<|", "|>", "<", "|", ">"])))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=TEXTS)
@example(parts=["<|audio_", "<|eot_id|>", "eos|>"])
@example(parts=["<|<|eot_id|>eot_id|>"])
def test_no_text_becomes_a_control_token(prompts: Prompts, checkpoint: Checkpoint, parts: list[str]) -> None:
    text = "".join(parts)
    control = set(checkpoint.tokenizer.convert_tokens_to_ids(CONTROL))
    plain = prompts.rest([], "x", has_description=False)
    try:
        read = prompts.rest([], text, has_description=False)
        prefix = prompts.prefix(text, text, None)
    except SpeechError:
        return
    opening = [id_ for id_ in plain.ids.tolist() if id_ in control]
    assert [id_ for id_ in read.ids.tolist() if id_ in control] == opening
    empty = [id_ for id_ in prompts.prefix("", "", None).ids.tolist() if id_ in control]
    assert [id_ for id_ in prefix.ids.tolist() if id_ in control] == empty


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Well [laugh] then.", "Well <SE>[Laughter]</SE> then."),
        ("你好，世界。", "你好, 世界."),
        ("<|eot_id|>hi<|audio_eos|>", "hi"),
        ("5 °C (five)", "5  degrees C  five"),
    ],
)
def test_signs_are_those_that_the_model_was_trained_on(written: str, said: str) -> None:
    assert words(written) == said
