"""Opens a network from its file, to be run on one thread. Not: which network, what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class NetworkMissing(Exception):
    """It cannot be opened: what runs it is not installed (`is_installed`), or the file holds none."""

    def __init__(self, text: str, *, is_installed: bool) -> None:
        super().__init__(text)
        self.is_installed = is_installed


def open_network(path: Path) -> Any:
    """An onnxruntime session, which any number of threads may run.

    Raises: NetworkMissing.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise NetworkMissing(str(error), is_installed=False) from error
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # Every kind of bad file raises another kind of error.
        raise NetworkMissing(str(error), is_installed=True) from error
