"""The listener and peers that are silent, too many, broken or mean."""

from __future__ import annotations

import errno
import itertools
import logging
import os
import random
import socket
import struct
import threading

import psutil
import pytest
from tests.fuzz.fuzz_pdu import mutations
from tests.unit.network.clients import echoes, open_association, raw_association, talk
from tests.unit.network.exchange import CT, REQUEST, STORE
from tests.unit.network.serving import Record, RecordingHandler, listening, wait_until

from ithil.network import pdu, status
from ithil.network.acceptor import Acceptor, AcceptorConfig, listen
from ithil.network.errors import AssociationRefused
from ithil.network.handler import Outcome
from ithil.network.messages import Command, CommandField
from ithil.network.pdu import PresentationDataValue

pytestmark = pytest.mark.usefixtures("both_ways")


def test_a_store_without_a_data_set_is_refused():
    with listening() as (_, record, port):
        sock, association = raw_association(port)
        with sock:
            sock.sendall(b"".join(association.message_chunks(3, STORE)))
            events = association.receive_data(memoryview(sock.recv(65536)))
            assert events[0].command.status == status.CANNOT_UNDERSTAND
        assert record.stored == {}


def test_a_peer_that_vanishes_stops_a_handler_at_work():
    with listening() as (_acceptor, record, port):
        peer = open_association(port)
        command = Command(AffectedSOPClassUID=CT, CommandField=CommandField.C_MOVE, Priority=0)
        next(peer.request(peer.context_for(CT), command))
        peer.abort()
        wait_until(lambda: len(record.outcomes) == 1)
        assert record.outcomes[0] in (Outcome.ABORTED_BY_PEER, Outcome.LOST)


@pytest.mark.parametrize(
    "ending", [pdu.encode(pdu.Abort(0, 0)), pdu.encode(pdu.ReleaseRequest()), b"\x99" * 12, b""]
)
def test_a_transfer_cut_short_leaves_nothing(ending):
    with listening() as (_, record, port):
        sock, association = raw_association(port)
        with sock:
            stream = b"".join(association.message_chunks(3, STORE, [bytes(200_000)]))
            command_end = 6 + struct.unpack_from(">I", stream, 2)[0]
            first_end = command_end + 6 + struct.unpack_from(">I", stream, command_end + 2)[0]
            assert first_end < len(stream)
            sock.sendall(stream[:first_end] + ending)
        wait_until(lambda: record.discarded == 1)
        assert record.stored == {}


@pytest.mark.parametrize("ending", [pdu.Abort(0, 0), pdu.ReleaseRequest()])
def test_an_ending_that_arrives_with_a_whole_instance_does_not_lose_it(ending, caplog):
    with listening() as (_, record, port):
        sock, association = raw_association(port)
        with sock:
            stream = b"".join(association.message_chunks(3, STORE, [b"data"]))
            sock.sendall(stream + pdu.encode(ending))
            wait_until(lambda: len(record.outcomes) == 1)
        assert record.stored == {"1.2.3": b"data"}
        assert record.outcomes[0] in (Outcome.ABORTED_BY_PEER, Outcome.RELEASED)
    assert not [entry for entry in caplog.records if entry.levelno >= logging.ERROR]


@pytest.mark.parametrize("limit", [{"max_associations": 2}, {"max_associations_per_host": 2}])
def test_beyond_the_limit_associations_are_rejected_for_now(limit):
    with listening(**limit) as (acceptor, _, port):
        peers = [open_association(port) for _ in range(2)]
        with pytest.raises(AssociationRefused) as refused:
            open_association(port)
        assert (refused.value.result, refused.value.source, refused.value.reason) == (2, 3, 2)
        for peer in peers:
            peer.release()
        wait_until(lambda: acceptor.active == 0)
        with open_association(port) as peer:
            assert peer.echo() == status.SUCCESS


def test_silent_strangers_cost_no_thread_and_are_shown_out():
    with listening(artim=0.3) as (acceptor, _, port):
        strangers = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(50)]
        strangers[0].sendall(pdu.encode(REQUEST)[:20])
        with open_association(port) as peer:
            assert peer.echo() == status.SUCCESS
            assert acceptor.active == 1
        for stranger in strangers:
            with stranger:
                assert stranger.recv(10) == b""


def stranger_from(ip: str, port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(ip, 0))


