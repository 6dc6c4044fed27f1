"""Clients of a listener on the loopback interface: a well-behaved one, a stranger, and one to be misused."""

from __future__ import annotations

import socket

from tests.unit.network.exchange import CT, IMPLICIT, REQUEST, VERIFICATION
from tests.unit.network.serving import EXPLICIT

from ithil.network import status
from ithil.network.association import Association
from ithil.network.errors import AssociationLost
from ithil.network.events import AssociateAccepted
from ithil.network.requestor import Requestor, connect


def open_association(port: int, **changes: object) -> Requestor:
    options = {
        "called": "ARCHIVE",
        "calling": "MODALITY",
        "contexts": [(VERIFICATION, [IMPLICIT]), (CT, [IMPLICIT, EXPLICIT])],
        "timeout": 10,
    }
    return connect("127.0.0.1", port, **(options | changes))


def talk(port: int, data: bytes) -> bytes:
    """Send `data` as a stranger and return all that comes back until the connection ends."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(data)
        try:
            while piece := sock.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
    return answer


def raw_association(port: int) -> tuple[socket.socket, Association]:
    """A socket with an association on it, to be misused."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    association = Association.as_requestor(REQUEST)
    sock.sendall(association.data_to_send())
    events = []
    while not events:
        events = association.receive_data(memoryview(sock.recv(65536)))
    assert isinstance(events[0], AssociateAccepted)
    return sock, association


def echoes(port: int) -> bool:
    try:
        with open_association(port) as peer:
            return peer.echo() == status.SUCCESS
    except (AssociationLost, OSError):
        return False
