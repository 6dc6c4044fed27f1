"""`/servers`: what other DICOMweb servers are asked, and what becomes of what they answer."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from tests.unit.application import CT_INSTANCE, CT_STUDY, Client, MakeClient, read
from tests.unit.services.far_server import Answering, Asked, FarServer, Said, far_server, related, stored

from ithil.services import dicomweb_retrieve_job, dicomweb_stow_job
from ithil.settings.dicomweb_options import DicomWeb
from ithil.settings.remotes import parse_dicomweb_server

ROOT = "/dicom-web/servers"
UID = "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
DEAD = "http://127.0.0.1:1/dicom-web/"


class Far:
    """A client of an Ithil that knows a server which does what the test says."""

    def __init__(self, client: Client, server: FarServer) -> None:
        self.client = client
        self.asked = server.asked

    def post(self, path: str, body: Any, server: str = "far") -> httpx.Response:
        return self.client.post(f"{ROOT}/{server}/{path}", json=body)


MakeFar = Any


@pytest.fixture
def make_far(make_client: MakeClient) -> Iterator[MakeFar]:
    """A function that makes one; `properties` are those of the server in the configuration."""
    with ExitStack() as stack:

        def make(answering: Answering, **properties: Any) -> Far:
            server = stack.enter_context(far_server(answering))
            known = {
                "far": parse_dicomweb_server({"Url": server.url, **properties}, []),
                "dead": parse_dicomweb_server([DEAD], []),
            }
            return Far(make_client(dicom_web=DicomWeb(servers=known)), server)

        yield make


def uids_in(body: bytes) -> list[str]:
    """The SOP Instance UIDs of the files in a multipart body."""
    found = []
    for part in re.split(rb"\r\n(?=--)|^(?=--)", body):
        _, _, content = part.partition(b"\r\n\r\n")
        if content:
            found.append(str(dcmread(DicomBytesIO(content), stop_before_pixels=True).SOPInstanceUID))
    return found


def takes_all(asked: Asked) -> Said:
    return stored(*uids_in(asked.body))


def small_instances(client: Client, count: int) -> list[str]:
    """Upload copies of one file under other UIDs; gives their public ids."""
    content = read("MR_small_RLE.dcm")
    uid = str(dcmread(DicomBytesIO(content), stop_before_pixels=True).SOPInstanceUID).encode()
    ids = []
    for number in range(count):
        other = uid[:-4] + b"%04d" % (1000 + number)
        answer = client.post("/instances", content=content.replace(uid, other))
        assert answer.status_code == 200
        ids.append(answer.json()["ID"])
    return ids


# -- which servers there are ---------------------------------------------------------------------------------


def test_servers_come_and_go(client: Client) -> None:
    assert client.get(ROOT).json() == []
    value = {
        "Url": "http://localhost:1/dicom-web",
        "Username": "u",
        "Password": "secret",
        "HttpHeaders": {"Token": "secret"},
        "HasDelete": True,
        "Timeout": 5,
        "Other": 7,
    }
    assert client.put(f"{ROOT}/one", json=value).json() == {}
    assert client.put(f"{ROOT}/two", json=["http://localhost:1/"]).status_code == 200
    assert client.get(ROOT).json() == ["one", "two"]
    shown = client.get(f"{ROOT}?expand")
    assert "secret" not in shown.text
    assert shown.json()["one"] == {
        "HasDelete": "1",
        "HttpHeaders": ["Token"],
        "Other": "7",
        "Password": None,
        "Pkcs11": False,
        "Timeout": 5,
        "Url": "http://localhost:1/dicom-web/",
        "Username": "u",
    }
    operations = ["get", "retrieve", "stow", "wado", "qido"]
    assert client.get(f"{ROOT}/one").json() == [*operations, "delete"]
    assert client.get(f"{ROOT}/two").json() == operations
    assert client.delete(f"{ROOT}/one").json() == {}
    assert client.delete(f"{ROOT}/one").status_code == 400
    assert client.get(f"{ROOT}/one").status_code == 404
    assert client.get("/peers").json() == []


@pytest.mark.parametrize(
    "value",
    [
        b"nonsense",
        b"[]",
        b'["ftp://localhost/"]',
        b'{"Url": "http://localhost", "HasDelete": "maybe"}',
        b'{"Url": "http://localhost", "ChunkedTransfers": 2}',
        b'{"Url": "http://localhost", "Other": {}}',
        b'{"Url": "http://localhost", "Timeout": "5"}',
    ],
)
def test_what_is_no_server_is_refused(client: Client, value: bytes) -> None:
    answer = client.put(f"{ROOT}/bad", content=value)
    assert answer.status_code == 400
    assert answer.json()["Details"]
    assert client.get(ROOT).json() == []


def test_keys_in_hardware_are_refused_when_they_are_needed(client: Client) -> None:
    client.put(f"{ROOT}/hard", json={"Url": "https://localhost:1/", "Pkcs11": True})
    answer = client.post(f"{ROOT}/hard/qido", json={"Uri": "studies"})
    assert "Pkcs11" in answer.json()["Details"]


# -- get and qido --------------------------------------------------------------------------------------------


def test_get_passes_on_what_is_asked_and_answered(make_far: MakeFar) -> None:
    far = make_far(lambda asked: Said(b"<x/>", "text/xml; charset=utf-8"), HttpHeaders={"X-A": "1"})
    body = {"Uri": "/studies", "Arguments": {"PatientID": "a&b"}, "HttpHeaders": {"X-B": "2"}}
    answer = far.post("get", body)
    assert answer.content == b"<x/>"
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert answer.headers["content-security-policy"] == "sandbox"
    (asked,) = far.asked
    assert asked.target == "/dicom-web/studies?PatientID=a%26b"
    assert (asked.headers["x-a"], asked.headers["x-b"]) == ("1", "2")


def test_get_passes_on_a_large_answer_piece_by_piece(make_far: MakeFar) -> None:
    content = bytes(range(256)) * 20_000
    far = make_far(lambda asked: Said(content, "application/octet-stream"))
    answer = far.post("get", {"Uri": "studies/1/bulk"})
    assert answer.content == content
    assert answer.headers["content-length"] == str(len(content))


@pytest.mark.parametrize(
    ("status", "ours"), [(404, 404), (401, 500), (403, 500), (500, 500), (302, 500), (503, 500)]
)
def test_a_refusal_is_told_with_its_status(make_far: MakeFar, status: int, ours: int) -> None:
    secret = Said(b"secret", status=status, headers=(("Location", f"{DEAD}x"),))
    far = make_far(lambda asked: secret)
    for path in ("get", "qido"):
        answer = far.post(path, {"Uri": "studies"})
        assert answer.status_code == ours
        assert f"HTTP status {status}" in answer.json()["Details"]
        assert answer.json()["ErrorPayload"] == {"RemoteHttpStatus": status}
        assert "secret" not in answer.text


def test_qido_gives_names_and_first_values(make_far: MakeFar) -> None:
    found = (
        b'[{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]},'
        b'"00080061": {"vr": "CS", "Value": ["CT", "MR"]}, "00201208": {"vr": "IS", "Value": [3]},'
        b'"00080050": {"vr": "SH"}, "00081140": {"vr": "SQ", "Value": [{}]}, "nonsense": 1}]'
    )
    far = make_far(lambda asked: Said(found))
    answer = far.post("qido", {"Uri": "/studies"})
    assert answer.json() == [
        {
            "00100010": {"Group": 16, "Element": 16, "Name": "PatientName", "vr": "PN", "Value": "A^B"},
            "00080061": {"Group": 8, "Element": 97, "Name": "ModalitiesInStudy", "vr": "CS", "Value": "CT"},
            "00201208": {
                "Group": 32,
                "Element": 4616,
                "Name": "NumberOfStudyRelatedInstances",
                "vr": "IS",
                "Value": "3",
            },
            "00080050": {"Group": 8, "Element": 80, "Name": "AccessionNumber", "vr": "SH"},
            "00081140": {"Group": 8, "Element": 0x1140, "Name": "ReferencedImageSequence", "vr": "SQ"},
        }
    ]
    assert far.asked[0].headers["accept"].startswith("application/dicom+json")


def test_qido_that_finds_nothing(make_far: MakeFar) -> None:
    far = make_far(lambda asked: Said(status=204))
    assert far.post("qido", {"Uri": "studies"}).json() == []


@pytest.mark.parametrize("said", [b"no JSON", b"{}", b"[1]", b"[" * 100_000])
def test_qido_that_makes_no_sense(make_far: MakeFar, said: bytes) -> None:
    far = make_far(lambda asked: Said(said))
    answer = far.post("qido", {"Uri": "studies"})
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (500, 9)


@pytest.mark.parametrize("path", ["get", "qido", "wado"])
@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"Uri": 5},
        {"Uri": "../system"},
        {"Uri": "studies", "Arguments": {"limit": 1}},
        {"Uri": "studies", "HttpHeaders": {"Host": "x"}},
    ],
)
def test_bad_questions_are_not_asked(make_far: MakeFar, path: str, body: Any) -> None:
    far = make_far(lambda asked: Said())
    assert far.post(path, body).status_code == 400
    assert far.asked == []


@pytest.mark.parametrize("path", ["get", "qido", "wado", "stow", "retrieve", "delete"])
def test_an_unknown_server(client: Client, path: str) -> None:
    body = {"Uri": "studies", "Resources": [], "Level": "Study", "StudyInstanceUID": "1"}
    assert client.post(f"{ROOT}/nope/{path}", json=body).status_code == 404


@pytest.mark.parametrize("path", ["get", "qido", "retrieve", "stow"])
def test_a_server_that_is_not_there(make_far: MakeFar, path: str, ct: bytes) -> None:
    far = make_far(lambda asked: Said())
    far.client.post("/instances", content=ct)
    resources: list[Any] = [CT_STUDY] if path == "stow" else [{"Study": "1.2"}]
    answer = far.post(path, {"Uri": "studies", "Resources": resources}, server="dead")
    assert answer.status_code == 500
    assert "Connection refused" in answer.json()["Details"]


# -- stow ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [True, False])
def test_stow_sends_files_as_they_are(make_far: MakeFar, ct: bytes, chunked: bool) -> None:
    far = make_far(takes_all, ChunkedTransfers=chunked)
    far.client.post("/instances", content=ct)
    answer = far.post("stow", {"Resources": [CT_STUDY], "HttpHeaders": {"X-B": "2"}})
    assert answer.json() == {
        "InstancesCount": "1",
        "NetworkSizeMB": "0",
        "Resources": [CT_STUDY],
        "Server": "far",
    }
    (asked,) = far.asked
    assert (asked.method, asked.target) == ("POST", "/dicom-web/studies")
    assert asked.headers["content-type"].startswith('multipart/related; type="application/dicom"; boundary=')
    assert asked.headers["accept"].startswith("application/dicom+json")
    assert asked.headers["x-b"] == "2"
    assert ("transfer-encoding" in asked.headers) == chunked
    assert ("content-length" in asked.headers) == (not chunked)
    assert ct in asked.body


def test_stow_sends_batches(make_far: MakeFar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomweb_stow_job, "MOST_INSTANCES", 3)
    far = make_far(takes_all)
    ids = small_instances(far.client, 7)
    assert far.post("stow", {"Resources": ids}).json()["InstancesCount"] == "7"
    assert [len(uids_in(asked.body)) for asked in far.asked] == [3, 3, 1]
    monkeypatch.setattr(dicomweb_stow_job, "MOST_BYTES", 10)
    far.asked.clear()
    far.post("stow", {"Resources": ids[:3]})
    assert [len(uids_in(asked.body)) for asked in far.asked] == [1, 1, 1]


def test_stow_of_nothing(make_far: MakeFar) -> None:
    far = make_far(takes_all)
    assert far.post("stow", {"Resources": []}).json()["InstancesCount"] == "0"
    assert far.asked == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (stored(failed={UID: 0x0110}, status=409), "1 of 1 instances, for reason 0x0110 (HTTP status 409)"),
        (stored(failed={UID: 0xA700}, status=202), "for reason 0xA700"),
        (stored(failed={UID: 10**9}, status=202), "1 of 1 instances (HTTP status 202)"),
        (stored(), "did not store 1 of 1 instances (HTTP status 200)"),
        (Said(b""), "but not what it has stored"),
        (Said(b"[[]]"), "but not what it has stored"),
        (Said(b"{}", status=409), "HTTP status 409"),
        (Said(b"", status=413), "HTTP status 413"),
        (Said(b"", status=401), "HTTP status 401"),
    ],
)
def test_what_the_server_does_not_store_is_a_failure(
    make_far: MakeFar, ct: bytes, said: Said, told: str
) -> None:
    far = make_far(lambda asked: said)
    far.client.post("/instances", content=ct)
    answer = far.post("stow", {"Resources": [CT_INSTANCE]})
    assert answer.status_code == 500
    assert told in answer.json()["Details"]
    permitted = far.post("stow", {"Resources": [CT_INSTANCE], "Permissive": True})
    assert permitted.json()["FailedInstancesCount"] == "1"


@pytest.mark.parametrize("reason", [0x0111, 45070])
def test_what_the_server_has_already_is_no_failure(make_far: MakeFar, ct: bytes, reason: int) -> None:
    far = make_far(lambda asked: stored(failed=dict.fromkeys(uids_in(asked.body), reason), status=409))
    far.client.post("/instances", content=ct)
    assert far.post("stow", {"Resources": [CT_INSTANCE]}).status_code == 200


def test_a_busy_server_is_asked_again(make_far: MakeFar, ct: bytes) -> None:
    busy = Said(b"later", status=503, headers=(("Retry-After", "0"),))
    answered = iter([busy])
    far = make_far(lambda asked: next(answered, None) or takes_all(asked))
    far.client.post("/instances", content=ct)
    assert far.post("stow", {"Resources": [CT_INSTANCE]}).status_code == 200
    assert len(far.asked) == 2
    answered_get = iter([busy])
    far = make_far(lambda asked: next(answered_get, None) or related(ct))
    assert far.post("retrieve", {"Resources": [{"Study": "1"}]}).status_code == 200
    assert len(far.asked) == 2


def test_a_failed_job_that_is_resubmitted_goes_on(make_far: MakeFar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomweb_stow_job, "MOST_INSTANCES", 2)
    full = True

    def answering(asked: Asked) -> Said:
        return Said(status=507) if full and len(far.asked) == 2 else takes_all(asked)

    far = make_far(answering)
    ids = small_instances(far.client, 4)
    assert "507" in far.post("stow", {"Resources": ids}).json()["Details"]
    (job,) = far.client.get("/jobs").json()
    assert far.client.get(f"/jobs/{job}").json()["Progress"] == 50
    full = False
    far.asked.clear()
    far.client.post(f"/jobs/{job}/resubmit")
    deadline = time.monotonic() + 30
    while (found := far.client.get(f"/jobs/{job}").json())["State"] in ("Pending", "Running"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert found["State"] == "Success"
    assert [len(uids_in(asked.body)) for asked in far.asked] == [2]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ([CT_STUDY], 400),
        ({"Resources": CT_STUDY}, 400),
        ({"Resources": ["00000000-ca27c490-d0c7058c-929d0581-2bbf104d"]}, 404),
        ({"Resources": [], "Synchronous": "x"}, 400),
        ({"Resources": [], "Priority": "x"}, 400),
        ({"Resources": [], "HttpHeaders": ["x"]}, 400),
    ],
)
def test_bad_wishes_to_store(make_far: MakeFar, body: Any, status: int) -> None:
    far = make_far(takes_all)
    assert far.post("stow", body).status_code == status
    assert far.client.get("/jobs").json() == []


# -- retrieve and wado ---------------------------------------------------------------------------------------


def test_retrieve_stores_what_comes(make_far: MakeFar, ct: bytes, mr: bytes) -> None:
    far = make_far(lambda asked: related(ct) if "series" in asked.target else related(ct, mr))
    body = {
        "Resources": [{"Study": "1.2"}, {"Study": "1.2", "Series": "3", "Instance": "4"}],
        "GetArguments": {"x": "y"},
        "HttpHeaders": {"X-B": "2"},
    }
    answer = far.post("retrieve", body)
    assert answer.json() == {"NetworkUsageMB": "0", "ReceivedInstancesCount": "3", "Server": "far"}
    first, second = far.asked
    assert first.target == "/dicom-web/studies/1.2?x=y"
    assert second.target == "/dicom-web/studies/1.2/series/3/instances/4?x=y"
    assert first.headers["accept"] == 'multipart/related; type="application/dicom"; transfer-syntax=*'
    assert first.headers["x-b"] == "2"
    assert far.client.get("/statistics").json()["CountInstances"] == 2
    assert far.client.get(f"/instances/{CT_INSTANCE}/file").content == ct


def test_servers_that_do_not_know_the_universal_transfer_syntax(make_far: MakeFar, ct: bytes) -> None:
    far = make_far(lambda asked: related(ct), HasWadoRsUniversalTransferSyntax=False)
    assert far.post("wado", {"Uri": "/studies/1", "Synchronous": True}).status_code == 200
    assert far.asked[0].headers["accept"] == 'multipart/related; type="application/dicom"'


def test_wado_is_asynchronous_unless_it_is_asked_otherwise(make_far: MakeFar, ct: bytes) -> None:
    far = make_far(lambda asked: related(ct))
    answer = far.post("wado", {"Uri": "/studies/1", "Arguments": {"a": "b"}}).json()
    assert answer["Path"] == f"/jobs/{answer['ID']}"
    assert far.client.get(answer["Path"]).json()["Type"] == "DicomWebWadoRetrieveClient"


def test_a_file_may_come_alone(make_far: MakeFar, ct: bytes) -> None:
    far = make_far(lambda asked: Said(ct, "application/dicom"))
    assert far.post("retrieve", {"Resources": [{"Study": "1"}]}).json()["ReceivedInstancesCount"] == "1"
    assert far.client.get(f"/instances/{CT_INSTANCE}/file").content == ct


def test_many_instances_are_committed_in_batches(make_far: MakeFar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomweb_retrieve_job, "TOGETHER", 3)
    content = read("MR_small_RLE.dcm")
    uid = str(dcmread(DicomBytesIO(content), stop_before_pixels=True).SOPInstanceUID).encode()
    files = [content.replace(uid, uid[:-4] + b"%04d" % number) for number in range(1000, 1008)]
    far = make_far(lambda asked: related(*files))
    assert far.post("retrieve", {"Resources": [{"Study": "1"}]}).json()["ReceivedInstancesCount"] == "8"
    assert far.client.get("/statistics").json()["CountInstances"] == 8


def lies(said: Said, length: int) -> Said:
    return Said(said.body, said.content_type, length=length)


@pytest.mark.parametrize(
    ("said", "told", "kept"),
    [
        (Said(status=404), "HTTP status 404", 0),
        (Said(b"[]"), "something else than DICOM", 0),
        (Said(b"x", "multipart/related"), "boundary", 0),
        (Said(b"x", "multipart/related; boundary=b"), "closing delimiter", 0),
        (related(read("CT_small.dcm"), end=b""), "closing delimiter", 0),
        (related(read("CT_small.dcm"), b"garbage", end=b"\r\n--b--"), "", 1),
        (related(read("CT_small.dcm"), end=b"\r\n--b\r\nnonsense\r\n\r\n"), "header", 1),
        (related(read("CT_small.dcm"), kind="text/plain"), "no DICOM file", 0),
        (lies(related(read("CT_small.dcm"), read("MR_small_RLE.dcm")), 100_000), "IncompleteRead", 2),
        (related(b""), "", 0),
    ],
)
def test_what_makes_no_sense_fails_and_what_is_good_is_kept(
    make_far: MakeFar, said: Said, told: str, kept: int
) -> None:
    far = make_far(lambda asked: said)
    answer = far.post("retrieve", {"Resources": [{"Study": "1"}]})
    assert answer.status_code in (400, 404, 500)
    assert told in answer.json().get("Details", "")
    assert far.client.get("/statistics").json()["CountInstances"] == kept
    permitted = far.post("retrieve", {"Resources": [{"Study": "1"}], "Permissive": True})
    assert permitted.json()["FailedInstancesCount"] == "1"


def test_an_answer_without_content_brings_nothing(make_far: MakeFar) -> None:
    far = make_far(lambda asked: Said(status=204))
    assert far.post("retrieve", {"Resources": [{"Study": "1"}]}).json()["ReceivedInstancesCount"] == "0"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Resources": "x"},
        {"Resources": ["x"]},
        {"Resources": [{"Series": "1"}]},
        {"Resources": [{"Study": "1", "Instance": "1"}]},
        {"Resources": [{"Study": "../.."}]},
        {"Resources": [{"Study": 5}]},
        {"Resources": [], "GetArguments": {"a": 1}},
        {"Resources": [], "Debug": "x"},
    ],
)
def test_bad_wishes_to_retrieve(make_far: MakeFar, body: Any) -> None:
    far = make_far(lambda asked: Said())
    assert far.post("retrieve", body).status_code == 400
    assert far.client.get("/jobs").json() == []


# -- delete --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ({"Level": "Study"}, "studies/1.2"),
        ({"Level": "Series", "SeriesInstanceUID": "3"}, "studies/1.2/series/3"),
        (
            {"Level": "Instance", "SeriesInstanceUID": "3", "SOPInstanceUID": "4"},
            "studies/1.2/series/3/instances/4",
        ),
    ],
)
def test_delete(make_far: MakeFar, body: dict[str, str], target: str) -> None:
    far = make_far(lambda asked: Said(b"", status=204), HasDelete=True)
    answer = far.post("delete", {"StudyInstanceUID": "1.2", **body})
    assert (answer.status_code, answer.json()) == (200, {})
    (asked,) = far.asked
    assert (asked.method, asked.target) == ("DELETE", f"/dicom-web/{target}")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Level": "Study"},
        {"Level": "Patient", "StudyInstanceUID": "1"},
        {"Level": "Series", "StudyInstanceUID": "1"},
        {"Level": "Instance", "StudyInstanceUID": "1", "SeriesInstanceUID": "2"},
        {"Level": "Study", "StudyInstanceUID": "x"},
    ],
)
def test_bad_wishes_to_delete(make_far: MakeFar, body: Any) -> None:
    far = make_far(lambda asked: Said(), HasDelete=True)
    assert far.post("delete", body).status_code == 400
    assert far.asked == []


def test_only_servers_that_are_said_to_delete_are_asked_to(make_far: MakeFar) -> None:
    far = make_far(lambda asked: Said())
    answer = far.post("delete", {"Level": "Study", "StudyInstanceUID": "1"})
    assert answer.status_code == 400
    assert "HasDelete" in answer.json()["Details"]
    assert far.asked == []
