"""The routes of archives and media: what they take, what they refuse, what their headers say."""

from __future__ import annotations

import io
import json
import time
import zipfile
from typing import Any

import httpx
import pytest
from pydicom import dcmread
from tests.unit.application import CT_INSTANCE, CT_PATIENT, CT_SERIES, CT_STUDY, Client, MakeClient

CT_NAME = "1CT1 CompressedSamples CT1/e1/CT/CT000000.dcm"
IMPLICIT = "1.2.840.10008.1.2"


@pytest.fixture
def filled(client: Client, ct: bytes, mr: bytes) -> Client:
    """A client of an application that has a CT and an MR image of two patients."""
    for content in (ct, mr):
        assert client.post("/instances", content=content).status_code == 200
    return client


def entries(answer: httpx.Response) -> zipfile.ZipFile:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    found = zipfile.ZipFile(io.BytesIO(answer.content))
    assert found.testzip() is None
    return found


def ids(client: Client, level: str) -> list[str]:
    listed: list[str] = client.get(f"/{level}").json()
    return listed


@pytest.mark.parametrize(
    ("level", "public_id"), [("patients", CT_PATIENT), ("studies", CT_STUDY), ("series", CT_SERIES)]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_one_resource(filled: Client, ct: bytes, level: str, public_id: str, method: str) -> None:
    answer = filled.request(method, f"/{level}/{public_id}/archive")
    found = entries(answer)
    assert found.namelist() == [CT_NAME]
    assert found.read(CT_NAME) == ct
    assert answer.headers["content-disposition"] == f'filename="{public_id}.zip"'

    found = entries(filled.request(method, f"/{level}/{public_id}/media"))
    assert found.namelist() == ["IMAGES/IM0", "DICOMDIR"]
    assert found.read("IMAGES/IM0") == ct


@pytest.mark.parametrize("kind", ["archive", "media", "media-extended"])
def test_several_resources(filled: Client, kind: str) -> None:
    every = ids(filled, "studies")
    count = 2 if kind == "archive" else 3
    for answer in (
        filled.post(f"/tools/create-{kind}", json=every),
        filled.post(f"/tools/create-{kind}", json={"Resources": [*every, CT_INSTANCE, CT_PATIENT]}),
        filled.get(f"/tools/create-{kind}?resources={','.join(every)}"),
        filled.get(f"/tools/create-{kind}?resources={CT_PATIENT}, ,{every[0]},{every[1]}"),
    ):
        assert len(entries(answer).namelist()) == count
        assert answer.headers["content-disposition"] == 'filename="Archive.zip"'


def test_an_empty_list_is_an_empty_archive(filled: Client) -> None:
    assert entries(filled.post("/tools/create-archive", json=[])).namelist() == []


@pytest.mark.parametrize("name", ["nope", CT_STUDY[:-1], "../..", ""])
def test_an_unknown_resource_is_refused(filled: Client, name: str) -> None:
    for kind in ("archive", "media", "media-extended"):
        answer = filled.post(f"/tools/create-{kind}", json=[CT_STUDY, name])
        assert (answer.status_code, answer.json()["OrthancStatus"]) == (404, 17)
        for asynchronous in (False, True):
            body = {"Resources": [name, CT_STUDY], "Asynchronous": asynchronous}
            assert filled.post(f"/tools/create-{kind}", json=body).status_code == 404
    assert filled.get("/jobs").json() == []


def test_a_resource_of_another_level_is_refused(filled: Client) -> None:
    for path in (f"/studies/{CT_SERIES}/archive", f"/series/{CT_STUDY}/media", "/patients/nope/archive"):
        for method in ("GET", "POST"):
            answer = filled.request(method, path)
            assert (answer.status_code, answer.json()["OrthancStatus"]) == (404, 17)
    assert filled.get(f"/instances/{CT_INSTANCE}/archive").status_code == 404


@pytest.mark.parametrize(
    "body", ["", "{", "{}", "5", '"a"', "null", "[5]", '{"Resources": "a"}', '{"Resources": [[]]}']
)
def test_bodies_that_name_no_resources(filled: Client, body: str) -> None:
    answer = filled.post("/tools/create-archive", content=body)
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (400, 15)


@pytest.mark.parametrize(
    "fields",
    [
        {"Synchronous": "yes"},
        {"Priority": "high"},
        {"Transcode": 5},
        {"Transcode": "1.2.3"},
        {"LossyQuality": 0},
        {"LossyQuality": 101},
        {"LossyQuality": "good"},
        {"Utf8": "yes"},
        {"Extended": "yes"},
        {"Filename": 5},
    ],
)
def test_fields_of_other_types(filled: Client, fields: dict[str, Any]) -> None:
    for path in (f"/studies/{CT_STUDY}/media", "/tools/create-media"):
        answer = filled.post(path, json={"Resources": [CT_STUDY], **fields})
        assert answer.status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "transcode=1.2.3",
        "transcode",
        "lossy-quality=0",
        "lossy-quality=101",
        "lossy-quality=a",
        "lossy-quality=9999",
    ],
)
def test_arguments_that_mean_nothing(filled: Client, query: str) -> None:
    assert filled.get(f"/studies/{CT_STUDY}/archive?{query}").status_code == 400
    assert filled.get(f"/tools/create-archive?resources={CT_STUDY}&{query}").status_code == 400


