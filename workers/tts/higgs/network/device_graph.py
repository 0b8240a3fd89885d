"""CUDA's graphs, streams and events, in the form in which they are needed here. Nothing here runs without a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Graph:
    """What `run` launches, recorded once and replayed as one launch. Its result is in the same memory each time."""

    def __init__(self, run: Callable[[], Tensor], pool: Any = None) -> None:
        """`pool` is that of other graphs which never run at the same time as this one, and whose results are not
        needed when this one runs."""
        side = new_stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            run()  # kernels are compiled and libraries initialised before anything is recorded
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads may use the device meanwhile.
        with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
            self.result = run()
        self.pool = pool or self._graph.pool()

    def replay(self) -> Tensor:
        """Launch it on the current stream."""
        self._graph.replay()
        return self.result


def new_stream() -> Any:
    """A stream beside the current one."""
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]


def mark() -> Any:
    """An event that has happened when the device has done all that was launched so far."""
    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record()
    return event
