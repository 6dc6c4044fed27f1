"""The listener at its work: our requestor, dcmtk and pynetdicom as peers, TLS, limits and stopping."""

from __future__ import annotations

import logging
import socket
import ssl
import subprocess
import threading
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pydicom
import pynetdicom
import pytest
from pydicom.data import get_testdata_file
from pynetdicom.sop_class import CTImageStorage, Verification
from tests.unit.network.clients import echoes, open_association, raw_association, talk
from tests.unit.network.exchange import CT, REQUEST, STORE
from tests.unit.network.serving import EXPLICIT, Record, RecordingHandler, listening, wait_until

from ithil.network import pdu, status
from ithil.network.acceptor import Acceptor, AcceptorConfig, listen
from ithil.network.errors import AssociationAborted, AssociationRefused
from ithil.network.handler import Outcome
from ithil.network.messages import Command, CommandField
from ithil.network.requestor import Requestor

pytestmark = pytest.mark.usefixtures("both_ways")

CERTIFICATE = Path(__file__).with_name("loopback_certificate.pem")
CT_FILE = get_testdata_file("CT_small.dcm")


def run(*command: object) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_echo_and_store_by_our_requestor():
    data = bytes(range(256)) * 5000
    with listening() as (_, record, port):
        with open_association(port) as peer:
            assert peer.echo() == status.SUCCESS
            assert peer.store(CT, "1.2.3", EXPLICIT, [data[:7], data[7:]]).status == status.SUCCESS
        wait_until(lambda: record.outcomes == [Outcome.RELEASED])
        assert record.stored == {"1.2.3": data}
        assert record.peers[0].ip == "127.0.0.1"


def test_dcmtk_echoes_and_stores():
    with listening() as (_, record, port):
        run("echoscu", "127.0.0.1", port)
        run("storescu", "127.0.0.1", port, CT_FILE)
        run("storescu", "--max-pdu", "4096", "--max-send-pdu", "4096", "127.0.0.1", port, CT_FILE)
        (data,) = record.stored.values()
        expected = pydicom.dcmread(CT_FILE)
        received = pydicom.filereader.read_dataset(BytesIO(data), False, True)
        assert received.PixelData == expected.PixelData
        wait_until(lambda: record.outcomes == [Outcome.RELEASED] * 3)


def test_pynetdicom_echoes_stores_and_finds():
    entity = pynetdicom.AE("MODALITY")
    entity.add_requested_context(Verification)
    entity.add_requested_context(CTImageStorage, EXPLICIT)
    entity.add_requested_context("1.2.840.10008.5.1.4.1.2.2.1")
    with listening() as (_, record, port):
        association = entity.associate("127.0.0.1", port, max_pdu=1024)
        assert association.is_established
        assert association.send_c_echo().Status == 0
        dataset = pydicom.dcmread(CT_FILE)
        assert association.send_c_store(dataset).Status == 0
        query = pydicom.Dataset()
        query.PatientComments = "X" * 3000
        answers = list(association.send_c_find(query, "1.2.840.10008.5.1.4.1.2.2.1"))
        assert [answer.Status for answer, _ in answers] == [0xFF00, 0xFF00, 0]
        assert answers[0][1].PatientComments == "X" * 3000
        association.release()
        assert dataset.SOPInstanceUID in record.stored


def test_the_answer_carries_our_limit_and_name():
    with listening(max_pdu_length=20000) as (_, _, port), open_association(port) as peer:
        information = peer.accept.user_information
        assert information.max_pdu_length == 20000
        assert information.implementation_class_uid.startswith("2.25.")
        assert information.implementation_version == "ITHIL_0_1"


@pytest.mark.parametrize(
    ("uid", "expected", "comment"),
    [("9.1", 0xA700, "full"), ("9.2", 0x0110, ""), ("9.3", 0x0110, ""), ("9.4", 0xC000, "no")],
)
def test_a_store_that_fails_is_answered_and_the_association_lives_on(uid, expected, comment):
    with listening() as (_, record, port), open_association(port) as peer:
        answer = peer.store(CT, uid, EXPLICIT, [bytes(300_000)] * 3)
        assert (answer.status, answer.text("ErrorComment")) == (expected, comment)
        assert record.stored == {}
        assert peer.store(CT, "1.2", EXPLICIT, [b"ok"]).status == status.SUCCESS


def request(peer: Requestor, field: int, data: bytes | None = None, sop_class: str = CT) -> list[int]:
    command = Command(AffectedSOPClassUID=sop_class, CommandField=field, Priority=0)
    responses = peer.request(peer.context_for(sop_class), command, None if data is None else [data])
    return [response.command.status for response in responses]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (CommandField.N_ACTION, 0x0211),
        (CommandField.N_SET, 0x0110),
        (CommandField.N_GET, 0x0110),
        (0x0555, 0x0211),
    ],
)
def test_what_handlers_refuse_forget_or_break_on_is_answered(field, expected):
    with listening() as (_, _, port), open_association(port) as peer:
        assert request(peer, field, b"data") == [expected]
        assert peer.echo() == status.SUCCESS


def test_a_fault_is_logged_without_its_message(caplog):
    with caplog.at_level(logging.INFO), listening() as (_, _, port), open_association(port) as peer:
        assert request(peer, CommandField.N_SET) == [0x0110]
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert "N-SET-RQ failed: RuntimeError at" in text


