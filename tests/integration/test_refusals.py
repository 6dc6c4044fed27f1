"""Bad input at the doors of a running server: the refusal of that door, nothing stored, and it goes on."""

from __future__ import annotations

import socket

from tests.conftest import StartIthil
from tests.data import synthetic
from tests.data.datasets import body
from tests.integration.sending import (
    CT,
    associate,
    count,
    data_set,
    eventually,
    store,
    stored_files,
)
from tests.servers.ithil import Ithil

from ithil.dicom.uids import EXPLICIT_LITTLE
from ithil.network.requestor import Requestor

SECRET = b"CONFIDENTIAL"  # stands for patient data, which must not be in the log


def assert_untouched(server: Ithil) -> None:
    """Nothing is stored, nothing waits to be removed, and good instances are still taken."""
    eventually(lambda: not stored_files(server), "no file of a refused instance stays")
    assert count(server) == 0
    assert server.get("/changes").json()["Changes"] == []
    with associate(server) as peer:
        assert store(peer, synthetic.instance(9, 9, 9, size=4)) == 0
    assert count(server) == 1
    assert SECRET.decode() not in server.log


def send_bytes(peer: Requestor, content: bytes, sop_uid: str = "1.2.3.4") -> int:
    return peer.store(CT, sop_uid, EXPLICIT_LITTLE, [content]).status


def test_data_sets_that_cannot_be_understood(ithil: Ithil) -> None:
    good = synthetic.instance(0, 0, 0, size=4)
    whole = data_set(good.content)
    with associate(ithil) as peer:
        assert send_bytes(peer, b"\xff" * 1000 + SECRET) == 0xC000
        assert send_bytes(peer, whole[:-5], good.sop_uid) == 0xC000
        assert send_bytes(peer, SECRET) == 0xC000
    assert_untouched(ithil)


def test_a_data_set_of_another_class_or_instance(ithil: Ithil) -> None:
    made = synthetic.instance(0, 0, 0, size=4)
    content = data_set(made.content)
    with associate(ithil) as peer:
        assert send_bytes(peer, content, "1.2.3.4") == 0xA900
        assert send_bytes(peer, body({}), "1.2.826.0.1.3680043.10.1.1") == 0xA900  # secondary capture
    assert_untouched(ithil)


def test_a_data_set_without_its_uids(ithil: Ithil) -> None:
    with associate(ithil) as peer:
        lacking = body({0x00080016: ("UI", CT.encode() + b"\0"), 0x0020000D: b"", 0x00100010: ("PN", SECRET)})
        assert send_bytes(peer, lacking, "1.2.826.0.1.3680043.10.1.1") == 0xA900
    assert_untouched(ithil)


def test_an_association_aborted_in_the_middle_of_a_data_set(ithil: Ithil) -> None:
    content = data_set(synthetic.instance(0, 0, 0, size=1024).content)
    for part in (1000, len(content) // 2, len(content) - 1):

        def broken(end: int = part) -> object:
            yield content[:end]
            raise ConnectionAbortedError

        peer = associate(ithil)
        try:
            peer.store(CT, "1.2.3.4", EXPLICIT_LITTLE, broken())  # type: ignore[arg-type]
        except ConnectionAbortedError:
            peer.abort()
    assert_untouched(ithil)


def test_an_upload_that_breaks_off(ithil: Ithil) -> None:
    content = synthetic.instance(0, 0, 0, size=1024).content
    for part in (500, 1_500_000, len(content) - 1):
        with socket.create_connection(("127.0.0.1", ithil.http_port), timeout=30) as client:
            client.sendall(
                b"POST /instances HTTP/1.1\r\nHost: server\r\n"
                b"Content-Length: %d\r\n\r\n" % len(content) + content[:part]
            )
    assert_untouched(ithil)


def test_uploads_that_are_no_dicom(ithil: Ithil) -> None:
    for content in (b"", b"\0", SECRET * 100, b"PK\x03\x04" + SECRET, bytes(3_000_000)):
        answer = ithil.upload(content)
        assert answer.status == 400
        assert answer.json()["OrthancStatus"] == 15
    truncated = synthetic.instance(0, 0, 0, size=1024).content[:-9]
    assert ithil.upload(truncated).status == 400
    assert_untouched(ithil)


def test_a_read_only_server(start_ithil: StartIthil) -> None:
    writable = start_ithil()
    writable.upload(synthetic.instance(0, 0, 0, size=4).content)
    writable.stop()
    writable.configuration["ReadOnly"] = True
    writable.start()
    with associate(writable) as peer:
        assert store(peer, synthetic.instance(0, 0, 1, size=4)) == 0x0124  # not authorized, PS3.7 C.5.11
    assert writable.upload(synthetic.instance(0, 0, 1, size=4).content).status >= 400
    assert count(writable) == 1
