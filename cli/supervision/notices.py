"""Hears what a process says of itself by sd_notify's protocol. Not: what is done about it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

DATAGRAM_BYTES_MAX = 4096
ADDRESS_BYTES_MAX = 100
"""What every kernel takes, macOS with its 104 included."""
_numbers = itertools.count()


def make_folder() -> str:
    """A folder for the sockets, which only this user can enter; its path is short enough for them."""
    is_long = len(tempfile.gettempdir()) > ADDRESS_BYTES_MAX - len("/cueline-12345678/1234567890")
    return tempfile.mkdtemp(prefix="cueline-", dir="/tmp" if is_long else None)  # noqa: S108 -- a new name in it


class Notices:
    """A socket in `folder` for one process."""

    def __init__(self, folder: str, hear: Callable[[str], None]) -> None:
        self._hear = hear
        self._path = Path(folder, str(next(_numbers)))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(self.address)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    @property
    def address(self) -> str:
        """What the process finds in NOTIFY_SOCKET."""
        return str(self._path)

    def close(self) -> None:
        """Hear what is left, then no more."""
        self._read()
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := self._socket.recv(DATAGRAM_BYTES_MAX):
                for state in data.decode(errors="replace").splitlines():
                    self._hear(state)
