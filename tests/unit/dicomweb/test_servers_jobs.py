"""`/servers`: what is stored at other DICOMweb servers and retrieved from them, as jobs."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from tests.unit.application import CT_INSTANCE, CT_STUDY, read
from tests.unit.dicomweb.far import MakeFar, make_far, small_instances, takes_all, uids_in
from tests.unit.services.far_server import Asked, Said, related, stored

from ithil.services import dicomweb_retrieve_job, dicomweb_stow_job

__all__ = ["make_far"]

UID = "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"


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
    assert far.client.get(f"/instances/{CT_INSTANCE}/metadata/Origin").text == "Plugins"


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
