"""Other DICOMweb servers: two Ithils, and a real Orthanc with its plugin on either side."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.conftest import StartIthil, StartOrthanc
from tests.data import datasets, synthetic
from tests.data.real import content_of
from tests.integration.sending import eventually
from tests.servers import certificates
from tests.servers.process import DicomServer
from tests.servers.strict import callers, strict_server

FILES = (
    "pydicom/CT_small.dcm",
    "pydicom/MR_small.dcm",
    "pydicom/SC_rgb_rle.dcm",
    "pydicom/JPEG2000.dcm",
    "pydicom/rtplan.dcm",
)
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
ROOT = "/dicom-web/servers"
STUDIES = "/dicom-web/studies"
TYPE = 'multipart/related; type="application/dicom"; boundary=b'
HEAD = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
MEGABYTE = 1024 * 1024
MANY = 1200


def url(server: DicomServer) -> str:
    return f"http://127.0.0.1:{server.http_port}/dicom-web/"


def with_plugin(start_orthanc: StartOrthanc) -> DicomServer:
    return start_orthanc({"Plugins": [PLUGIN], "DicomWeb": {"Enable": True}})


def know(server: DicomServer, other: DicomServer, **properties: Any) -> None:
    value = json.dumps({"Url": url(other), **properties})
    assert server.ask("PUT", f"{ROOT}/other", value).status == 200


def fill(server: DicomServer, files: Sequence[str] = FILES) -> None:
    for name in files:
        assert server.upload(content_of(name)).status == 200


def fill_with_many(server: DicomServer, count: int = MANY) -> str:
    """Store a series of small instances; gives the id of its study."""
    content = b"".join(HEAD + one.content + b"\r\n" for one in synthetic.series(count)) + b"--b--\r\n"
    assert server.ask("POST", STUDIES, content, {"Content-Type": TYPE}).status == 200
    (study,) = server.get("/studies").json()
    return str(study)


def empty(server: DicomServer) -> None:
    everything = json.dumps({"Resources": server.get("/patients").json()})
    assert server.ask("POST", "/tools/bulk-delete", everything).status == 200
    assert count(server) == 0


def post(server: DicomServer, path: str, body: Any) -> Any:
    answer = server.ask("POST", f"{ROOT}/other/{path}", json.dumps(body))
    assert answer.status == 200, answer.body
    return answer.json()


def files_of(server: DicomServer) -> dict[str, bytes]:
    return {one: server.get(f"/instances/{one}/file").body for one in server.get("/instances").json()}


def count(server: DicomServer) -> int:
    return int(server.get("/statistics").json()["CountInstances"])


def studies_of(server: DicomServer) -> list[dict[str, str]]:
    found = server.get("/studies?expand").json()
    return [{"Study": one["MainDicomTags"]["StudyInstanceUID"]} for one in found]


def ended(server: DicomServer, job: str) -> dict[str, Any]:
    eventually(
        lambda: server.get(f"/jobs/{job}").json()["State"] in ("Success", "Failure"), "the job has ended"
    )
    found: dict[str, Any] = server.get(f"/jobs/{job}").json()
    return found


@contextmanager
def watching(*servers: DicomServer) -> Iterator[dict[int, int]]:
    """How much memory of its own each server has taken in the meantime, in bytes by process."""
    processes = [psutil.Process(server.pid) for server in servers]
    before = {process.pid: _own(process) for process in processes}
    taken = dict.fromkeys(before, 0)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            for process in processes:
                taken[process.pid] = max(taken[process.pid], _own(process) - before[process.pid])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield taken
    finally:
        done.set()
        watcher.join()


def _own(process: psutil.Process) -> int:
    info = process.memory_info()
    return int(info.rss - getattr(info, "shared", 0))


@pytest.mark.parametrize("chunked", [True, False])
def test_all_is_stored_at_a_real_orthanc_and_retrieved_again(
    start_ithil: StartIthil, start_orthanc: StartOrthanc, chunked: bool
) -> None:
    ithil, orthanc = start_ithil(), with_plugin(start_orthanc)
    know(ithil, orthanc, ChunkedTransfers=chunked, HasDelete=True)
    fill(ithil)
    sent = files_of(ithil)
    done = post(ithil, "stow", {"Resources": ithil.get("/patients").json()})
    assert done["InstancesCount"] == str(len(FILES))
    assert files_of(orthanc) == sent
    names = {one["00100010"]["Value"] for one in post(ithil, "qido", {"Uri": "/studies"})}
    assert "CompressedSamples^CT1" in names
    wanted = studies_of(ithil)
    empty(ithil)
    done = post(ithil, "retrieve", {"Resources": wanted})
    assert done["ReceivedInstancesCount"] == str(len(FILES))
    assert files_of(ithil) == sent


def test_a_real_orthanc_stores_here_and_retrieves_again(
    start_ithil: StartIthil, start_orthanc: StartOrthanc
) -> None:
    ithil, orthanc = start_ithil(), with_plugin(start_orthanc)
    know(orthanc, ithil, HasDelete=True)
    fill(orthanc)
    sent = files_of(orthanc)
    done = post(orthanc, "stow", {"Resources": orthanc.get("/patients").json()})
    assert done["InstancesCount"] == str(len(FILES))
    assert files_of(ithil) == sent
    wanted = studies_of(ithil)
    assert len(post(orthanc, "qido", {"Uri": "/studies"})) == len(wanted)
    empty(orthanc)
    done = post(orthanc, "retrieve", {"Resources": wanted})
    assert done["ReceivedInstancesCount"] == str(len(FILES))
    assert files_of(orthanc) == sent
    for one in wanted:
        post(orthanc, "delete", {"Level": "Study", "StudyInstanceUID": one["Study"]})
    assert count(ithil) == 0


def test_two_ithils_store_find_retrieve_and_delete(start_ithil: StartIthil) -> None:
    one, two = start_ithil({"Ithil": {"Workers": 2}}), start_ithil()
    know(one, two, HasDelete=True)
    fill(one)
    sent = files_of(one)
    job = post(one, "stow", {"Resources": one.get("/studies").json(), "Asynchronous": True})["ID"]
    found = ended(one, job)
    assert (found["State"], found["Type"], found["Progress"]) == ("Success", "DicomWebStowClient", 100)
    assert files_of(two) == sent
    asked = {"Uri": "/studies", "Arguments": {"PatientName": "CompressedSamples*"}}
    assert len(post(one, "qido", asked)) == 3
    passed = one.ask("POST", f"{ROOT}/other/get", json.dumps(asked))
    assert passed.header("content-type") == "application/dicom+json"
    assert len(passed.json()) == 3
    wanted = studies_of(one)
    empty(one)
    for each in wanted:
        job = post(one, "wado", {"Uri": f"studies/{each['Study']}"})["ID"]
        assert ended(one, job)["Content"]["ReceivedInstancesCount"] == "1"
    assert files_of(one) == sent
    for each in wanted:
        post(one, "delete", {"Level": "Study", "StudyInstanceUID": each["Study"]})
    assert count(two) == 0
    refused = one.ask("POST", f"{ROOT}/other/retrieve", json.dumps({"Resources": wanted[:1]}))
    assert refused.status == 404
    assert "404" in refused.json()["Details"]


def test_a_sender_that_is_killed_goes_on_where_it_was(start_ithil: StartIthil) -> None:
    one, two = start_ithil({"DicomWeb": {"ServersInDatabase": True}}), start_ithil()
    know(one, two)
    study = fill_with_many(one)
    job = post(one, "stow", {"Resources": [study], "Synchronous": False})["ID"]
    eventually(lambda: count(two) > 0, "some have arrived")
    one.kill()
    one.start()
    assert ended(one, job)["State"] == "Success"
    assert count(two) == MANY


def test_a_receiver_that_is_killed_retrieves_the_rest(start_ithil: StartIthil) -> None:
    one, two = start_ithil({"DicomWeb": {"ServersInDatabase": True}}), start_ithil()
    know(one, two)
    fill_with_many(two)
    job = post(one, "retrieve", {"Resources": studies_of(two), "Synchronous": False})["ID"]
    eventually(lambda: count(one) > 0, "some have arrived")
    one.kill()
    one.start()
    found = ended(one, job)
    assert found["State"] == "Success"
    assert found["Content"]["ReceivedInstancesCount"] == str(MANY)
    assert count(one) == MANY


def test_a_server_that_dies_meanwhile_is_a_failure_that_can_be_resubmitted(start_ithil: StartIthil) -> None:
    one, two = start_ithil(), start_ithil()
    know(one, two)
    study = fill_with_many(one)
    job = post(one, "stow", {"Resources": [study], "Synchronous": False})["ID"]
    eventually(lambda: count(two) > 0, "some have arrived")
    two.kill()
    found = ended(one, job)
    if found["State"] == "Failure":  # it may have been faster than the kill
        assert found["ErrorCode"] == 9
        two.start()
        assert one.ask("POST", f"/jobs/{job}/resubmit", b"").status == 200
        assert ended(one, job)["State"] == "Success"
    else:
        two.start()
    assert count(two) == MANY


def test_memory_does_not_grow_with_a_file_in_either_direction(start_ithil: StartIthil) -> None:
    """A file of 300 MB."""
    size = 300 * MEGABYTE
    one, two = start_ithil(), start_ithil()
    know(one, two)
    start = datasets.part10(datasets.body({0x00080060: ("CS", b"CT")})) + b"\xe0\x7f\x10\0OW\0\0"

    def pieces() -> Iterator[bytes]:
        yield HEAD + start + size.to_bytes(4, "little")
        for _ in range(size // MEGABYTE):
            yield bytes(MEGABYTE)
        yield b"\r\n--b--"

    connection = http.client.HTTPConnection("127.0.0.1", one.http_port, timeout=300)
    connection.request("POST", STUDIES, pieces(), {"Content-Type": TYPE}, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    with watching(one, two) as taken:
        stowed = ended(
            one, post(one, "stow", {"Resources": one.get("/studies").json(), "Asynchronous": True})["ID"]
        )
        assert stowed["State"] == "Success"
        wanted = studies_of(one)
        empty(one)
        got = ended(one, post(one, "retrieve", {"Resources": wanted, "Asynchronous": True})["ID"])
        assert got["State"] == "Success"
    assert stowed["Content"]["NetworkSizeMB"] == "300"
    assert got["Content"]["NetworkUsageMB"] == "300"
    assert count(one) == count(two) == 1
    assert max(taken.values()) < 100 * MEGABYTE, taken


def test_a_server_may_want_a_certificate_and_a_password(start_ithil: StartIthil, tmp_path: Path) -> None:
    keys = certificates.make(tmp_path / "certificates")
    strict = strict_server(tmp_path / "strict", keys)
    servers = callers(strict, keys, "/dicom-web/")
    ours = start_ithil({"DicomWeb": {"Servers": servers}, "HttpsCACertificates": str(keys.authority)})
    distrustful = start_ithil({"DicomWeb": {"Servers": servers}})
    fill(ours, FILES[:1])
    asked = json.dumps({"Uri": "studies"})
    stored = json.dumps({"Resources": ours.get("/studies").json()})
    with strict:
        eventually(lambda: "HTTP on port" in strict.log, "the server has started")
        assert ours.ask("POST", f"{ROOT}/good/qido", asked).json() == []
        assert ours.ask("POST", f"{ROOT}/good/stow", stored).status == 200
        assert len(ours.ask("POST", f"{ROOT}/good/qido", asked).json()) == 1
        for path, body in (("stow", stored), ("qido", asked)):
            refused = ours.ask("POST", f"{ROOT}/nobody/{path}", body)
            assert refused.status == 500
            assert "HTTP status 401" in refused.json()["Details"]
            for name in ("stranger", "faceless"):
                assert ours.ask("POST", f"{ROOT}/{name}/{path}", body).status == 500, name
        distrusted = distrustful.ask("POST", f"{ROOT}/good/qido", asked)
        assert "trusted" in distrusted.json()["Details"]
    shown = ours.get(f"{ROOT}?expand").body
    assert b"right" not in shown
    assert b"wrong" not in shown
    assert "right" not in ours.log
