"""Messages on their way out: to whom reads slowly, or not at all, and what is done while they are read."""

from __future__ import annotations

import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

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
CERTIFICATE = Path(__file__).with_name("loopback_certificate.pem")


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


def encrypted(sender: socket.socket, reader: socket.socket) -> tuple[socket.socket, socket.socket]:
    """The same connection under TLS."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(CERTIFICATE)
    client = ssl.create_default_context(cafile=CERTIFICATE)
    with ThreadPoolExecutor(1) as threads:
        wrapped = threads.submit(server.wrap_socket, reader, server_side=True)
        return client.wrap_socket(sender, server_hostname="127.0.0.1"), wrapped.result(20)


class Received:
    """What a thread reads of a connection: pieces, with a pause before each."""

    def __init__(
        self,
        reader: socket.socket,
        size: int,
        *,
        piece: int = 65536,
        pause: float = 0,
        after: threading.Event | None = None,
    ) -> None:
        self._data = bytearray()

        def read() -> None:
            if after is not None and not after.wait(60):
                return
            while len(self._data) < size:
                time.sleep(pause)
                wanted = min(len(self._data) + piece, size)
                while len(self._data) < wanted:
                    part = reader.recv(wanted - len(self._data))
                    if not part:
                        return
                    self._data += part

        self._thread = threading.Thread(target=read, daemon=True)
        self._thread.start()

    def all(self) -> bytes:
        self._thread.join(60)
        return bytes(self._data)


class _Observed(socket.socket):
    """Tells when a system call has taken only a part of what it was given, and is patient from then on."""

    def observe(self) -> threading.Event:
        self.took_a_part = threading.Event()
        return self.took_a_part

    def sendmsg(self, buffers: Any, *rest: Any) -> int:
        sent = super().sendmsg(buffers, *rest)
        if sent < sum(map(len, buffers)):
            self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 60, 0))
            self.took_a_part.set()
        return sent


@pytest.mark.parametrize("limit", [128, 16384, 0])
def test_what_a_system_call_has_left_is_sent(limit: int) -> None:
    """Nobody reads until the first call that does not take all has ended at its timeout."""
    accept = replace(ACCEPT, user_information=UserInformation(max_pdu_length=limit))
    data = random.Random(0).randbytes(400_000)
    expected = message(associated(accept=accept)[1], 3, STORE, (data,))
    with narrow() as (sender, reader), _Observed(fileno=sender.detach()) as observed:
        took_a_part = observed.observe()
        received = Received(reader, len(expected), after=took_a_part)
        Transport(observed, associated(accept=accept)[1], timeout=0.1).send_message(3, STORE, (data,))
        assert received.all() == expected
    assert took_a_part.is_set()


@pytest.mark.parametrize("tls", [False, True])
def test_who_reads_slowly_but_steadily_gets_every_byte(tls: bool) -> None:
    """In a time that is longer than the timeout, which is for what is taken at once."""
    accept = replace(ACCEPT, user_information=UserInformation(max_pdu_length=131072))
    data = random.Random(0).randbytes(1_500_000)
    expected = message(associated(accept=accept)[1], 3, STORE, (data,))
    with ExitStack() as stack:
        sender, reader = stack.enter_context(narrow())
        if tls:
            sender, reader = map(stack.enter_context, encrypted(sender, reader))
        received = Received(reader, len(expected), piece=50_000, pause=0.1)  # 3 seconds
        Transport(sender, associated(accept=accept)[1], timeout=2).send_message(3, STORE, (data,))
        assert received.all() == expected


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
