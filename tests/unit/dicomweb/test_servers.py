"""`/servers`: which other DICOMweb servers there are, and what they are asked and answer."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.application import CT_STUDY, Client
from tests.unit.dicomweb.far import DEAD, ROOT, MakeFar, make_far
from tests.unit.services.far_server import Said

__all__ = ["make_far"]


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
