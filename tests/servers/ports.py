"""Free TCP ports on the loopback interface, picked at run time so that test runs do not meet each other.

They lie below the ports that operating systems give to outgoing connections, each process of a parallel test
run has a range of its own, and each run begins somewhere else in it.
"""

from __future__ import annotations

import os
import random
import socket
from itertools import count

FIRST, LAST = 10_000, 32_000
_RANGE = 1_000
_WORKERS = (LAST - FIRST) // _RANGE

_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_next = count(random.randrange(_RANGE))


def free_ports(wanted: int) -> list[int]:
    """`wanted` different ports that nobody listens on now.

    Another program may still take one before the server under test does; the server's start then fails and
    says so.
    """
    found: list[int] = []
    while len(found) < wanted:
        port = FIRST + _worker * _RANGE + next(_next) % _RANGE
        if _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
