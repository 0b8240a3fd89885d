"""From codes to sound and back, in windows that overlap just so far that no seam differs from one decode of the whole.

The decoder hears 9.85 frames to each side (measured on its convolutions), so `REACH` frames of overlap are exact.
A window is never padded: padding changes its samples. So each width is a shape of its own, and on a GPU a graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from workers.tts.engine import Codes
from workers.tts.higgs.network.device_graph import Graph

RATE_HZ = 24_000
FRAME_SAMPLES = 960
FRAMES_PER_S = RATE_HZ // FRAME_SAMPLES
REACH = 10
"""Frames to each side that a sample depends on."""
BATCHES = (1, 2, 4, 8, 16)
"""Windows of one width that are decoded together; graphs exist for these numbers only."""

Samples = npt.NDArray[np.float32]


class Codec:
    """The checkpoint's own codec."""

    def __init__(self, codec: Any, books: int, *, use_graphs: bool, exact: bool = True) -> None:
        """`codec` is transformers' HiggsAudioV2TokenizerModel, of which the model uses so many codebooks.

        `exact`: each window is decoded alone, because several at once round differently.
        """
        self._codec = codec
        self._books = books
        self._exact = exact
        self._common: frozenset[int] = frozenset()
        self._use_graphs = use_graphs
        self._graphs: dict[tuple[int, int], tuple[Graph, Tensor]] = {}
        self._pool: Any = None
        self.device: torch.device = codec.device
        if hasattr(codec, "remove_weight_norm"):
            codec.remove_weight_norm()
        if self.device.type == "cuda":
            _fuse_snakes(codec.acoustic_decoder)

    @torch.inference_mode()
    def encode(self, samples: Samples) -> Codes:
        """Mono at 24 kHz, between -1 and 1, to [codebooks, frames]. Takes about a second per second on a CPU."""
        heard = torch.from_numpy(np.ascontiguousarray(samples, np.float32)).view(1, 1, -1).to(self.device)
        return self._codec.encode(heard).audio_codes[0].cpu().numpy().astype(np.uint16)  # type: ignore[no-any-return]

    @torch.inference_mode()
    def decode(self, windows: Sequence[Codes]) -> Tensor:
        """Windows of one width to samples on the device, [windows, frames × 960], float32."""
        is_common = windows[0].shape[1] in self._common or not self._use_graphs
        most = BATCHES[-1] if is_common and not self._exact else 1
        made = [self._decode(windows[start : start + most]) for start in range(0, len(windows), most)]
        return made[0] if len(made) == 1 else torch.cat(made)

    @torch.inference_mode()
    def warm_up(self, common: Sequence[int]) -> None:
        """Record what is needed all the time: windows of these widths in numbers, and any shorter one alone."""
        self._common = frozenset(common)
        if self._use_graphs:
            for width in range(max(common), 0, -1):
                together = width in self._common and not self._exact
                for count in reversed(BATCHES if together else BATCHES[:1]):
                    self._graph(count, width)

    def _decode(self, windows: Sequence[Codes]) -> Tensor:
        codes = torch.from_numpy(np.stack(windows).astype(np.int64))
        if not self._use_graphs:
            return self._run(codes.to(self.device))
        count = next(size for size in BATCHES if size >= len(windows))
        graph, source = self._graph(count, codes.shape[2])
        source[: len(windows)].copy_(codes.pin_memory(), non_blocking=True)
        return graph.replay()[: len(windows)].clone()

    def _run(self, codes: Tensor) -> Tensor:
        return self._codec.decode(codes).audio_values[:, 0].float()  # type: ignore[no-any-return]

    def _graph(self, count: int, width: int) -> tuple[Graph, Tensor]:
        if known := self._graphs.get((count, width)):
            return known
        source = torch.zeros(count, self._books, width, dtype=torch.long, device=self.device)
        graph = Graph(lambda: self._run(source), self._pool)
        self._pool = graph.pool
        self._graphs[count, width] = graph, source
        return graph, source


class _Snake(torch.nn.Module):
    """The decoder's activation as one kernel instead of five; it runs at every sample of every layer."""

    def __init__(self, alpha: Tensor) -> None:
        super().__init__()
        self._alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        from workers.tts.higgs.network import kernels

        return kernels.snake(x, self._alpha)


def _fuse_snakes(decoder: torch.nn.Module) -> None:
    try:
        from workers.tts.higgs.network import kernels  # noqa: F401
    except ImportError:
        return
    for module in list(decoder.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__ == "Snake1d":
                setattr(module, name, _Snake(child.get_parameter("alpha").data))