def test_resources_must_be_named(filled: Client) -> None:
    assert filled.get("/tools/create-archive").status_code == 400


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("mine.zip", "mine.zip"),
        ("", f"{CT_STUDY}.zip"),
        ('a"b.zip', "ab.zip"),
        ("a\r\nSet-Cookie: x=y\r\n\r\n<html>", "aSet-Cookie: x=y<html>"),
        ("a\0b\x7f", "ab"),
        ("é😀.zip", "??.zip"),
        ("..\\..\\x", "....x"),
    ],
)
def test_the_name_of_the_file(filled: Client, wanted: str, given: str) -> None:
    asked = filled.get(f"/studies/{CT_STUDY}/archive", params={"filename": wanted})
    posted = filled.post(f"/studies/{CT_STUDY}/media", json={"Filename": wanted})
    for answer in (asked, posted):
        assert answer.headers["content-disposition"] == f'filename="{given}"'
        assert "set-cookie" not in answer.headers


def test_transcoding(filled: Client) -> None:
    for answer in (
        filled.get(f"/studies/{CT_STUDY}/archive?transcode={IMPLICIT}"),
        filled.post(f"/studies/{CT_STUDY}/archive", json={"Transcode": IMPLICIT}),
        filled.get(f"/tools/create-archive?resources={CT_STUDY}&transcode={IMPLICIT}"),
    ):
        made = dcmread(io.BytesIO(entries(answer).read(CT_NAME)))
        assert made.file_meta.TransferSyntaxUID == IMPLICIT


def test_extended_media(client: Client, mr: bytes) -> None:
    client.post("/instances", content=mr)
    [study] = ids(client, "studies")

    def has_description(answer: httpx.Response) -> bool:
        directory = dcmread(io.BytesIO(entries(answer).read("DICOMDIR")))
        return any("SeriesDescription" in record for record in directory.DirectoryRecordSequence)

    series = client.get(f"/studies/{study}").json()["Series"][0]
    described = "SeriesDescription" in client.get(f"/series/{series}").json()["MainDicomTags"]
    assert not has_description(client.get(f"/studies/{study}/media"))
    assert not has_description(client.get(f"/studies/{study}/media?extended=0"))
    assert has_description(client.get(f"/studies/{study}/media?extended")) == described
    assert has_description(client.post(f"/studies/{study}/media", json={"Extended": True})) == described
    assert has_description(client.post("/tools/create-media-extended", json=[study])) == described


def test_names_in_all_scripts(make_client: MakeClient) -> None:
    from pydicom.data import get_charset_files

    [path] = get_charset_files("chrGerm.dcm")
    with open(path, "rb") as file:
        content = file.read()
    for client, body, expected in (
        (make_client(), {}, "SCSGERM neas Rdiger"),
        (make_client(), {"Utf8": True}, "SCSGERM Äneas Rüdiger"),
        (make_client(zip_use_utf8=True), {}, "SCSGERM Äneas Rüdiger"),
        (make_client(zip_use_utf8=True), {"Utf8": False}, "SCSGERM neas Rdiger"),
    ):
        patient = client.post("/instances", content=content).json()["ParentPatient"]
        [name] = entries(client.post(f"/patients/{patient}/archive", json=body)).namelist()
        assert name.split("/")[0] == expected


