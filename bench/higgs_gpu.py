"""Higgs Audio v2 at its real size, with random weights that cost the same as trained ones: voices that a GPU holds.

    cueline bench higgs_gpu [--voices 1,8,32,64,128] [--seconds 8] [--int8] [--out FILE]
    cueline bench higgs_gpu --tiny                       the same in small, on a CPU: that it runs, no figure

In one run: transformers' own `generate()`, one sentence after another (the peer); the step alone against the time in
which the memory could deliver its weights (the floor); voices that all begin at once; and live voices, each of which
asks for its next sentence while the last is heard, so that a late chunk is a gap. The random weights never end a
sentence, so lengths are as asked for. Needs torch and transformers alone.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workers.tts.higgs.batch import Batch, Options
from workers.tts.higgs.checkpoint import provide_resample
from workers.tts.higgs.codec import FRAMES_PER_S, RATE_HZ, Codec
from workers.tts.higgs.network.transformer import Transformer
from workers.tts.higgs.prompt import Prompt, delayed, joined
from workers.tts.higgs.take import Sampling, Take

SAMPLE_BYTES = 2
ANCHOR_FRAMES = 8 * FRAMES_PER_S
TEXT_TOKENS, SENTENCE_FRAMES = 40, 4 * FRAMES_PER_S
CHARACTERS = 8
ASK_AHEAD_S = 1.5
"""A live voice asks for its next sentence when so much of the last is still to be heard."""


def build(*, tiny: bool, device: torch.device) -> tuple[Any, Any]:
    """Model and codec with random weights."""
    provide_resample()
    from transformers import (
        HiggsAudioV2Config,
        HiggsAudioV2ForConditionalGeneration,
        HiggsAudioV2TokenizerConfig,
        HiggsAudioV2TokenizerModel,
    )

    codec_config = json.loads((Path(__file__).parent / "higgs_codec.json").read_text())
    small: dict[str, Any] = {}
    if tiny:
        small = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
                 "num_key_value_heads": 2, "head_dim": 16}  # fmt: skip
        codec_config["acoustic_model_config"] |= {
            "encoder_hidden_size": 4,
            "decoder_hidden_size": 64,
            "hidden_size": 16,
        }
        codec_config["semantic_model_config"] |= {
            "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
            "conv_dim": [8] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2,
        }  # fmt: skip
        codec_config["codebook_dim"] = 8
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float32 if tiny else torch.bfloat16)
    with device:
        model = HiggsAudioV2ForConditionalGeneration(HiggsAudioV2Config(codebook_size=1026, **small)).eval()
    torch.set_default_dtype(torch.float32)
    with device:
        codec = HiggsAudioV2TokenizerModel(HiggsAudioV2TokenizerConfig(**codec_config)).eval()
    with torch.no_grad():
        config = model.config
        model.audio_lm_head.weight.view(config.num_codebooks, config.codebook_size, -1)[:, -1].zero_()
    return model, codec


def voice_prefix(config: Any, number: int) -> Prompt:
    """A scene and an anchor of eight seconds, in random tokens."""
    rng = np.random.default_rng(number)
    text = rng.integers(20, 300 if config.vocab_size < 1000 else 100_000, 60)
    codes = rng.integers(0, 1024, (config.num_codebooks, ANCHOR_FRAMES)).astype(np.uint16)
    rows = delayed(codes, config.audio_stream_bos_id, config.audio_stream_eos_id)
    none = np.zeros((0, config.num_codebooks), np.int64)
    return joined([
        Prompt(text, none, np.zeros(len(text), bool)),
        Prompt(np.full(len(rows), config.audio_token_id), rows, np.ones(len(rows), bool)),
    ])  # fmt: skip


def sentence(config: Any, seed: int) -> Prompt:
    """What is to be said, in random tokens."""
    text = np.random.default_rng(seed).integers(20, 300 if config.vocab_size < 1000 else 100_000, TEXT_TOKENS)
    return Prompt(text, np.zeros((0, config.num_codebooks), np.int64), np.zeros(TEXT_TOKENS, bool))


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def measure_peer(model: Any, sentences: int, frames: int) -> dict[str, float]:
    """transformers' `generate()`, one by one, sound decoded at the end: what there is without this engine."""
    config, device = model.config, model.device
    prompt = joined([voice_prefix(config, 0), sentence(config, 0)])
    ids = torch.from_numpy(prompt.ids).to(device)[None]
    rows = torch.from_numpy(prompt.rows).to(device)[None]
    took: list[float] = []
    for number in range(sentences + 1):
        started = time.perf_counter()
        model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), audio_input_ids=rows,
            audio_input_ids_mask=torch.ones(rows.shape[:2], dtype=torch.bool, device=device),
            max_new_tokens=frames + config.num_codebooks, do_sample=True, temperature=0.7, top_k=50, top_p=0.95,
        )  # fmt: skip
        synchronize(device)
        if number:
            took.append(time.perf_counter() - started)
    whole = statistics.median(took)
    return {"audio_s_per_s": frames / FRAMES_PER_S / whole, "sentence_s": whole}


