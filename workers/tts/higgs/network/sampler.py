"""The next row of codes for every slot at once, without a question to the host: a graph of it can be recorded.

Noise comes from a counter (seed, row, codebook, code), not from a generator's state: a sentence draws the same
whoever else is in the batch. Repetition-aware sampling as in VALL-E 2 (https://arxiv.org/abs/2406.05370): a code that
was there too often of late is drawn anew from the whole distribution.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from workers.tts.higgs.network.slots import Slots

MOST_K = 64
"""No more candidates than this are looked at."""
COLD = 1e-5
"""At or below this temperature the most likely code is taken."""
_RESAMPLE = 7919


Noise = Callable[[Tensor, Tensor, int, Tensor], Tensor]
"""`plain_ops.noise`, or the kernel."""


def sample(logits: Tensor, slots: Slots, bos: int, eos: int, noise: Noise) -> Tensor:
    """Draw the next row, [B, codebooks], from float32 `logits` [B, codebooks, vocabulary], and take it into the state
    of the first B slots: start and end of speech run diagonally through the codebooks."""
    count, books, _ = logits.shape
    book = torch.arange(books, device=logits.device).view(1, books)
    row, ending, seed = slots.row[:count], slots.ending[:count], slots.seed[:count]
    history = slots.history[:count]
    is_cold = (slots.temperature[:count] <= COLD).view(count, 1)

    codes = torch.where(is_cold, logits.argmax(-1), _draw(logits, slots, bos, noise))
    repeats = ((history == codes.unsqueeze(1)) & (history < bos)).sum(1)
    is_again = repeats >= slots.most_repeats[:count].view(count, 1)
    if logits.is_cuda or bool(is_again.any()):  # on a processor it is worth asking
        speech = logits.clone()
        speech[..., bos:] = torch.finfo(logits.dtype).min
        every = torch.arange(logits.shape[-1], device=logits.device).expand(logits.shape)
        codes = torch.where(is_again, (speech + noise(seed, row, _RESAMPLE, every)).argmax(-1), codes)

    codes = torch.where(book >= row.view(count, 1), bos, codes)
    codes = torch.where((ending.view(count, 1) > 0) & (book < ending.view(count, 1)), eos, codes)
    is_ending = (ending > 0) | (codes == eos).any(-1)
    is_on = slots.is_on[:count]
    slots.ending[:count].add_(is_ending.long() * is_on)
    slots.row[:count].add_(is_on)
    slots.position[:count].add_(is_on)
    slots.history[:count].copy_(torch.cat([history[:, 1:], codes.unsqueeze(1)], 1))
    slots.last[:count].copy_(codes)
    return codes


def _draw(logits: Tensor, slots: Slots, bos: int, noise: Noise) -> Tensor:
    """Temperature, then the k most likely, then those that make up p."""
    count, _, vocabulary = logits.shape
    k = min(MOST_K, vocabulary)
    warm = logits / slots.temperature[:count].clamp_min(COLD).view(count, 1, 1)
    warm[..., bos] = torch.finfo(logits.dtype).min  # speech starts once
    best, ids = warm.topk(k, dim=-1)
    rank = torch.arange(k, device=logits.device).view(1, 1, k)
    lowest = torch.finfo(best.dtype).min
    is_out = rank >= slots.top_k[:count].view(count, 1, 1)
    share = best.masked_fill(is_out, lowest).softmax(-1)
    is_out = is_out | ((share.cumsum(-1) - share) >= slots.top_p[:count].view(count, 1, 1))
    is_out = is_out & (rank > 0)
    drawn = noise(slots.seed[:count], slots.row[:count], 0, ids)
    chosen = (best.masked_fill(is_out, lowest) + drawn).argmax(-1, keepdim=True)
    return ids.gather(-1, chosen).squeeze(-1)
