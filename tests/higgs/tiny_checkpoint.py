"""A tiny Higgs Audio v2 with random weights, in the files and with the keys of the real one; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from workers.tts.higgs.checkpoint import provide_resample

provide_resample()

from transformers import (
    DacFeatureExtractor,
    GenerationConfig,
    HiggsAudioV2Config,
    HiggsAudioV2ForConditionalGeneration,
    HiggsAudioV2TokenizerConfig,
    HiggsAudioV2TokenizerModel,
    PreTrainedTokenizerFast,
)

CONTROL = [
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|audio_bos|>",
    "<|audio_eos|>", "<|audio_out_bos|>", "<|reserved_special_token_6|>", "<|AUDIO|>", "<|AUDIO_OUT|>",
    "<|scene_desc_start|>", "<|scene_desc_end|>",
]  # fmt: skip
CORPUS = [
    "Generate audio following instruction.",
    "Audio is recorded from a quiet room.",
    "system user assistant SPEAKER0 SPEAKER1 feminine masculine",
    "The sun rises in the east and sets in the west.",
] * 4


def write_tiny_checkpoint(folder: Path, *, ends: bool = True) -> tuple[Path, Path]:
    """Write `generation` and `tokenizer`, 6 MB together; returns both folders. What is random ends at random; with
    `ends` false it goes on until it is cut off."""
    torch.manual_seed(0)
    model_at, codec_at = folder / "generation", folder / "tokenizer"
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(model_at)
    _model(tokenizer, ends=ends).save_pretrained(model_at)
    _codec().save_pretrained(codec_at)
    DacFeatureExtractor(
        feature_size=1, hop_length=1, padding_side="right", padding_value=0.0, sampling_rate=24_000
    ).save_pretrained(codec_at)
    return model_at, codec_at


def _tokenizer() -> Any:
    made = Tokenizer(models.BPE(byte_fallback=False))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=CONTROL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>", pad_token="<|eot_id|>"
    )


def _model(tokenizer: Any, *, ends: bool) -> Any:
    id_of = tokenizer.convert_tokens_to_ids
    config = HiggsAudioV2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        codebook_size=1026,
        pad_token_id=id_of("<|end_of_text|>"),
        bos_token_id=1,
        eos_token_id=id_of("<|eot_id|>"),
        audio_token_id=id_of("<|AUDIO_OUT|>"),
        audio_bos_token_id=id_of("<|audio_out_bos|>"),
        audio_delay_token_id=id_of("<|reserved_special_token_6|>"),
    )
    model = HiggsAudioV2ForConditionalGeneration(config).eval()
    with torch.no_grad():  # as they are initialised, all codes are about as likely
        for layer in model.model.layers:
            for linear in layer.modules():
                if isinstance(linear, torch.nn.Linear):
                    linear.weight.normal_(0, 0.15)
        model.model.embed_tokens.weight.normal_(0, 1.0)
        model.audio_lm_head.weight.normal_(0, 0.5)
        model.model.embed_audio_tokens.embed_audio_tokens.weight.normal_(0, 0.5)
        if not ends:
            model.audio_lm_head.weight.view(config.num_codebooks, config.codebook_size, -1)[:, -2:].zero_()
    settings = GenerationConfig(bos_token_id=1, eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id)
    settings.ras_win_len, settings.ras_win_max_num_repeat = 7, 2
    model.generation_config = settings
    return model


def _codec() -> Any:
    codec = HiggsAudioV2TokenizerModel(
        HiggsAudioV2TokenizerConfig(
            target_bandwidths=[0.5, 1, 1.5, 2],
            sample_rate=24_000,
            codebook_size=1024,
            codebook_dim=8,
            acoustic_model_config={
                "model_type": "dac", "encoder_hidden_size": 4, "decoder_hidden_size": 32, "hidden_size": 16,
                "downsampling_ratios": [8, 5, 4, 2, 3], "upsampling_ratios": [8, 5, 4, 2, 3], "hop_length": 960,
                "n_codebooks": 9, "codebook_size": 1024, "codebook_dim": 8, "sampling_rate": 16_000,
            },
            semantic_model_config={
                "model_type": "hubert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                "intermediate_size": 32, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 16,
                "num_conv_pos_embedding_groups": 2, "vocab_size": 32,
            },
        )
    ).eval()  # fmt: skip
    with torch.no_grad():  # codebooks are initialised with zeros, and what follows with anything
        for quantizer in codec.quantizer.quantizers:
            quantizer.codebook.embed.normal_(0, 1.0)
            quantizer.project_out.weight.normal_(0, 0.3)
        codec.fc2.weight.normal_(0, 0.3)
        for module in codec.acoustic_decoder.modules():
            if isinstance(module, (torch.nn.Conv1d, torch.nn.ConvTranspose1d)):
                torch.nn.init.xavier_normal_(module.weight)
        said = codec.decode(torch.randint(0, 1024, (1, 8, 50))).audio_values
        codec.acoustic_decoder.conv2.weight.mul_(0.1 / said.std())  # as loud as speech
        codec.acoustic_decoder.conv2.bias.zero_()
    return codec