def test_a_full_lobby_shows_out_its_oldest_stranger():
    with listening(max_strangers=2) as (_, _, port):
        strangers = [stranger_from("127.0.0.1", port) for _ in range(5)]
        for stranger in strangers[:3]:
            assert stranger.recv(10) == b""
        for stranger in strangers[3:]:
            stranger.sendall(pdu.encode(REQUEST))
            assert isinstance(pdu.decode(stranger.recv(65536)), pdu.AssociateAccept)
        for stranger in strangers:
            stranger.close()


def test_a_silent_crowd_neither_closes_the_door_nor_pushes_others_out():
    with listening(max_strangers=4) as (_, _, port):
        slow = stranger_from("127.0.0.1", port)
        crowd = [stranger_from("127.0.0.2", port) for _ in range(6)]
        assert [silent.recv(10) for silent in crowd[:3]] == [b""] * 3
        assert echoes(port)
        slow.sendall(pdu.encode(REQUEST))
        assert isinstance(pdu.decode(slow.recv(65536)), pdu.AssociateAccept)
        for stranger in (slow, *crowd):
            stranger.close()


class OutOfDescriptors(socket.socket):
    """A listener that fails to accept as often as it is told to."""

    failures = 0

    def accept(self):
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


def test_connections_that_cannot_be_accepted_are_logged_once_until_they_can(caplog):
    listener = OutOfDescriptors(fileno=listen("127.0.0.1", 0).detach())
    listener.setblocking(False)
    port = listener.getsockname()[1]
    acceptor = Acceptor([listener], AcceptorConfig(), lambda: RecordingHandler(Record()))

    def complaints() -> list[str]:
        return [entry.getMessage() for entry in caplog.records if "cannot accept" in entry.getMessage()]

    acceptor.start()
    try:
        for times in (1, 2):
            listener.failures = 3
            assert echoes(port)
            assert len(complaints()) == times
    finally:
        assert acceptor.stop(5)
    assert os.strerror(errno.EMFILE) in complaints()[0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1),
        (b"\1\0\xff\xff\xff\xff", 6),
        (b"\x04\0\0\0\0\x0c" + bytes(12), 2),
        (b"\1\0\0\0\0\4abcd", 6),
    ],
)
def test_nonsense_is_answered_with_an_abort(data, reason):
    with listening() as (acceptor, _, port):
        assert talk(port, data) == pdu.encode(pdu.Abort(2, reason))
        assert acceptor.active == 0
        assert echoes(port)


def test_data_right_behind_the_request_aborts():
    with listening() as (_, _record, port):
        early = pdu.encode(pdu.PData((PresentationDataValue(1, True, True, b"x"),)))
        answer = talk(port, pdu.encode(REQUEST) + early)
        assert answer.endswith(pdu.encode(pdu.Abort(2, 2)))
        wait_until(lambda: echoes(port))


def test_an_idle_association_times_out():
    with listening(timeout=0.3) as (_, record, port):
        sock, association = raw_association(port)
        with sock:
            events = association.receive_data(memoryview(sock.recv(100)))
            assert events[0].by_peer
        wait_until(lambda: record.outcomes == [Outcome.TIMED_OUT])


def test_a_peer_that_answers_what_nobody_asked_is_aborted():
    with listening() as (_, record, port):
        sock, association = raw_association(port)
        with sock:
            answer = Command(CommandField=0x8001, MessageIDBeingRespondedTo=5, Status=0)
            sock.sendall(b"".join(association.message_chunks(3, answer)))
            assert pdu.decode(sock.recv(100)) == pdu.Abort(2, 2)
        wait_until(lambda: record.outcomes == [Outcome.ABORTED])


def test_damaged_streams_leave_no_thread_and_no_socket_behind():
    streams = list(itertools.islice(mutations(random.Random(2)), 150))
    with listening(artim=0.2, timeout=0.2, linger=0.2, max_associations=0) as (acceptor, record, port):
        threads = threading.active_count()
        files = len(psutil.Process().open_files()) + len(psutil.Process().net_connections())
        for stream in streams:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
                try:
                    sock.sendall(stream)
                except OSError:
                    pass  # turned away while it was still talking
        wait_until(lambda: acceptor.active == 0 and threading.active_count() <= threads)
        wait_until(
            lambda: len(psutil.Process().open_files()) + len(psutil.Process().net_connections()) <= files
        )
        assert echoes(port)
    assert len(record.outcomes) == len(record.requests)
