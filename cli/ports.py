"""The ports of one `cueline up`: which can be had, and the socket that the api serves. Not: who serves it."""

from __future__ import annotations

import socket
from dataclasses import replace

from cli.log import OURSELVES, Log
from cli.redis_server import free_port, port_problem
from cli.settings import UpSettings

BACKLOG = 2048
"""Connections that wait while no api process runs; the kernel may allow fewer."""


class PortTaken(Exception):
    """Nothing can listen where the settings say; the text is for the person who wrote them."""


def claim_ports(settings: UpSettings, log: Log) -> tuple[UpSettings, socket.socket]:
    """Listen for the api and settle on Flower's port, before anything is started. Raises: PortTaken."""
    listener = listen(settings.host, settings.port)
    settings = replace(settings, port=listener.getsockname()[1])
    taken = settings.flower_port and port_problem("127.0.0.1", settings.flower_port)
    if taken and settings.flower_port_chosen:
        listener.close()
        raise PortTaken(f"CUELINE_FLOWER_PORT: cannot listen on {settings.flower_port}: {taken}")
    if taken:
        log.say(OURSELVES, f"port {settings.flower_port} is taken, so Flower gets another")
        settings = replace(settings, flower_port=free_port())
    return settings, listener


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens from now until it is closed, whoever accepts. Raises: PortTaken."""
    try:
        places = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # A name may stand for both kinds of address; IPv4 is the one that everything on this machine tries.
        family, _, _, _, address = min(places, key=lambda place: place[0] != socket.AF_INET)
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise PortTaken(
            f"CUELINE_PORT: cannot listen on {host}:{port}: {why}; stop what does, or set another"
        ) from error
    # Accepted sockets inherit it. uvicorn takes a socket it was handed for one of AF_UNIX and would leave it off,
    # so that small frames waited for acknowledgements.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
