"""Free TCP ports on the loopback interface, picked at run time so that test runs do not meet each other."""

from __future__ import annotations

import socket


def free_ports(count: int) -> list[int]:
    """`count` different ports that nobody listens on now.

    All sockets stay open until the last port is known, so the ports differ. Another program may still take
    one before the server under test does; the server's start then fails and says so.
    """
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sockets.append(listener)
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()