def test_a_query_too_large_for_memory_is_refused(monkeypatch):
    monkeypatch.setattr("ithil.network.receiving.MAX_DATA_SET_IN_MEMORY", 100_000)
    with listening() as (_, record, port), open_association(port) as peer:
        assert request(peer, CommandField.C_FIND, bytes(300_000)) == [0xA700]
        assert record.commands == []
        assert peer.echo() == status.SUCCESS


def test_cancel_reaches_a_handler_at_work():
    with listening() as (_, record, port), open_association(port) as peer:
        command = Command(AffectedSOPClassUID=CT, CommandField=CommandField.C_MOVE, Priority=0)
        context = peer.context_for(CT)
        statuses = []
        for response in peer.request(context, command):
            if not statuses:
                peer.cancel(context)
            statuses.append(response.command.status)
        assert statuses[-1] == status.CANCEL
        assert record.cancelled.is_set()
        assert peer.echo() == status.SUCCESS
        peer.cancel(context)  # for nothing: ignored
        assert peer.echo() == status.SUCCESS


def test_rejections():
    with listening() as (_, record, port):
        with pytest.raises(AssociationRefused) as unwanted:
            open_association(port, calling="UNWANTED")
        assert (unwanted.value.result, unwanted.value.source, unwanted.value.reason) == (1, 1, 3)
        with pytest.raises(AssociationRefused) as broken:
            open_association(port, calling="BROKEN")
        assert broken.value.result == 2
        wait_until(lambda: record.outcomes == [Outcome.REJECTED, Outcome.REJECTED])


def test_stop_ends_idle_associations_with_an_abort():
    with listening() as (acceptor, record, port):
        peer = open_association(port)
        assert peer.echo() == status.SUCCESS
        assert acceptor.stop(5)
        with pytest.raises(AssociationAborted):
            peer.echo()
        assert record.outcomes == [Outcome.STOPPED]


def test_stop_lets_a_transfer_finish():
    with listening() as (acceptor, record, port):
        sock, association = raw_association(port)
        stream = b"".join(association.message_chunks(3, STORE, [bytes(100_000)]))
        with sock:
            sock.sendall(stream[:50_000])
            wait_until(lambda: record.opened == 1)
            stopper = threading.Thread(target=acceptor.stop, args=(10,))
            stopper.start()
            wait_until(lambda: not _accepts(port))
            sock.sendall(stream[50_000:])
            answer = association.receive_data(memoryview(sock.recv(65536)))
            assert answer[0].command.status == status.SUCCESS
            stopper.join(10)
        assert record.stored == {"1.2.3": bytes(100_000)}
        assert record.outcomes == [Outcome.STOPPED]


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_stop_cuts_what_does_not_end_in_time():
    with listening() as (acceptor, record, port):
        sock, association = raw_association(port)
        with sock:
            sock.sendall(b"".join(association.message_chunks(3, STORE, [bytes(100_000)]))[:50_000])
            wait_until(lambda: record.opened == 1)
            assert not acceptor.stop(0.2)
        wait_until(lambda: acceptor.active == 0)
        assert record.stored == {}


def test_an_address_in_use_is_an_error():
    with listening() as (_, _, port), pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", port)


def test_two_acceptors_share_a_listening_socket():
    shared = listen("127.0.0.1", 0)
    port = shared.getsockname()[1]
    acceptors = [
        Acceptor([one], AcceptorConfig(), lambda: RecordingHandler(Record()))
        for one in (shared.dup(), shared)
    ]
    for acceptor in acceptors:
        acceptor.start()
    try:
        assert all(echoes(port) for _ in range(6))
    finally:
        for acceptor in acceptors:
            assert acceptor.stop(5)


def test_tls_with_client_certificates():
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=CERTIFICATE)
    server.load_cert_chain(CERTIFICATE)
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=CERTIFICATE)
    client.load_cert_chain(CERTIFICATE)
    with listening(tls=server, artim=2) as (_, record, port):
        with open_association(port, tls=client) as peer:
            assert peer.echo() == status.SUCCESS
            assert peer.store(CT, "1.2", EXPLICIT, [bytes(500_000)]).status == status.SUCCESS
            statuses = []
            command = Command(AffectedSOPClassUID=CT, CommandField=CommandField.C_MOVE, Priority=0)
            for response in peer.request(peer.context_for(CT), command):
                if not statuses:
                    peer.cancel(peer.context_for(CT))
                statuses.append(response.command.status)
            assert statuses[-1] == status.CANCEL
        assert record.peers[0].tls_subject == "STATION1"
        talk(port, pdu.encode(REQUEST))
        with open_association(port, tls=client) as peer:
            assert peer.echo() == status.SUCCESS


def test_strangers_who_stop_in_the_midst_of_a_tls_handshake_take_no_place():
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(CERTIFICATE)
    client = ssl.create_default_context(cafile=CERTIFICATE)
    with ExitStack() as stack:
        _, _, port = stack.enter_context(listening(tls=server, artim=30, max_associations=1))
        for _ in range(5):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            silent.sendall(b"\x16\x03\x01\x02")
        with open_association(port, tls=client) as peer:
            assert peer.echo() == status.SUCCESS