def measure_copy() -> float:
    """Bytes per second that the memory moves, read and written."""
    source = torch.empty(1 << 32, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    target.copy_(source)
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(5):
        target.copy_(source)
    torch.cuda.synchronize()
    return 5 * 2 * source.numel() / (time.perf_counter() - started)


def measure_steps(batch: Batch, sizes: list[int], copy_bytes_per_s: float, step_bytes: int) -> dict[str, Any]:
    """The step alone, all slots 600 positions in, against the floor: its weights and keys read once."""
    found = {}
    slots = batch._slots
    config = batch._config
    per_position = (
        slots.keys.element_size() * 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    )
    for size in sizes:
        if size > slots.count:
            continue
        slots.put(list(range(size)), [{"position": 600, "is_on": 1}] * size)
        takes: list[Any] = [(slot, None) for slot in range(size)]
        for _ in range(3):
            batch._stepper.start(takes, 700).wait()
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(30):
            step = batch._stepper.start(takes, 700)
        step.wait()
        took_ms = (time.perf_counter() - started) / 30 * 1000
        floor_ms = (step_bytes + size * 600 * per_position) / copy_bytes_per_s * 1000
        found[str(size)] = {"step_ms": took_ms, "floor_ms": floor_ms, "ratio": took_ms / floor_ms}
    slots.put(list(range(slots.count)), [{}] * slots.count)
    return found


def measure_codec(codec: Codec, books: int) -> dict[str, float]:
    """Windows alone: a first one, and steady ones of several sentences."""
    found = {}
    for count, width in ((1, 10), (1, 71), (4, 71), (16, 71)):
        windows = [np.random.default_rng(0).integers(0, 1024, (books, width)).astype(np.uint16)] * count
        for _ in range(3):
            codec.decode(windows)
        synchronize(codec.device)
        started = time.perf_counter()
        for _ in range(10):
            codec.decode(windows)
        synchronize(codec.device)
        found[f"{count}x{width}_ms"] = (time.perf_counter() - started) * 100
    return found


class Listener:
    """Hears takes as somebody would: what comes late is a gap."""

    def __init__(self) -> None:
        self.first_ms: list[float] = []
        self.gaps_ms: list[float] = []
        self.bytes = 0

    def hear(self, take: Take) -> float:
        """Until the end; returns when all of it will have been heard."""
        due = 0.0
        for block in take.blocks():
            now = time.perf_counter()
            if not due:
                self.first_ms.append((now - take.asked_at) * 1000)
                due = now
            elif now > due:
                self.gaps_ms.append((now - due) * 1000)
                due = now
            due += len(block) / SAMPLE_BYTES / RATE_HZ
            self.bytes += len(block)
        return due


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else float("nan")


def told(listeners: list[Listener], wall_s: float, steps: int) -> dict[str, Any]:
    first = [value for one in listeners for value in one.first_ms]
    gaps = [value for one in listeners for value in one.gaps_ms]
    audio_s = sum(one.bytes for one in listeners) / SAMPLE_BYTES / RATE_HZ
    return {
        "sentences": len(first), "first_ms_p50": percentile(first, 0.5), "first_ms_p95": percentile(first, 0.95),
        "audio_s_per_s": audio_s / wall_s, "gaps": len(gaps), "gap_ms_max": max(gaps, default=0.0),
        "steps": steps, "step_ms": wall_s / max(1, steps) * 1000,
    }  # fmt: skip


def at_once(batch: Batch, config: Any, prefixes: list[Prompt], voices: int, frames: int) -> dict[str, Any]:
    """All ask in the same moment: the worst case for the first sound, and the most sound per second."""
    listeners = [Listener() for _ in range(voices)]
    steps = batch.steps
    started = time.perf_counter()
    takes = [
        batch.submit(
            Take(prefixes[n % len(prefixes)], sentence(config, n), seed=n, most_frames=frames, sampling=Sampling())
        )
        for n in range(voices)
    ]
    threads = [threading.Thread(target=one.hear, args=(take,)) for one, take in zip(listeners, takes, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told(listeners, time.perf_counter() - started, batch.steps - steps)


def live(batch: Batch, config: Any, prefixes: list[Prompt], voices: int, seconds: float) -> dict[str, Any]:
    """Each voice speaks all the time, sentence after sentence, begun at random moments."""
    listeners = [Listener() for _ in range(voices)]
    steps, started = batch.steps, time.perf_counter()
    until = started + seconds

    def speak(number: int, listener: Listener) -> None:
        dice = random.Random(number)
        time.sleep(dice.uniform(0, 3))
        said = 0
        while time.perf_counter() < until:
            frames = dice.randint(SENTENCE_FRAMES // 2, SENTENCE_FRAMES * 3 // 2)
            take = Take(
                prefixes[number % len(prefixes)], sentence(config, number + 1000 * said), seed=number,
                most_frames=frames, sampling=Sampling(),
            )  # fmt: skip
            heard_until = listener.hear(batch.submit(take))
            said += 1
            time.sleep(max(0.0, heard_until - ASK_AHEAD_S - time.perf_counter()))

    threads = [threading.Thread(target=speak, args=(n, one)) for n, one in enumerate(listeners)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told(listeners, time.perf_counter() - started, batch.steps - steps)


def timed_phases(batch: Batch) -> dict[str, float]:
    """Where the batch's thread spends its time, in seconds; it counts on."""
    spent: dict[str, float] = defaultdict(float)
    for name in ("_drop_cancelled", "_admit", "_start_step", "_read", "_decode", "_deliver"):
        whole = getattr(batch, name)

        def timed(*args: Any, whole: Any = whole, name: str = name, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return whole(*args, **kwargs)
            finally:
                spent[name] += time.perf_counter() - started

        setattr(batch, name, timed)
    return spent


def exactness(batch: Batch, config: Any, prefixes: list[Prompt], frames: int) -> bool:
    """Whether one sentence has the same samples alone and among others."""

    def one(seed: int) -> Take:
        return Take(prefixes[0], sentence(config, seed), seed=seed, most_frames=frames, sampling=Sampling())

    alone = b"".join(batch.submit(one(5)).blocks())
    crowd = [batch.submit(one(n)) for n in range(batch.slot_count)]
    return [b"".join(take.blocks()) for take in crowd][5] == alone


def profile(batch: Batch, config: Any, prefixes: list[Prompt], voices: int) -> str:
    """Where the device spends its time with so many voices."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as seen:
        at_once(batch, config, prefixes, voices, 40)
    return str(seen.key_averages().table(sort_by="cuda_time_total", row_limit=22, max_name_column_width=60))


def main() -> None:
    """Measure, print, and write to a file if asked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--voices", default="1,8,32,64,128")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--peer", type=int, default=2, help="sentences that the peer makes")
    parser.add_argument("--int8", action="store_true")
    parser.add_argument("--inexact", action="store_true", help="step only as many slots as are needed")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--positions", type=int, default=1024)
    parser.add_argument("--out", default="")
    arguments = parser.parse_args()
    voices = [int(number) for number in arguments.voices.split(",")]
    device = torch.device("cuda" if torch.cuda.is_available() and not arguments.tiny else "cpu")
    frames = 20 if arguments.tiny else SENTENCE_FRAMES
    found: dict[str, Any] = {"torch": torch.__version__, "int8": arguments.int8, "exact": not arguments.inexact}
    started = time.perf_counter()

    def note(name: str, value: Any) -> None:
        found[name] = value
        print(f"[{time.perf_counter() - started:6.1f}] {name}: {json.dumps(value)}", flush=True)
        if arguments.out:
            Path(arguments.out).write_text(json.dumps(found, indent=1))

    note("device", torch.cuda.get_device_name() if device.type == "cuda" else "cpu, tiny: no figures")
    model, raw_codec = build(tiny=arguments.tiny, device=device)
    config = model.config
    note("built", True)
    if arguments.peer:
        with torch.inference_mode():
            note("peer_generate", measure_peer(model, arguments.peer, frames))
    network = Transformer(model, arguments.positions, device, int8=arguments.int8)
    exact = not arguments.inexact
    torch.backends.cudnn.deterministic = exact
    codec = Codec(raw_codec, config.num_codebooks, use_graphs=device.type == "cuda", exact=exact)
    step_bytes = network.step_bytes()
    note("weights_gb", network.bytes() / 1e9)
    batch = Batch(network, codec, config, Options(max(voices), arguments.positions, exact=exact))
    note("ready", True)
    if device.type == "cuda":
        copy = measure_copy()
        note("copy_tb_per_s", copy / 1e12)
        with torch.inference_mode():
            note("steps", measure_steps(batch, voices, copy, step_bytes))
    note("codec", measure_codec(codec, config.num_codebooks))
    prefixes = [voice_prefix(config, number) for number in range(CHARACTERS)]
    spent = timed_phases(batch) if arguments.profile else {}
    batch.start()
    at_once(batch, config, prefixes, min(8, max(voices)), frames)  # reads the prefixes
    note("exact_in_batch", exactness(batch, config, prefixes, frames) if batch.slot_count > 5 else None)
    for number in voices:
        note(f"at_once_{number}", at_once(batch, config, prefixes, number, frames))
        spent.clear()
        note(f"live_{number}", live(batch, config, prefixes, number, arguments.seconds))
        if spent:
            note(f"host_{number}", dict(spent))
    if "peer_generate" in found:
        best = max(found[f"at_once_{number}"]["audio_s_per_s"] for number in voices)
        note("best_over_peer", best / found["peer_generate"]["audio_s_per_s"])
    if device.type == "cuda":
        note("memory_gb", torch.cuda.max_memory_allocated() / 1e9)
        if arguments.profile:
            print(profile(batch, config, prefixes, 64), flush=True)
    batch.stop()


if __name__ == "__main__":
    main()
