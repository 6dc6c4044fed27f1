"""Modules, shared tags, the tags of all instances, and the order of slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.data.datasets import body, part10
from tests.data.real import content_of
from tests.unit.application import CT_INSTANCE, CT_PATIENT, CT_SERIES, CT_STUDY, Client, MakeClient

from ithil.archive.headers import BATCH
from ithil.http.xml import to_xml

SLICES = tuple(f"pydicom/dicomdirtests/77654033/CT2/{number}" for number in (17106, 17136, 17166, 17196))


@pytest.fixture
def series(client: Client) -> str:
    """A series of four slices."""
    found = {client.post("/instances", content=content_of(name)).json()["ParentSeries"] for name in SLICES}
    (one,) = found
    return str(one)


def store(client: Client, number: int, elements: dict[int, tuple[str, bytes] | bytes]) -> dict[str, Any]:
    """A synthetic instance of one series."""
    uid = f"1.2.3.4.{number}"
    own: dict[int, tuple[str, bytes] | bytes] = {0x00080018: ("UI", uid.encode() + b"\0" * (len(uid) % 2))}
    answer = client.post("/instances", content=part10(body({**own, **elements})))
    assert answer.status_code == 200
    return dict(answer.json())


def test_modules(client: Client, ct: bytes) -> None:
    client.post("/instances", content=ct)
    levels = {"patients": CT_PATIENT, "studies": CT_STUDY, "series": CT_SERIES, "instances": CT_INSTANCE}
    found = {
        level: client.get(f"/{level}/{public_id}/module?simplify").json()
        for level, public_id in levels.items()
    }
    assert found["patients"]["PatientID"] == "1CT1"
    assert [len(item) for item in found["patients"]["OtherPatientIDsSequence"]] == [2, 2]
    assert set(found["studies"]) == {
        *("AccessionNumber", "ReferringPhysicianName", "StudyDate", "StudyDescription", "StudyID"),
        *("StudyInstanceUID", "StudyTime"),
    }
    assert found["series"]["PatientPosition"] == "FFS"
    assert found["instances"]["SOPClassUID"] == "1.2.840.10008.5.1.4.1.1.2"
    assert client.get(f"/studies/{CT_STUDY}/module-patient?simplify").json() == found["patients"]
    assert client.get(f"/series/{CT_SERIES}/module?short").json()["0008,0060"] == "CT"
    full = client.get(f"/series/{CT_SERIES}/module").json()["0008,0060"]
    assert full == {"Name": "Modality", "Type": "String", "Value": "CT"}
    for path in ("/patients/nope/module", "/studies/nope/module-patient"):
        assert client.get(path).json()["OrthancStatus"] == 17
    assert client.get(f"/patients/{CT_PATIENT}/module-patient").status_code == 404
    assert client.get(f"/series/{CT_SERIES}/module?ignore-length=nope").json()["OrthancStatus"] == 27


def test_a_module_is_decoded_as_its_file_says(client: Client) -> None:
    made = store(client, 1, {0x00080005: ("CS", b"ISO_IR 192"), 0x00100010: ("PN", "Jörg ".encode())})
    assert client.get(f"/patients/{made['ParentPatient']}/module?simplify").json()["PatientName"] == "Jörg"


def test_a_module_is_that_of_the_newest_instance(client: Client) -> None:
    for number, name in enumerate((b"One ", b"Two ", b"Six "), 1):
        made = store(client, number, {0x00100010: ("PN", name), 0x0020000D: ("UI", b"1.2.%d\0" % number)})
    patient = made["ParentPatient"]
    assert client.get(f"/patients/{patient}/module?simplify").json()["PatientName"] == "Six"


def test_shared_tags(client: Client, series: str) -> None:
    shared = client.get(f"/series/{series}/shared-tags").json()
    assert shared["0008,0060"] == {"Name": "Modality", "Type": "String", "Value": "CT"}
    assert "0008,0018" not in shared  # SOPInstanceUID
    assert "7fe0,0010" not in shared
    short = client.get(f"/series/{series}/shared-tags?short").json()
    assert short == {tag: each["Value"] for tag, each in shared.items()}
    named = client.get(f"/series/{series}/shared-tags?simplify").json()
    assert named["Modality"] == "CT"
    (study,) = client.get("/studies").json()
    assert client.get(f"/studies/{study}/shared-tags").json() == shared
    for level in ("patients", "studies", "series"):
        assert client.get(f"/{level}/nope/shared-tags").json()["OrthancStatus"] == 17
    assert client.get(f"/instances/{CT_INSTANCE}/shared-tags").status_code == 404


@pytest.mark.parametrize("form", ["", "simplify", "short", "full", "ignore-length=ImageType,0008-0008"])
def test_tags_of_all_instances(client: Client, series: str, form: str) -> None:
    answer = client.get(f"/series/{series}/instances-tags?{form}")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    found = answer.json()
    assert list(found) == sorted(client.get("/instances").json())
    for instance, tags in found.items():
        assert tags == client.get(f"/instances/{instance}/tags?{form}").json()


def test_tags_of_all_instances_in_xml(client: Client, series: str) -> None:
    answer = client.get(f"/series/{series}/instances-tags?simplify", headers={"Accept": "application/xml"})
    assert answer.headers["content-type"] == "application/xml; charset=utf-8"
    assert answer.content == to_xml(client.get(f"/series/{series}/instances-tags?simplify").json())


def test_more_instances_than_are_asked_for_at_a_time(client: Client) -> None:
    count = BATCH + 3
    made = [store(client, number, {})["ID"] for number in range(count)]
    (patient,) = client.get("/patients").json()
    found = client.get(f"/patients/{patient}/instances-tags?simplify").json()
    assert list(found) == sorted(made)
    assert len({tags["SOPInstanceUID"] for tags in found.values()}) == count
    assert client.get(f"/patients/{patient}/shared-tags?simplify").json()["PatientID"] == "P1"


def test_an_instance_that_cannot_be_read(make_client: MakeClient, ct: bytes, tmp_path: Path) -> None:
    client = make_client(maximum_storage_cache_size=0)
    client.post("/instances", content=ct)
    assert len(client.get("/instances").json()) == 1  # its file is there, since somebody has looked
    for path in tmp_path.rglob("*-*-*-*-*"):
        if path.is_file():
            path.unlink()
    answer = client.get(f"/series/{CT_SERIES}/instances-tags")
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (404, 13)


def test_a_volume(client: Client, series: str) -> None:
    answer = client.get(f"/series/{series}/ordered-slices").json()
    assert answer["Type"] == "Volume"
    ids = [slice_[0] for slice_ in answer["SlicesShort"]]
    assert answer["Dicom"] == [f"/instances/{one}/file" for one in ids]
    assert answer["Slices"] == [f"/instances/{one}/frames/0" for one in ids]
    places = [
        float(client.get(f"/instances/{one}/simplified-tags").json()["ImagePositionPatient"].split("\\")[2])
        for one in ids
    ]
    assert places == sorted(places)


def test_a_sequence_of_frames(client: Client) -> None:
    second = store(client, 1, {0x00200013: ("IS", b"2 "), 0x00280008: ("IS", b"3 ")})["ID"]
    made = store(client, 2, {0x00200013: ("IS", b"1 ")})
    first, series = made["ID"], made["ParentSeries"]
    assert client.get(f"/series/{series}/ordered-slices").json() == {
        "Type": "Sequence",
        "Dicom": [f"/instances/{first}/file", f"/instances/{second}/file"],
        "Slices": [
            f"/instances/{first}/frames/0",
            *(f"/instances/{second}/frames/{frame}" for frame in range(3)),
        ],
        "SlicesShort": [[first, 0, 1], [second, 0, 3]],
    }


@pytest.mark.parametrize(
    "elements",
    [
        {},  # no number to order by
        {0x00200013: ("IS", b"1 "), 0x00280008: ("IS", b"999999999 ")},  # more frames than anybody has
    ],
)
def test_slices_that_have_no_order(client: Client, elements: dict[int, tuple[str, bytes] | bytes]) -> None:
    store(client, 1, elements)
    series = store(client, 2, elements)["ParentSeries"]
    answer = client.get(f"/series/{series}/ordered-slices")
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (500, 2040)


def test_slices_of_no_series(client: Client) -> None:
    assert client.get("/series/nope/ordered-slices").json()["OrthancStatus"] == 17