def test_writing_a_file_first(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(synchronous_zip_stream=False)
    client.post("/instances", content=ct)
    for method in ("GET", "POST"):
        answer = client.request(method, f"/studies/{CT_STUDY}/archive")
        assert entries(answer).read(CT_NAME) == ct
        assert int(answer.headers["content-length"]) == len(answer.content)


def test_a_read_only_archive_gives_archives_but_makes_no_jobs(
    make_client: MakeClient, ct: bytes, tmp_path: Any
) -> None:
    folder = tmp_path / "both"
    filling = make_client(storage_directory=folder)
    filling.post("/instances", content=ct)
    assert len(ids(filling, "instances")) == 1
    client = make_client(storage_directory=folder, read_only=True)
    assert entries(client.get(f"/studies/{CT_STUDY}/archive")).namelist() == [CT_NAME]
    assert entries(client.post(f"/studies/{CT_STUDY}/media")).namelist() == ["IMAGES/IM0", "DICOMDIR"]
    answer = client.post(f"/studies/{CT_STUDY}/archive", json={"Asynchronous": True})
    assert answer.json()["OrthancStatus"] == 22


def job_when_done(client: Client, path: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while True:
        job: dict[str, Any] = client.get(path).json()
        if job["State"] not in ("Pending", "Running"):
            return job
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        (f"/studies/{CT_STUDY}/archive", {"Asynchronous": True}, "Archive"),
        (f"/studies/{CT_STUDY}/media", {"Synchronous": False}, "Media"),
        ("/tools/create-archive", {"Resources": [CT_STUDY], "Asynchronous": True}, "Archive"),
        ("/tools/create-media-extended", {"Resources": [CT_STUDY], "Asynchronous": True}, "Media"),
    ],
)
def test_a_job(filled: Client, ct: bytes, path: str, body: dict[str, Any], kind: str) -> None:
    answer = filled.post(path, json={**body, "Filename": "my.zip", "Priority": 7, "UserData": {"a": [1]}})
    started = answer.json()
    assert started["Path"] == f"/jobs/{started['ID']}"
    job = job_when_done(filled, started["Path"])
    assert (job["State"], job["Type"], job["Priority"], job["UserData"]) == ("Success", kind, 7, {"a": [1]})
    archive = filled.get(f"{started['Path']}/archive")
    assert job["Content"] == {
        "ArchiveSize": str(len(archive.content)),
        "ArchiveSizeMB": 0,
        "Description": "REST API",
        "InstancesCount": 1,
        "UncompressedSize": str(len(ct)),
        "UncompressedSizeMB": 0,
    }
    assert len(entries(archive).namelist()) == (1 if kind == "Archive" else 2)
    assert archive.headers["content-disposition"] == 'filename="my.zip"'
    part = filled.get(f"{started['Path']}/archive", headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, archive.content[2:6])


def test_a_job_tells_how_it_transcodes(filled: Client) -> None:
    body = {"Asynchronous": True, "Transcode": IMPLICIT, "LossyQuality": 50, "Utf8": True}
    path = filled.post(f"/studies/{CT_STUDY}/archive", json=body).json()["Path"]
    content = job_when_done(filled, path)["Content"]
    assert (content["Transcode"], content["LossyQuality"], content["Utf8"]) == (IMPLICIT, 50, True)
    made = dcmread(io.BytesIO(entries(filled.get(f"{path}/archive")).read(CT_NAME)))
    assert made.file_meta.TransferSyntaxUID == IMPLICIT


def test_a_body_that_is_no_object_has_no_fields_where_the_path_names_the_resource(filled: Client) -> None:
    for body in ("[]", '"a"', "5", " "):
        assert entries(filled.post(f"/studies/{CT_STUDY}/archive", content=body)).namelist() == [CT_NAME]
    answer = filled.post(f"/studies/{CT_STUDY}/archive", content="{")
    assert (answer.status_code, json.loads(answer.content)["OrthancStatus"]) == (400, 15)
