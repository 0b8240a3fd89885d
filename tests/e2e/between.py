"""A man in the middle of the page's socket: sees every frame of the microphone, and can say what no server says yet."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from playwright.async_api import Page, WebSocketRoute


class Between:
    """Everything passes, except what a test takes out or puts in. The server behind it is the real one."""

    def __init__(self, *, lends_ears: bool = True) -> None:
        self.lends_ears = lends_ears
        """Whether the page is to think that a server without a recognizer listens."""
        self.frames: list[tuple[float, bytes]] = []
        self.said: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        self.joined: list[float] = []
        """When a socket came, each time."""
        self.answers: dict[str, Callable[[], None]] = {}
        """What to do, at once, in place of the server when the page says something of that type."""
        self._route: WebSocketRoute | None = None

    async def stand(self, page: Page) -> None:
        """Before the page is opened."""
        await page.route_web_socket(lambda url: "/ws" in url, self._join)

    def _join(self, route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        self.joined.append(time.monotonic())
        self._route = route

        def up(data: str | bytes) -> None:
            if isinstance(data, bytes):
                self.frames.append((time.monotonic(), data))
            else:
                self.said.append(json.loads(data))
                if answer := self.answers.get(self.said[-1]["type"]):
                    answer()
                    return
            # A server without ears closes the line on whoever goes on speaking to it.
            if isinstance(data, str) or not self.lends_ears:
                server.send(data)

        def down(data: str | bytes) -> None:
            if isinstance(data, str):
                message = json.loads(data)
                self.told.append(message)
                if self.lends_ears and message.get("code") == "listening_unavailable":
                    self.tell(type="status", status="listening")
                    return
            route.send(data)

        route.on_message(up)
        server.on_message(down)

    @property
    def sockets(self) -> int:
        return len(self.joined)

    def tell(self, **message: Any) -> None:
        """As if the server said it."""
        assert self._route
        self._route.send(json.dumps({"session_id": "x", **message}))

    def send(self, frame: bytes) -> None:
        """As if the server had sent it."""
        assert self._route
        self._route.send(frame)

    async def close(self, code: int) -> None:
        """As if the server closed the line."""
        assert self._route
        await self._route.close(code=code, reason="told to")

    def heard(self, kind: str) -> list[dict[str, Any]]:
        """What the page said of that type."""
        return [message for message in self.said if message["type"] == kind]
