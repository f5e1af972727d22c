"""Free TCP ports of this host."""

from __future__ import annotations

import socket


def free_tcp_port() -> int:
    """Return one that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
