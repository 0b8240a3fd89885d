"""ChaosProxy: a line between two processes that can be cut, held and released."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

BLOCK_BYTES = 65_536
_RST = struct.pack("ii", 1, 0)
"""Linger for no time at all: closing such a socket sends RST."""


class ChaosProxy:
    """Forwards every connection to `target`, byte by byte, until it is told otherwise."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._server: asyncio.Server | None = None
        self._lines: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        """Each direction of each connection, and where it writes to."""
        self._may_flow = asyncio.Event()
        self._may_flow.set()

    async def start(self, port: int = 0) -> None:
        """At that port, or at any."""
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server
        self._server.close()
        lines = list(self._lines)
        self.cut()
        if lines:
            await asyncio.wait(lines)

    def cut(self) -> None:
        """RST to both ends of every connection; new ones are welcome."""
        for line, end in self._lines.items():
            with suppress(OSError):  # it has gone already
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
            end.transport.abort()
            line.cancel()

    def hold(self) -> None:
        """A black hole: nothing passes, nobody is told. New connections are accepted and hear nothing either."""
        self._may_flow.clear()

    def release(self) -> None:
        """What was held passes, late, as after a network's outage."""
        self._may_flow.set()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        there = asyncio.create_task(self._pump(reader, far_writer))
        back = asyncio.create_task(self._pump(far_reader, writer))
        self._lines |= {there: far_writer, back: writer}
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        for line in (there, back):
            line.cancel()
            self._lines.pop(line).close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while block := await reader.read(BLOCK_BYTES):
                await self._may_flow.wait()
                writer.write(block)
                await writer.drain()


@asynccontextmanager
async def chaos(target: int, port: int = 0) -> AsyncIterator[ChaosProxy]:
    """A proxy before the port `target`, at `port` or at any."""
    proxy = ChaosProxy(target)
    await proxy.start(port)
    try:
        yield proxy
    finally:
        await proxy.stop()
