"""`python -m workers.tts.higgs.card MIB …` says what Higgs could do on cards with so many MiB free, a line for each.

By arithmetic, with the sizes of the published checkpoint; nothing is loaded, and torch need not be here.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from workers.settings import settings
from workers.tts.higgs.memory import CODEC_BYTES, PREFIX_BYTES, WORKSPACE_BYTES, fitting_slots, slot_bytes, weight_bytes


@dataclass(frozen=True, slots=True)
class Published:
    """The configuration of bosonai/higgs-audio-v2-generation-3B-base, as far as memory depends on it."""

    vocab_size: int = 128_256
    hidden_size: int = 3072
    intermediate_size: int = 8192
    num_hidden_layers: int = 28
    num_attention_heads: int = 24
    num_key_value_heads: int = 8
    head_dim: int = 128
    num_codebooks: int = 8
    codebook_size: int = 1026


def main() -> int:
    """A line per argument, in its order."""
    for free_mib in sys.argv[1:]:
        sys.stdout.write(f"{say_what_fits(int(free_mib) << 20, settings().higgs_positions)}\n")
    return 0


def say_what_fits(free_bytes: int, positions: int) -> str:
    """In words for a person."""
    shape = Published()
    full, small = (fitting_slots(shape, free_bytes, positions, int8=int8) for int8 in (False, True))
    if full:
        more = f", {small} with CUELINE_HIGGS_INT8=1" if small > full else ""
        return f"Higgs could speak {full} sentences at once{more}"
    if small:
        return f"Higgs could speak {small} sentences at once with CUELINE_HIGGS_INT8=1, and not without"
    beside = CODEC_BYTES + WORKSPACE_BYTES + PREFIX_BYTES + 2 * slot_bytes(shape, positions)
    needed = (weight_bytes(shape, int8=True) + beside) / 1e9
    return f"too small for Higgs, which needs {needed:.0f} GB free even with CUELINE_HIGGS_INT8=1"


if __name__ == "__main__":
    sys.exit(main())
