"""The resource tree: lists, resources, relatives, counts, deletion."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.application import CT_INSTANCE, CT_PATIENT, CT_SERIES, CT_STUDY, Client, MakeClient

from ithil.rest.resource_json import status_of

MR_INSTANCE = "2f859814-2cf8fe4f-c7963e7d-d32c018d-66fc8cfa"


@pytest.fixture
def filled(client: Client, ct: bytes, mr: bytes) -> Client:
    """An archive of two patients."""
    for content in (ct, mr):
        assert client.post("/instances", content=content).is_success
    return client


def test_lists_are_in_order_of_arrival(filled: Client) -> None:
    assert filled.get("/instances").json() == [CT_INSTANCE, MR_INSTANCE]
    assert filled.get("/instances?since=1&limit=5").json() == [MR_INSTANCE]
    assert filled.get("/instances?since=0&limit=1").json() == [CT_INSTANCE]
    assert filled.get("/instances?since=0&limit=0").json() == [CT_INSTANCE, MR_INSTANCE]
    assert filled.get("/instances?since=9&limit=1").json() == []


@pytest.mark.parametrize("query", ["since=1", "limit=1", "since=a&limit=1", "expand=maybe"])
def test_bad_pages_are_refused(filled: Client, query: str) -> None:
    assert filled.get(f"/studies?{query}").status_code == 400


def test_a_study(filled: Client) -> None:
    study = filled.get(f"/studies/{CT_STUDY}").json()
    assert study.pop("LastUpdate").startswith("20")
    assert study == {
        "ID": CT_STUDY,
        "IsStable": False,
        "Labels": [],
        "MainDicomTags": study["MainDicomTags"],
        "ParentPatient": CT_PATIENT,
        "PatientMainDicomTags": {
            "PatientBirthDate": "",
            "PatientID": "1CT1",
            "PatientName": "CompressedSamples^CT1",
            "PatientSex": "O",
        },
        "Series": [CT_SERIES],
        "Type": "Study",
    }
    assert study["MainDicomTags"]["StudyDate"] == "20040119"


def test_fields_of_each_level(filled: Client) -> None:
    common = {"ID", "Labels", "MainDicomTags", "Type"}
    expected = {
        f"/patients/{CT_PATIENT}": {"IsStable", "LastUpdate", "Studies"},
        f"/series/{CT_SERIES}": {
            "ExpectedNumberOfInstances",
            "Instances",
            "IsStable",
            "LastUpdate",
            "ParentStudy",
            "Status",
        },
        f"/instances/{CT_INSTANCE}": {"FileSize", "FileUuid", "IndexInSeries", "ParentSeries"},
    }
    for path, fields in expected.items():
        assert set(filled.get(path).json()) == common | fields


def test_formats_of_tags(filled: Client) -> None:
    path = f"/patients/{CT_PATIENT}"
    assert filled.get(f"{path}?short").json()["MainDicomTags"]["0010,0020"] == "1CT1"
    assert filled.get(f"{path}?full").json()["MainDicomTags"]["0010,0020"] == {
        "Name": "PatientID",
        "Type": "String",
        "Value": "1CT1",
    }
    assert filled.get(f"{path}?full&simplify").json() == filled.get(path).json()


def test_expanded_lists_hold_the_same_as_single_resources(filled: Client) -> None:
    for level in ("patients", "studies", "series", "instances"):
        single = [filled.get(f"/{level}/{one}").json() for one in filled.get(f"/{level}").json()]
        assert filled.get(f"/{level}?expand").json() == single
        assert filled.get(f"/{level}?expand=false").json() == [one["ID"] for one in single]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"/patients/{CT_PATIENT}/studies", CT_STUDY),
        (f"/patients/{CT_PATIENT}/series", CT_SERIES),
        (f"/patients/{CT_PATIENT}/instances", CT_INSTANCE),
        (f"/studies/{CT_STUDY}/series", CT_SERIES),
        (f"/studies/{CT_STUDY}/instances", CT_INSTANCE),
        (f"/series/{CT_SERIES}/instances", CT_INSTANCE),
    ],
)
def test_children(filled: Client, path: str, expected: str) -> None:
    assert [one["ID"] for one in filled.get(path).json()] == [expected]
    assert filled.get(f"{path}?expand=false").json() == [expected]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"/instances/{CT_INSTANCE}/patient", f"/patients/{CT_PATIENT}"),
        (f"/instances/{CT_INSTANCE}/study", f"/studies/{CT_STUDY}"),
        (f"/instances/{CT_INSTANCE}/series", f"/series/{CT_SERIES}"),
        (f"/series/{CT_SERIES}/study", f"/studies/{CT_STUDY}"),
        (f"/series/{CT_SERIES}/patient", f"/patients/{CT_PATIENT}"),
        (f"/studies/{CT_STUDY}/patient", f"/patients/{CT_PATIENT}"),
    ],
)
def test_parents(filled: Client, path: str, expected: str) -> None:
    assert filled.get(path).json() == filled.get(expected).json()


def test_unknown_resources(filled: Client) -> None:
    for level in ("patients", "studies", "series", "instances"):
        for method in ("GET", "DELETE"):
            answer = filled.request(method, f"/{level}/nope")
            assert (answer.status_code, answer.content) == (404, b"")
        assert filled.get(f"/{level}/nope/statistics").json()["OrthancStatus"] == 17
    for path in ("/studies/nope/series", "/series/nope/patient", "/instances/nope/study"):
        assert filled.get(path).json()["OrthancStatus"] == 17
    assert filled.get(f"/studies/{CT_STUDY.upper()}").status_code == 404


def test_statistics(filled: Client, ct: bytes) -> None:
    size = str(len(ct))
    instance: dict[str, Any] = {
        "DicomDiskSize": size,
        "DicomDiskSizeMB": 0,
        "DicomUncompressedSize": size,
        "DicomUncompressedSizeMB": 0,
        "DiskSize": size,
        "DiskSizeMB": 0,
        "UncompressedSize": size,
        "UncompressedSizeMB": 0,
    }
    series = {**instance, "CountInstances": 1}
    study = {**series, "CountSeries": 1}
    assert filled.get(f"/instances/{CT_INSTANCE}/statistics").json() == instance
    assert filled.get(f"/series/{CT_SERIES}/statistics").json() == series
    assert filled.get(f"/studies/{CT_STUDY}/statistics").json() == study
    assert filled.get(f"/patients/{CT_PATIENT}/statistics").json() == {**study, "CountStudies": 1}


def test_deleting_tells_what_remains(client: Client, ct: bytes) -> None:
    other = ct.replace(b"1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322", b"1.2.3" + b"4" * 42)
    for content in (ct, other):
        assert client.post("/instances", content=content).json()["Status"] == "Success"
    first, second = client.get("/instances").json()
    assert client.delete(f"/instances/{first}").json() == {
        "RemainingAncestor": {"ID": CT_SERIES, "Path": f"/series/{CT_SERIES}", "Type": "Series"}
    }
    assert client.get(f"/instances/{first}").status_code == 404
    assert client.get(f"/instances/{first}/file").status_code == 404
    assert client.delete(f"/studies/{CT_STUDY}").json() == {"RemainingAncestor": None}
    assert client.get(f"/instances/{second}").status_code == 404
    assert client.get("/patients").json() == []


def test_protection(filled: Client) -> None:
    path = f"/patients/{CT_PATIENT}/protected"
    assert filled.get(path).text == "0"
    for body, expected in (("1", "1"), ("true", "1"), ("0", "0")):
        answer = filled.put(path, content=body)
        assert (answer.status_code, answer.content) == (200, b"")
        assert filled.get(path).text == expected
    for body in ("", "yes"):
        assert filled.put(path, content=body).json()["OrthancStatus"] == 15
    assert filled.put("/patients/nope/protected", content="1").status_code == 400
    assert filled.get("/patients/nope/protected").status_code == 400
    assert filled.get(f"/studies/{CT_STUDY}/protected").status_code == 404


def test_requested_tags(filled: Client) -> None:
    names = (
        "PatientName;0008,0020;KVP;ModalitiesInStudy;SOPClassesInStudy;InstanceAvailability;PatientComments;"
        "NumberOfPatientRelatedStudies;NumberOfStudyRelatedSeries;NumberOfSeriesRelatedInstances"
    )
    answer = filled.get(f"/series/{CT_SERIES}?requested-tags={names}").json()
    assert answer["RequestedTags"] == {
        "InstanceAvailability": "ONLINE",
        "KVP": "120",
        "ModalitiesInStudy": "CT",
        "NumberOfPatientRelatedStudies": "1",
        "NumberOfSeriesRelatedInstances": "1",
        "NumberOfStudyRelatedSeries": "1",
        "PatientName": "CompressedSamples^CT1",
        "SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.2",
        "StudyDate": "20040119",
    }
    study = filled.get(f"/studies/{CT_STUDY}?requestedTags=NumberOfSeriesRelatedInstances&short").json()
    assert study["RequestedTags"] == {}
    assert filled.get(f"/studies/{CT_STUDY}?requested-tags=NoSuchTag").json()["OrthancStatus"] == 27


def test_response_content(filled: Client) -> None:
    path = f"/instances/{CT_INSTANCE}?response-content="
    assert set(filled.get(path + "Parent").json()) == {"ID", "Type", "ParentSeries"}
    everything = filled.get(path + "Metadata;Attachments;Labels").json()
    assert everything["Metadata"]["Origin"] == "RestApi"
    assert everything["Attachments"][0]["ContentType"] == 1
    patient = filled.get(f"/patients/{CT_PATIENT}?response-content=IsProtected;IsStable;Children").json()
    assert set(patient) == {"ID", "Type", "IsProtected", "IsStable", "Studies"}
    listed = filled.get("/series?response-content=Status").json()
    assert [set(one) for one in listed] == [{"ID", "Type", "Status"}] * 2
    assert filled.get(path + "Everything").status_code == 400


@pytest.mark.parametrize(
    ("indexes", "expected", "status"),
    [
        ([1, 2, 3], 3, "Complete"),
        ([1, 3], 3, "Missing"),
        ([1, 1], 3, "Inconsistent"),
        ([0, 1], 3, "Inconsistent"),
        ([1, 4], 3, "Inconsistent"),
        ([1, None], 3, "Unknown"),
    ],
)
def test_the_status_of_a_series(indexes: list[int | None], expected: int, status: str) -> None:
    assert status_of(indexes, expected) == status


def test_an_archive_that_is_read_only(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(read_only=True)
    assert client.post("/instances", content=ct).status_code == 405
    assert client.delete("/studies/x").status_code == 405
    assert client.get("/system").json()["ReadOnly"] is True
