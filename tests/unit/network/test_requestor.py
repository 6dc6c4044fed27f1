"""The asking side against dcmtk, pynetdicom and our own listener."""

from __future__ import annotations

import socket
import subprocess
import threading
from io import BytesIO

import pydicom
import pynetdicom
import pytest
from pydicom.data import get_testdata_file
from pynetdicom import evt
from pynetdicom.sop_class import CTImageStorage, Verification
from tests.servers.ports import free_ports
from tests.unit.network.exchange import CT, IMPLICIT, VERIFICATION
from tests.unit.network.serving import EXPLICIT, MemorySink, Record, listening, wait_until

from ithil.network import status
from ithil.network.errors import (
    AssociationLost,
    AssociationRefused,
    AssociationTimeout,
    ConnectionFailed,
    NoAcceptedContext,
)
from ithil.network.handler import Outcome
from ithil.network.messages import Command, CommandField
from ithil.network.pdu_items import RoleSelection, UserIdentity
from ithil.network.requestor import Requestor, connect, file_chunks

CT_FILE = get_testdata_file("CT_small.dcm")
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
GET = "1.2.840.10008.5.1.4.1.2.2.3"


def open_association(port: int, **changes: object) -> Requestor:
    options = {
        "called": "ARCHIVE",
        "calling": "ITHIL",
        "contexts": [(VERIFICATION, [IMPLICIT]), (CT, [EXPLICIT])],
        "timeout": 10,
    }
    return connect("127.0.0.1", port, **(options | changes))


def ct_data_set() -> tuple[str, bytes]:
    """The instance UID of a real image and its data set without the file meta information."""
    dataset = pydicom.dcmread(CT_FILE)
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True, enforce_file_format=False)
    raw = buffer.getvalue()
    start = 132 + 12 + dataset.file_meta.FileMetaInformationGroupLength
    return dataset.SOPInstanceUID, raw[start:]


def test_dcmtk_takes_our_echo_and_store(tmp_path):
    (port,) = free_ports(1)
    receiver = subprocess.Popen(
        ["storescp", "-od", str(tmp_path), "--max-pdu", "4096", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _listens(port))
        uid, data = ct_data_set()
        with open_association(port) as peer:
            assert peer.echo() == status.SUCCESS
            answer = peer.store(CT, uid, EXPLICIT, file_chunks(BytesIO(data), 1000))
            assert answer.status == status.SUCCESS
        (stored,) = tmp_path.iterdir()
        assert pydicom.dcmread(stored).PixelData == pydicom.dcmread(CT_FILE).PixelData
    finally:
        receiver.terminate()
        receiver.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_pynetdicom_takes_our_echo_store_and_identity():
    received: list[bytes] = []
    identities: list[bytes] = []

    def store(event):
        received.append(event.encoded_dataset(include_meta=False))
        return 0x0000

    def identity(event):
        identities.append(event.primary_field)
        return True, b"welcome"

    entity = pynetdicom.AE("ARCHIVE")
    entity.add_supported_context(Verification)
    entity.add_supported_context(CTImageStorage, EXPLICIT)
    server = entity.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[(evt.EVT_C_STORE, store), (evt.EVT_USER_ID, identity)],
    )
    try:
        uid, data = ct_data_set()
        port = server.server_address[1]
        with open_association(port, user_identity=UserIdentity(3, True, b"me")) as peer:
            assert peer.echo() == status.SUCCESS
            assert peer.store(CT, uid, EXPLICIT, [data], move_originator=("X", 3)).status == status.SUCCESS
            assert peer.accept.user_information.user_identity_response == b"welcome"
        assert received == [data]
        assert identities == [b"me"]
    finally:
        server.shutdown()


def test_a_context_that_was_not_accepted():
    contexts = [(VERIFICATION, [IMPLICIT]), ("1.2.3.4", [IMPLICIT])]
    with listening() as (_, _, port), open_association(port, contexts=contexts) as peer:
        with pytest.raises(NoAcceptedContext):
            peer.store("1.2.3.4", "1.2", IMPLICIT, [b""])
        with pytest.raises(NoAcceptedContext):
            peer.context_for(VERIFICATION, EXPLICIT)
        assert peer.echo() == status.SUCCESS


def test_pending_responses_come_with_their_data_sets():
    with listening() as (_, _, port), open_association(port, contexts=[(FIND, [IMPLICIT])]) as peer:
        command = Command(AffectedSOPClassUID=FIND, CommandField=CommandField.C_FIND, Priority=0)
        responses = list(peer.request(peer.context_for(FIND), command, [b"ab", b"cd"]))
        assert [(one.command.status, one.data_set) for one in responses] == [
            (0xFF00, b"abcd"),
            (0xFF00, b"abcd"),
            (0x0000, None),
        ]


def test_c_get_brings_instances_on_the_same_association():
    record = Record()
    contexts = [(GET, [IMPLICIT]), (CT, [EXPLICIT])]
    roles = [RoleSelection(CT, False, True)]
    with listening() as (_, _, port), open_association(port, contexts=contexts, roles=roles) as peer:
        command = Command(AffectedSOPClassUID=GET, CommandField=CommandField.C_GET, Priority=0)
        responses = list(
            peer.request(
                peer.context_for(GET),
                command,
                [b"query"],
                on_store=lambda context, store: MemorySink(record, store),
            )
        )
        assert [one.command.status for one in responses] == [status.SUCCESS]
        assert record.stored == {"1.2.3": b"imagedata"}
        refused = list(peer.request(peer.context_for(GET), Command(command), [b"query"]))
        assert refused[-1].command.status == status.UNRECOGNIZED_OPERATION


def test_a_source_that_breaks_aborts_the_association():
    def broken():
        yield bytes(500_000)
        raise OSError("disk")

    with listening() as (_, record, port):
        with pytest.raises(OSError, match="disk"), open_association(port) as peer:
            peer.store(CT, "1.2.3", EXPLICIT, broken())
        wait_until(lambda: record.outcomes == [Outcome.ABORTED_BY_PEER])
        assert (record.stored, record.discarded) == ({}, 1)


def test_an_exception_in_the_block_aborts():
    with listening() as (_, record, port):
        with pytest.raises(NoAcceptedContext), open_association(port) as peer:
            peer.context_for("1.2.3.4")
        wait_until(lambda: record.outcomes == [Outcome.ABORTED_BY_PEER])


def test_nobody_listens():
    (port,) = free_ports(1)
    with pytest.raises(ConnectionFailed):
        open_association(port)


def test_a_refusal_says_why():
    with listening() as (_, _, port), pytest.raises(AssociationRefused, match="permanently"):
        open_association(port, calling="UNWANTED")


@pytest.mark.parametrize(
    ("answer", "error"),
    [(None, AssociationTimeout), (b"", AssociationLost), (b"HTTP/1.1 400 Bad Request\r\n\r\n", Exception)],
)
def test_a_peer_that_does_not_speak_dicom(answer, error):
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = threading.Event()

        def serve():
            sock, _ = server.accept()
            with sock:
                sock.recv(65536)
                if answer is None:
                    done.wait(10)
                elif answer:
                    sock.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(error):
            open_association(server.getsockname()[1], timeout=0.3)
        done.set()
        thread.join(10)


def test_at_most_128_contexts():
    with pytest.raises(ValueError, match="128"):
        open_association(1, contexts=[(CT, [EXPLICIT])] * 129)
