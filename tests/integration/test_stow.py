"""STOW-RS with real clients over the network: dicomweb-client, and requests as other clients write them."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from io import BytesIO

import psutil
import pydicom
import pytest
from dicomweb_client import DICOMwebClient
from tests.conftest import StartIthil
from tests.data import datasets, synthetic
from tests.data.real import content_of
from tests.integration.sending import eventually
from tests.servers.ithil import Ithil
from tests.servers.postgresql import PostgreSql

STUDIES = "/dicom-web/studies"
TYPE = 'multipart/related; type="application/dicom"; boundary=b'
HEAD = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
MEGABYTE = 1024 * 1024


def series(count: int, size: int = 64) -> list[bytes]:
    return [each.content for each in synthetic.series(count, size=size)]


def body_of(*contents: bytes) -> bytes:
    return b"".join(HEAD + content + b"\r\n" for content in contents) + b"--b--\r\n"


def count(server: Ithil) -> int:
    return int(server.get("/statistics").json()["CountInstances"])


def client_of(server: Ithil, chunk_size: int | None = None) -> DICOMwebClient:
    return DICOMwebClient(f"http://127.0.0.1:{server.http_port}/dicom-web", chunk_size=chunk_size or 10**6)


def stored(answer: bytes) -> int:
    return len(json.loads(answer)["00081199"].get("Value", []))


@pytest.mark.parametrize("chunk_size", [None, 5000])
def test_dicomweb_client_stores(ithil: Ithil, chunk_size: int | None) -> None:
    """With a small chunk size it sends the body in chunks (RFC 9112 7.1)."""
    names = ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "JPEG2000.dcm")
    sent = [pydicom.dcmread(BytesIO(content_of(f"pydicom/{name}"))) for name in names]
    answer = client_of(ithil, chunk_size).store_instances(sent)
    assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == [
        dataset.SOPInstanceUID for dataset in sent
    ]
    assert "FailedSOPSequence" not in answer
    assert count(ithil) == 4
    one = sent[0]
    again = client_of(ithil).store_instances([one], study_instance_uid=one.StudyInstanceUID)
    assert again.RetrieveURL.endswith(f"/dicom-web/studies/{one.StudyInstanceUID}")


def test_dicomweb_client_deletes(ithil: Ithil) -> None:
    ithil.upload(content_of("pydicom/CT_small.dcm"))
    dataset = pydicom.dcmread(BytesIO(content_of("pydicom/CT_small.dcm")))
    client_of(ithil).delete_series(dataset.StudyInstanceUID, dataset.SeriesInstanceUID)
    assert count(ithil) == 0


def test_many_senders_at_once(start_ithil: StartIthil, postgresql: PostgreSql) -> None:
    """The same instances from several clients, over two processes that share one database."""
    server = start_ithil({"PostgreSQL": postgresql.configuration, "Ithil": {"Workers": 2}})
    sent = series(60)
    answers: list[bytes] = []

    def send(start: int) -> None:
        content = body_of(*sent[start : start + 40])
        answers.append(server.ask("POST", STUDIES, content, {"Content-Type": TYPE}).body)

    threads = [threading.Thread(target=send, args=(start,)) for start in (0, 10, 20, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [stored(answer) for answer in answers] == [40] * 4
    assert count(server) == 60


def test_it_says_go_on_before_the_body_is_sent(ithil: Ithil) -> None:
    content = body_of(*series(2))
    head = f"POST {STUDIES} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\nExpect: 100-continue\r\n"
    with socket.create_connection(("127.0.0.1", ithil.http_port), timeout=30) as connection:
        connection.sendall(f"{head}Content-Type: {TYPE}\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(content)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, stored(answer.read())) == (200, 2)
    with socket.create_connection(("127.0.0.1", ithil.http_port), timeout=30) as connection:
        connection.sendall(f"{head}Content-Type: text/plain\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 415 "), "nobody has to send what is not taken"


def test_a_client_that_leaves_leaves_nothing_half_stored(ithil: Ithil) -> None:
    small, large = series(1)[0], series(2, size=1500)[1]
    content = body_of(small, large)[:-1000]
    head = f"POST {STUDIES} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content) + 1000}\r\n"
    with socket.create_connection(("127.0.0.1", ithil.http_port), timeout=30) as connection:
        connection.sendall(f"{head}Content-Type: {TYPE}\r\n\r\n".encode() + content)
    eventually(lambda: count(ithil) == 1, "what was complete is stored")
    folder = ithil.folder / "storage"
    eventually(
        lambda: sum(path.is_file() and path.stat().st_size > MEGABYTE for path in folder.rglob("*")) == 0,
        "what was not is gone",
    )


def test_memory_does_not_grow_with_a_part(ithil: Ithil) -> None:
    """A part of 400 MB, sent in chunks."""
    size = 400 * MEGABYTE
    start = datasets.part10(datasets.body({0x00080060: ("CS", b"CT")})) + b"\xe0\x7f\x10\0OW\0\0"

    def pieces() -> Iterator[bytes]:
        yield HEAD + start + size.to_bytes(4, "little")
        for _ in range(400):
            yield bytes(MEGABYTE)
        yield b"\r\n--b--"

    ithil.ask("POST", STUDIES, body_of(*series(1)), {"Content-Type": TYPE})
    process = psutil.Process(ithil.pid)
    before, most, done = process.memory_info().rss, 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.05):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    connection = http.client.HTTPConnection("127.0.0.1", ithil.http_port, timeout=300)
    connection.request("POST", STUDIES, pieces(), {"Content-Type": TYPE}, encode_chunked=True)
    answer = connection.getresponse()
    content = answer.read()
    done.set()
    watcher.join()
    assert (answer.status, stored(content)) == (200, 1)
    shared = getattr(process.memory_info(), "shared", 0)
    assert most - before < 100 * MEGABYTE + shared
    assert count(ithil) == 2


def test_ohif_rejects_a_series(ithil: Ithil) -> None:
    sent = pydicom.dcmread(BytesIO(content_of("pydicom/CT_small.dcm")))
    ithil.upload(content_of("pydicom/CT_small.dcm"))
    path = f"{STUDIES}/{sent.StudyInstanceUID}/series/{sent.SeriesInstanceUID}/reject/113001%5EDCM"
    headers = {"Content-Type": "application/json"}
    assert ithil.ask("POST", path, b"", headers).status == 204
    (left,) = ithil.get("/instances?expand").json()
    note = pydicom.dcmread(BytesIO(ithil.get(f"/instances/{left['ID']}/file").body))
    assert (note.Modality, note.StudyInstanceUID) == ("KO", sent.StudyInstanceUID)
