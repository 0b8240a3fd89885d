"""A tiny Glow-TTS in the files that coqui-tts keeps its models in: a steady hum, some frames for each letter."""

from __future__ import annotations

import math
from pathlib import Path

RATE_HZ, HOP, MELS = 22_050, 256, 80
FRAMES_PER_LETTER = 5
HUM_MEL, HUM_DB, REST_DB = 3, -4.0, -120.0
"""The band at about 150 Hz, how loud it is, and how loud the others are."""


def write_toy_coqui(folder: Path) -> Path:
    """`config.json` and `model_file.pth`; returns `folder`."""
    import torch
    from TTS.config.shared_configs import BaseAudioConfig
    from TTS.tts.configs.glow_tts_config import GlowTTSConfig
    from TTS.tts.configs.shared_configs import CharactersConfig
    from TTS.tts.models.glow_tts import GlowTTS

    folder.mkdir(parents=True, exist_ok=True)
    config = GlowTTSConfig(
        audio=BaseAudioConfig(
            sample_rate=RATE_HZ,
            hop_length=HOP,
            num_mels=MELS,
            mel_fmin=0,
            mel_fmax=8000,
            signal_norm=False,
            griffin_lim_iters=10,
            do_trim_silence=False,
        ),
        text_cleaner="transliteration_cleaners",
        characters=CharactersConfig(
            pad="<PAD>",
            eos="<EOS>",
            bos="<BOS>",
            blank="<BLNK>",
            characters="abcdefghijklmnopqrstuvwxyz0123456789",
            punctuations="!'(),-.:;? ",
        ),
        use_phonemes=False,
        hidden_channels_enc=16,
        hidden_channels_dec=16,
        hidden_channels_dp=16,
        num_flow_blocks_dec=2,
        num_block_layers=1,
        encoder_type="gated_conv",
        encoder_params={"kernel_size": 5, "dropout_p": 0.1, "num_layers": 2},
    )
    torch.manual_seed(3)
    model = GlowTTS(config)
    with torch.no_grad():
        encoder = model.encoder
        encoder.duration_predictor.proj.weight.zero_()
        encoder.duration_predictor.proj.bias.fill_(math.log(1 + FRAMES_PER_LETTER) - 0.01)
        encoder.proj_m.weight.mul_(0.1)
        encoder.proj_m.bias.fill_(REST_DB)
        encoder.proj_m.bias[HUM_MEL] = HUM_DB
        for name, weight in model.decoder.named_parameters():
            # A flow that changes nothing: what the encoder says is what is heard.
            if weight.dim() == 2 and weight.shape[0] == weight.shape[1]:
                weight.copy_(torch.eye(weight.shape[0]))
            elif "end" in name:
                weight.zero_()
    config.save_json(str(folder / "config.json"))
    torch.save({"model": model.state_dict(), "step": 0}, folder / "model_file.pth")
    return folder
