"""Tells whoever started this process how it is: sd_notify's protocol. Not: who listens, or what they do about it."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """Say `READY=1` or `STOPPING=1` to the supervisor; say nothing where none asked by NOTIFY_SOCKET.

    Never waits and never fails: a supervisor that does not hear must not keep a process from its work.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        try:
            # A leading @ stands for the zero byte of Linux' abstract names.
            line.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
        except OSError:
            return
