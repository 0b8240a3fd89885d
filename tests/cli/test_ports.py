"""The api's socket is there before and between its processes, and as quick as one of its own."""

from __future__ import annotations

import socket

import pytest

from cli.ports import PortTaken, listen


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_small_frames_do_not_wait_for_acknowledgements(host: str) -> None:
    with listen(host, 0) as listener, socket.create_connection(listener.getsockname()[:2], timeout=5):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_a_port_that_others_have_is_named() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(
            PortTaken, match=rf"CUELINE_PORT: cannot listen on 127.0.0.1:{port}: address already in use"
        ):
            listen("127.0.0.1", port)
