"""A tiny random model in the files that Kyutai's DSM TTS comes in: language model, codec, text tokens, voices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BOOKS, CARD, TEXT_CARD, WIDTH, VOICE_WIDTH = 4, 64, 320, 32, 16
SEANET = {
    "channels": 1,
    "dimension": 16,
    "causal": True,
    "n_filters": 2,
    "n_residual_layers": 1,
    "activation": "ELU",
    "compress": 2,
    "dilation_base": 2,
    "disable_norm_outer_blocks": 0,
    "kernel_size": 7,
    "residual_kernel_size": 3,
    "last_kernel_size": 3,
    "norm": "none",
    "pad_mode": "constant",
    "ratios": [8, 6, 5, 4],
    "true_skip": True,
}
MIMI = {
    "sample_rate": 24000,
    "channels": 1,
    "frame_rate": 12.5,
    "seanet": SEANET,
    "quantizer": {"dimension": 8, "n_q": BOOKS, "bins": CARD, "input_dimension": 16, "output_dimension": 16},
    "transformer": {
        "d_model": 16,
        "num_heads": 2,
        "num_layers": 1,
        "causal": True,
        "layer_scale": 0.01,
        "context": 50,
        "conv_layout": True,
        "max_period": 10000,
        "gating": "none",
        "norm": "layer_norm",
        "positional_embedding": "rope",
        "dim_feedforward": 32,
        "input_dimension": 16,
        "output_dimensions": [16],
    },
}
CONFIG = {
    "card": CARD,
    "n_q": BOOKS,
    "dep_q": BOOKS,
    "delays": [0, 0, *[2] * (BOOKS - 1)],
    "dim": WIDTH,
    "text_card": TEXT_CARD,
    "text_card_out": 5,
    "existing_text_padding_id": 3,
    "num_heads": 2,
    "num_layers": 1,
    "hidden_scale": 2,
    "causal": True,
    "layer_scale": None,
    "context": 500,
    "max_period": 10000,
    "gating": "silu",
    "norm": "rms_norm_f32",
    "positional_embedding": "rope",
    "bias_proj": True,
    "depformer_dim": 16,
    "depformer_num_heads": 2,
    "depformer_num_layers": 1,
    "depformer_dim_feedforward": 32,
    "depformer_multi_linear": True,
    "depformer_pos_emb": "none",
    "depformer_weights_per_step": True,
    "demux_second_stream": True,
    "cross_attention": True,
    "conditioners": {
        "speaker_wavs": {"type": "tensor", "tensor": {"dim": VOICE_WIDTH}},
        "control": {"type": "lut", "lut": {"n_bins": 3, "dim": 8, "tokenizer": "noop", "possible_values": ["ok"]}},
        "cfg": {
            "type": "lut",
            "lut": {"n_bins": 7, "dim": 8, "tokenizer": "noop", "possible_values": ["1.0", "2.0", "3.0"]},
        },
    },
    "fuser": {"sum": ["control", "cfg"], "cross": ["speaker_wavs"], "prepend": []},
    "tts_config": {"audio_delay": 0.32, "second_stream_ahead": 2},
    "model_id": {"sig": "1e68beda", "epoch": 240},
    "model_type": "tts",
    "moshi_name": "dsm_tts_1e68beda@240.safetensors",
    "mimi_name": "tokenizer-e351c8d8-checkpoint125.safetensors",
    "mimi_config_name": "mimi.json",
    "tokenizer_name": "tokenizer_spm_8k_en_fr_audio.model",
}
"""As the published `config.json`, in small; the codec of the real one needs no configuration of its own."""
WORDS = (
    "Hello there, this is a test of the emergency broadcast system. Something quite different: and louder! One, two."
)


def write_toy_kyutai(folder: Path) -> Path:
    """Everything that the engine reads; returns `folder`."""
    import torch
    from moshi.models import loaders
    from safetensors.torch import save_file

    (folder / "voices/expresso").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG), "utf-8")
    (folder / "mimi.json").write_text(json.dumps(MIMI), "utf-8")
    _write_words(folder / str(CONFIG["tokenizer_name"]))
    torch.manual_seed(5)
    settings: Any = json.loads(json.dumps({name: CONFIG[name] for name in CONFIG if not name.endswith("_name")}))
    for name in ("tts_config", "model_id", "model_type"):
        del settings[name]
    model = loaders.get_moshi_lm(None, settings, dtype=torch.float32)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn_like(weight) * 0.3 if weight.dim() > 1 else torch.ones_like(weight))
        # A word is over when its tokens are: a random model would dawdle.
        model.text_linear.bias.copy_(torch.tensor([9.0, 0, 0, 0, 0]))
    save_file(model.state_dict(), folder / str(CONFIG["moshi_name"]))
    codec = loaders.get_mimi(None, json.loads(json.dumps(MIMI)), num_codebooks=BOOKS)
    save_file(
        {name: value.contiguous() for name, value in codec.state_dict().items()}, folder / str(CONFIG["mimi_name"])
    )
    for number, name in enumerate(("anna", "bert")):
        voice = torch.randn(1, VOICE_WIDTH, 10) + number
        save_file({"speaker_wavs": voice}, folder / f"voices/expresso/{name}.wav.1e68beda@240.safetensors")
    return folder


def _write_words(path: Path) -> None:
    import io

    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([WORDS] * 20),
        model_writer=model,
        vocab_size=TEXT_CARD - 1,
        model_type="bpe",
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    path.write_bytes(model.getvalue())
