"""Routes on a port of loopback; what the other servers here stand on."""

from __future__ import annotations

import threading
import time
from typing import Any

import uvicorn
from starlette.applications import Starlette


class LocalServer:
    """Routes on a port of loopback, in a thread."""

    def __init__(self, routes: list[Any]) -> None:
        config = uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=0, log_level="critical")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def start(self) -> str:
        """Returns the address without a path."""
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(timeout=5)
