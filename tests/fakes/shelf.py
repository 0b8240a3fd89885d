"""A server of files."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeShelf:
    """A server of files. `cut_after` bytes it drops the line, as often as `cuts` says; `status` answers instead of a
    file; `ignores_ranges` sends the whole of it whatever is asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.cut_after = 0
        self.cuts = 0
        self.status = 0
        self.ignores_ranges = False
        self.asked: list[str] = []
        """The `Range` of each request."""
        shelf = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                shelf.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range", "")
        self.asked.append(asked)
        if self.status:
            request.send_error(self.status)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and not self.ignores_ranges else 0
        rest = self.content[start:]
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        request.send_header("Content-Length", str(len(rest)))
        request.end_headers()
        if self.cuts:
            self.cuts -= 1
            rest = rest[: self.cut_after]
        request.wfile.write(rest)
