"""Messages on their way out: to whom reads slowly, or not at all, and what is done while they are read."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from tests.unit.network.exchange import ACCEPT, CT, STORE, associated, message
from tests.unit.network.serving import MemorySink, Record, RecordingHandler, listening

from ithil.network import status
from ithil.network.acceptor import Acceptor, AcceptorConfig, listen
from ithil.network.association import PresentationContext
from ithil.network.errors import AssociationTimeout
from ithil.network.handler import Responder
from ithil.network.messages import Command, CommandField
from ithil.network.pdu_items import RoleSelection, UserInformation
from ithil.network.requestor import connect
from ithil.network.transport import Transport

VERIFICATION, GET = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.2.2.3"
EXPLICIT = "1.2.840.10008.1.2.1"


@contextmanager
def narrow() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection that holds little, the sender's first."""
    listener = listen("127.0.0.1", 0)
    listener.setblocking(True)
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    reader.connect(listener.getsockname())
    sender, _ = listener.accept()
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    with listener, reader, sender:
        yield sender, reader


@pytest.mark.parametrize("limit", [128, 16384, 0])
def test_a_slow_reader_gets_every_byte(limit: int) -> None:
    """Each system call takes a part of what is to be sent, and ends at its timeout."""
    accept = replace(ACCEPT, user_information=UserInformation(max_pdu_length=limit))
    data = random.Random(0).randbytes(400_000)
    expected = message(associated(accept=accept)[1], 3, STORE, (data,))
    received = bytearray()

    def read(reader: socket.socket) -> None:
        while len(received) < len(expected):
            time.sleep(0.01)
            received.extend(reader.recv(4096))

    with narrow() as (sender, reader):
        thread = threading.Thread(target=read, args=(reader,), daemon=True)
        thread.start()
        Transport(sender, associated(accept=accept)[1], timeout=0.25).send_message(3, STORE, (data,))
        thread.join(20)
    assert received == expected


def test_who_reads_nothing_is_given_up() -> None:
    with narrow() as (sender, _):
        transport = Transport(sender, associated()[0], timeout=0.1)
        with pytest.raises(AssociationTimeout):
            transport.send_message(3, STORE, (bytes(10_000_000),))


def test_what_goes_wrong_meanwhile_is_raised_when_the_response_has_come() -> None:
    with (
        listening() as (_, record, port),
        connect(
            "127.0.0.1",
            port,
            called="SCP",
            calling="SCU",
            contexts=[(CT, [EXPLICIT]), (VERIFICATION, [EXPLICIT])],
        ) as peer,
    ):
        with pytest.raises(ZeroDivisionError):
            peer.store(CT, "1.2.3", EXPLICIT, (b"data",), meanwhile=lambda: [][1 // 0])
        assert record.stored == {"1.2.3": b"data"}
        assert peer.echo() == status.SUCCESS


class _Failing(RecordingHandler):
    """Whose C-GET fails while the caller has an instance."""

    def handle(
        self, context: PresentationContext, command: Command, data_set: bytes | None, responder: Responder
    ) -> None:
        if command.field != CommandField.C_GET:
            super().handle(context, command, data_set, responder)
            return
        target = next(one for one in responder.contexts.values() if one.local_scu)
        responder.request(target.id, Command(STORE), (b"image",), meanwhile=lambda: [][1 // 0])


def test_a_service_that_fails_meanwhile_leaves_the_association_in_order() -> None:
    record, taken = Record(), Record()
    acceptor = Acceptor([listen("127.0.0.1", 0)], AcceptorConfig(timeout=10), lambda: _Failing(record))
    acceptor.start()
    try:
        with connect(
            "127.0.0.1",
            acceptor.addresses[0][1],
            called="SCP",
            calling="SCU",
            contexts=[(GET, [EXPLICIT]), (CT, [EXPLICIT]), (VERIFICATION, [EXPLICIT])],
            roles=[RoleSelection(CT, False, True)],
        ) as peer:
            command = Command(AffectedSOPClassUID=GET, CommandField=CommandField.C_GET, Priority=0)
            responses = peer.request(
                peer.context_for(GET),
                command,
                (b"query",),
                on_store=lambda context, store: MemorySink(taken, store),
            )
            assert [one.command.status for one in responses] == [status.PROCESSING_FAILURE]
            assert list(taken.stored.values()) == [b"image"]
            assert peer.echo() == status.SUCCESS
    finally:
        assert acceptor.stop(5)
