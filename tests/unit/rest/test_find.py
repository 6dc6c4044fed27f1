"""Searches over REST: `/tools/find`, `/tools/count-resources`, `/tools/bulk-content`, `/tools/labels`, long lists."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.application import CT_INSTANCE, CT_PATIENT, CT_SERIES, CT_STUDY, Client, MakeClient
from tests.unit.archive.places import image

from ithil.rest import listing

NOT_ASKED = object()


@pytest.fixture
def filled(client: Client, ct: bytes, mr: bytes, plan: bytes) -> Client:
    """An archive of three patients."""
    for content in (ct, mr, plan):
        assert client.post("/instances", content=content).is_success
    return client


def find(client: Client, level: str = "Study", query: Any = NOT_ASKED, **fields: Any) -> Any:
    body = {"Level": level, **fields} if query is NOT_ASKED else {"Level": level, "Query": query, **fields}
    answer = client.post("/tools/find", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("level", ["Study", "study", "STUDIES", "studies"])
def test_levels_are_read_in_any_spelling(filled: Client, level: str) -> None:
    assert find(filled, level, {"PatientID": "1CT1"}) == [CT_STUDY]


def test_identifiers_and_resources(filled: Client) -> None:
    assert find(filled, "Patient", {"PatientName": "compressedsamples^ct*"}) == [CT_PATIENT]
    assert find(filled, "Instance", {"0010,0020": "1CT1"}) == [CT_INSTANCE]
    for fields in ({}, {"Short": True}, {"Full": True}, {"Simplify": True}):
        format_of_get = "".join(name.lower() for name in fields)
        expanded = find(filled, "Series", {"Modality": "CT"}, Expand=True, **fields)
        assert expanded == [filled.get(f"/series/{CT_SERIES}?{format_of_get}").json()]


def test_requested_tags_and_parts(filled: Client) -> None:
    tags = ["ModalitiesInStudy", "NumberOfStudyRelatedInstances", "PatientName", "KVP", "Modality"]
    found = find(filled, "Study", {"PatientID": "1CT1"}, Expand=True, RequestedTags=tags)
    assert found[0]["RequestedTags"] == {
        "KVP": "120",
        "Modality": "CT",
        "ModalitiesInStudy": "CT",
        "NumberOfStudyRelatedInstances": "1",
        "PatientName": "CompressedSamples^CT1",
    }
    found = find(
        filled,
        "Series",
        {"PatientID": "1CT1"},
        ResponseContent=["RequestedTags", "Parent"],
        RequestedTags=tags,
    )
    assert set(found[0]) == {"ID", "Type", "ParentStudy", "RequestedTags"}
    found = find(filled, "Instance", {"PatientID": "1CT1"}, ResponseContent=["Metadata"])
    assert found[0]["Metadata"]["Origin"] == "RestApi"


def test_pages_and_order(filled: Client) -> None:
    order = [{"Type": "DicomTag", "Key": "PatientID", "Direction": "DESC"}]
    patients = [one["MainDicomTags"]["PatientID"] for one in find(filled, "Patient", {}, Expand=True)]
    ordered = find(filled, "Patient", {}, Expand=True, OrderBy=order)
    assert [one["MainDicomTags"]["PatientID"] for one in ordered] == sorted(patients, reverse=True)
    ids = [one["ID"] for one in ordered]
    assert find(filled, "Patient", {}, OrderBy=order, Since=1, Limit=1) == ids[1:2]
    by_metadata = [{"Type": "MetadataAsInt", "Key": "IndexInSeries", "Direction": "asc"}]
    assert len(find(filled, "Instance", {}, OrderBy=by_metadata)) == 3


def test_parents_metadata_and_labels(filled: Client) -> None:
    assert find(filled, "Instance", ParentPatient=CT_PATIENT) == [CT_INSTANCE]
    assert find(filled, "Series", {}, ParentStudy=CT_STUDY) == [CT_SERIES]
    assert find(filled, "Instance", {}, ParentSeries=CT_SERIES) == [CT_INSTANCE]
    assert find(filled, "Instance", {}, ParentStudy="nope") == []
    for field in ("MetadataQuery", "QueryMetadata"):
        syntax = {"TransferSyntax": "1.2.840.10008.1.2.1", "Origin": "Rest*"}
        assert CT_INSTANCE in find(filled, "Instance", {}, **{field: syntax})
        assert find(filled, "Instance", {}, **{field: {"Origin": "DicomProtocol"}}) == []
    assert filled.put(f"/studies/{CT_STUDY}/labels/red").is_success
    assert filled.put(f"/patients/{CT_PATIENT}/labels/blue").is_success
    assert find(filled, "Study", {}, Labels=["red"]) == [CT_STUDY]
    assert find(filled, "Study", {}, Labels=["red", "blue"]) == []
    assert find(filled, "Study", {}, Labels=["red", "blue"], LabelsConstraint="Any") == [CT_STUDY]
    assert len(find(filled, "Study", {}, Labels=["red"], LabelsConstraint="None")) == 2
    assert len(find(filled, "Study", {}, Labels=[], LabelsConstraint="None")) == 2
    assert filled.get("/tools/labels").json() == ["blue", "red"]


def test_counts(filled: Client) -> None:
    def count(**body: Any) -> Any:
        return filled.post("/tools/count-resources", json=body).json()

    assert count(Level="Study", Query={}) == {"Count": 3}
    assert count(Level="Study", Query={"PatientID": "1CT1"}) == {"Count": 1}
    assert count(Level="Series", Query={"PatientName": "*"}, Limit=1, Since=2) == {"Count": 3}
    assert count(Level="Study", Query={"KVP": "120"}) == {"Count": 1}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 8),
        (b"[]", 8),
        (b"{", 8),
        (b"[" * 100_000, 8),
        ({}, 8),
        ({"Level": 1, "Query": {}}, 8),
        ({"Level": "Nothing", "Query": {}}, 3),
        ({"Level": "Study", "Query": []}, 8),
        ({"Level": "Study", "Query": {"PatientID": 1}}, 8),
        ({"Level": "Study", "Query": {"PatientID": None}}, 8),
        ({"Level": "Study", "Query": {"NoSuchTag": "x"}}, 27),
        ({"Level": "Study", "Query": {"StudyDate": "2024*"}}, 3),
        ({"Level": "Study", "Query": {"PatientID": "?" * 5000}}, 3),
        ({"Level": "Study", "Query": {f"0011,{number:04x}": "x" for number in range(500)}}, 3),
        ({"Level": "Study", "Query": {}, "CaseSensitive": 1}, 8),
        ({"Level": "Study", "Query": {}, "Limit": -1}, 3),
        ({"Level": "Study", "Query": {}, "Limit": "1"}, 8),
        ({"Level": "Study", "Query": {}, "Limit": True}, 8),
        ({"Level": "Study", "Query": {}, "Limit": 2**64 - 1}, 8),
        ({"Level": "Study", "Query": {}, "Since": -1}, 3),
        ({"Level": "Study", "Query": {}, "Since": 1.5}, 8),
        ({"Level": "Study", "Query": {}, "Full": 1}, 15),
        ({"Level": "Study", "Query": {}, "RequestedTags": "KVP"}, 8),
        ({"Level": "Study", "Query": {}, "RequestedTags": ["NoSuchTag"]}, 27),
        ({"Level": "Study", "Query": {}, "RequestedTags": [f"0011,{n:04x}" for n in range(2000)]}, 3),
        ({"Level": "Study", "Query": {}, "ResponseContent": ["Everything"]}, 3),
        ({"Level": "Study", "Query": {}, "Labels": "red"}, 8),
        ({"Level": "Study", "Query": {}, "Labels": ["red"], "LabelsConstraint": "Some"}, 3),
        ({"Level": "Study", "Query": {}, "ParentSeries": CT_SERIES}, 3),
        ({"Level": "Study", "Query": {}, "ParentPatient": 7}, 8),
        ({"Level": "Study", "Query": {}, "MetadataQuery": {"NoSuchMetadata": "x"}}, 3),
        ({"Level": "Study", "Query": {}, "MetadataQuery": {"Origin": []}}, 8),
        ({"Level": "Study", "Query": {}, "OrderBy": {}}, 8),
        ({"Level": "Study", "Query": {}, "OrderBy": [{"Type": "DicomTag", "Key": "PatientID"}]}, 8),
        ({"Level": "Study", "Query": {}, "OrderBy": [{"Type": "Tag", "Key": "x", "Direction": "ASC"}]}, 3),
        (
            {
                "Level": "Study",
                "Query": {},
                "OrderBy": [{"Type": "DicomTag", "Key": "KVP", "Direction": "ASC"}],
            },
            3,
        ),
        (
            {
                "Level": "Study",
                "Query": {},
                "OrderBy": [{"Type": "DicomTag", "Key": "PatientID", "Direction": "ASC"}] * 5000,
            },
            3,
        ),
    ],
    ids=lambda value: str(value)[:80],
)
def test_bodies_that_are_refused(filled: Client, body: Any, code: int) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = filled.post("/tools/find", content=content)
    assert answer.json()["OrthancStatus"] == code
    assert answer.status_code in ((500,) if code == 27 else (400,))


@pytest.mark.parametrize("value", ["'", '"', "%", "_", "\\", "*" * 100_000, "\0", "a\0*", "\ud7ff", "[a"])
def test_values_that_are_no_names(filled: Client, value: str) -> None:
    answer = filled.post("/tools/find", json={"Level": "Study", "Query": {"PatientName": value}})
    assert answer.status_code == 200


def test_files_are_opened_as_the_setting_says(make_client: MakeClient, ct: bytes) -> None:
    for setting, found, shown in (
        ("Always", 1, {"KVP": "120"}),
        ("Answers", 0, {"KVP": "120"}),
        ("Never", 0, {}),
    ):
        client = make_client(storage_access_on_find=setting)
        client.post("/instances", content=ct)
        assert len(find(client, "Study", {"KVP": "120"})) == found
        expanded = find(client, "Study", {"PatientID": "1CT1"}, Expand=True, RequestedTags=["KVP"])
        assert expanded[0]["RequestedTags"] == shown


def test_the_settings_limit_answers(make_client: MakeClient) -> None:
    client = make_client(limit_find_results=2, limit_find_instances=1)
    for number in range(3):
        client.post("/instances", content=image(number))
    assert len(find(client, "Study", {})) == 2
    assert len(find(client, "Study", {}, Limit=3)) == 2
    assert len(find(client, "Instance", {})) == 1
    assert len(client.get("/studies").json()) == 3
    assert client.post("/tools/count-resources", json={"Level": "Study", "Query": {}}).json() == {"Count": 3}


def test_bulk_content(filled: Client) -> None:
    def ask(**body: Any) -> Any:
        return filled.post("/tools/bulk-content", json=body).json()

    shown = ask(Resources=[CT_SERIES, "nope", CT_STUDY, CT_SERIES])
    assert [one["ID"] for one in shown] == [CT_SERIES, CT_STUDY, CT_SERIES]
    assert shown[1].pop("Metadata").keys() == {"LastUpdate"}
    assert shown[1] == filled.get(f"/studies/{CT_STUDY}").json()
    (instance,) = ask(Resources=[CT_PATIENT, CT_STUDY], Level="Instance", Short=True, Metadata=False)
    assert instance == filled.get(f"/instances/{CT_INSTANCE}?short").json()
    assert [one["ID"] for one in ask(Resources=[CT_INSTANCE], Level="patients")] == [CT_PATIENT]
    assert ask(Resources=[]) == []
    for body in ({}, {"Resources": "x"}, {"Resources": [1]}, {"Resources": [], "Level": 3}):
        assert ask(**body)["OrthancStatus"] == 15
    assert ask(Resources=[], Level="Nothing")["OrthancStatus"] == 3


@pytest.mark.parametrize("accept", ["application/json", "application/xml"])
def test_a_long_list_is_the_same_list(client: Client, monkeypatch: pytest.MonkeyPatch, accept: str) -> None:
    for number in range(7):
        assert client.post("/instances", content=image(number)).is_success
    for path in ("/studies?expand", "/studies", "/instances?since=1&limit=5&expand&full"):
        whole = client.get(path, headers={"Accept": accept})
        with monkeypatch.context() as small:
            small.setattr(listing, "SHORT_IDS", 2)
            small.setattr(listing, "SHORT_RESOURCES", 2)
            small.setattr("ithil.archive.find.BATCH", 2)
            small.setattr("ithil.archive.find.WINDOW", 3)
            # Another spelling of the same path, which is not remembered.
            streamed = client.get(
                path.replace("?", "/?") if "?" in path else path + "/", headers={"Accept": accept}
            )
        assert "content-length" in whole.headers
        assert "content-length" not in streamed.headers
        assert streamed.content == whole.content
        assert streamed.headers["content-type"] == whole.headers["content-type"]


def test_an_archive_that_holds_nothing(client: Client) -> None:
    assert find(client, "Study", {}) == []
    assert find(client, "Study", {"PatientID": "x"}, Expand=True) == []
    assert client.get("/studies?expand").json() == []
    assert client.get("/tools/labels").json() == []
    assert client.post("/tools/count-resources", json={"Level": "Series", "Query": {}}).json() == {"Count": 0}
