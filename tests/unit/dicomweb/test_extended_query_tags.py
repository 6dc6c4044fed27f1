"""`/dicom-web/extendedquerytags`: tags become searchable, for what is stored and for what comes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from tests.unit.application import CT_STUDY, Client

TAGS = "/dicom-web/extendedquerytags"
CT_NAME = "CompressedSamples^CT1"


def declare(client: Client, *tags: dict[str, str]) -> dict[str, Any]:
    """Declare tags and wait until they are ready; gives the operation at its end."""
    answer = client.post(TAGS, json=list(tags))
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == answer.json()["href"]
    return ended(client, answer.json()["href"])


def ended(client: Client, operation: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = client.get(operation)
        if answer.status_code == 200:
            found: dict[str, Any] = answer.json()
            return found
        assert answer.status_code == 202
        time.sleep(0.02)
    raise AssertionError("the operation does not end")


def changed(content: bytes, **values: Any) -> bytes:
    """Another instance of another study, with other values."""
    dataset = pydicom.dcmread(BytesIO(content))
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(dataset, keyword, generate_uid())
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    written = BytesIO()
    dataset.save_as(written)
    return written.getvalue()


def with_private(
    content: bytes, value: str, vr: str = "LO", creator: str = "ITHIL TEST", block: int = 0x10
) -> bytes:
    dataset = pydicom.dcmread(BytesIO(changed(content)))
    dataset.add_new((0x0099, block), "LO", creator)
    dataset.add_new((0x0099, (block << 8) + 0x05), vr, value)
    written = BytesIO()
    dataset.save_as(written)
    return written.getvalue()


def store(client: Client, *contents: bytes) -> list[str]:
    """The public ids of their studies."""
    found = []
    for content in contents:
        answer = client.post("/instances", content=content)
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["ParentStudy"])
    return found


def studies(client: Client, **query: str) -> list[str]:
    """The study UIDs that QIDO finds."""
    answer = client.get("/dicom-web/studies", params=query)
    assert answer.status_code == 200, answer.text
    return sorted(study["0020000D"]["Value"][0] for study in answer.json())


def uid(content: bytes) -> str:
    return str(pydicom.dcmread(BytesIO(content), stop_before_pixels=True).StudyInstanceUID)


def found_by(client: Client, query: dict[str, str], contents: Sequence[bytes]) -> list[int]:
    """Which of the contents QIDO finds, by their places."""
    uids = [uid(content) for content in contents]
    return sorted(uids.index(one) for one in studies(client, **query))


def test_nothing_is_declared_at_first(client: Client) -> None:
    assert client.get(TAGS).json() == []
    assert client.get(f"{TAGS}/00101010").status_code == 404
    assert client.delete(f"{TAGS}/00101010").status_code == 404


def test_a_declared_tag_tells_of_itself(client: Client) -> None:
    operation = declare(client, {"path": "PatientAge", "level": "Study"})
    assert operation["status"] == "succeeded"
    expected = {"path": "00101010", "vr": "AS", "level": "Study", "status": "Ready", "queryStatus": "Enabled"}
    assert client.get(TAGS).json() == [expected]
    for name in ("00101010", "PatientAge"):
        assert client.get(f"{TAGS}/{name}").json() == expected
    assert operation["resources"] == [f"http://server{TAGS}/00101010"]


def test_what_is_stored_and_what_comes_is_found(client: Client, ct: bytes) -> None:
    contents = [changed(ct, PatientAge=age) for age in ("010Y", "020Y", "010Y")]
    store(client, *contents[:2])
    declare(client, {"path": "00101010", "vr": "AS", "level": "Study"})
    store(client, contents[2])
    assert found_by(client, {"00101010": "010Y"}, contents) == [0, 2]
    assert found_by(client, {"PatientAge": "020Y"}, contents) == [1]
    assert found_by(client, {"PatientAge": "099Y"}, contents) == []
    instances = client.get("/dicom-web/instances", params={"PatientAge": "010Y"}).json()
    assert len(instances) == 2


def test_the_index_answers_and_not_the_files(
    client: Client, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [changed(ct, PatientAge=age) for age in ("010Y", "020Y")]
    store(client, *contents)
    declare(client, {"path": "PatientAge", "level": "Study"})
    monkeypatch.setattr("ithil.archive.find._matches_file", lambda *_: pytest.fail("a file was opened"))
    assert found_by(client, {"PatientAge": "010Y"}, contents) == [0]


def test_answers_show_what_the_index_has(client: Client, ct: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [with_private(changed(ct, PatientAge="010Y", ImageType=["A", "B"]), "one")]
    store(client, *contents)
    declare(
        client,
        {"path": "PatientAge", "level": "Study"},
        {"path": "ImageType", "level": "Study"},
        {"path": "00991005", "vr": "LO", "level": "Study", "privateCreator": "ITHIL TEST"},
    )
    (study,) = client.get("/dicom-web/studies?includefield=00991005,PatientAge").json()
    assert study["00991005"] == {"vr": "LO", "Value": ["one"]}
    monkeypatch.setattr(
        "ithil.archive.find_attributes.header_of", lambda *_: pytest.fail("a file was opened")
    )
    monkeypatch.setattr("ithil.archive.find.file_tags", lambda *_: pytest.fail("a file was opened"))
    (study,) = client.get("/dicom-web/studies?includefield=PatientAge&includefield=ImageType").json()
    assert study["00101010"] == {"vr": "AS", "Value": ["010Y"]}
    assert study["00080008"] == {"vr": "CS", "Value": ["A", "B"]}


def test_rest_and_dicomweb_search_alike(client: Client, ct: bytes) -> None:
    contents = [changed(ct, PatientAge=age) for age in ("010Y", "020Y")]
    ids = store(client, *contents)
    declare(client, {"path": "PatientAge", "level": "Study"})
    body = {"Level": "Study", "Query": {"PatientAge": "020Y"}}
    assert client.post("/tools/find", json=body).json() == [ids[1]]


def test_rest_searches_private_tags(client: Client, ct: bytes) -> None:
    ids = store(client, with_private(ct, "one"), with_private(ct, "two"))
    declare(client, {"path": "00991005", "vr": "LO", "level": "Study", "privateCreator": "ITHIL TEST"})
    body = {"Level": "Study", "Query": {"0099,1005": "t*"}}
    assert client.post("/tools/find", json=body).json() == [ids[1]]


def test_a_private_tag_is_found_whatever_its_block(client: Client, ct: bytes) -> None:
    contents = [
        with_private(ct, "one"),
        with_private(ct, "two", block=0x22),
        with_private(ct, "two", creator="ELSE"),
    ]
    store(client, *contents[:2])
    declare(client, {"path": "00991005", "vr": "LO", "level": "Instance", "privateCreator": "ITHIL TEST"})
    store(client, contents[2])
    assert client.get(f"{TAGS}/00991005").json()["privateCreator"] == "ITHIL TEST"
    assert found_by(client, {"00991005": "two"}, contents) == [1]
    assert found_by(client, {"00991005": "t*"}, contents) == [1]


def test_private_dates_have_ranges(client: Client, ct: bytes) -> None:
    contents = [with_private(ct, date, "DA") for date in ("20200101", "20210101", "20220101")]
    declare(client, {"path": "00991005", "vr": "DA", "level": "Study", "privateCreator": "ITHIL TEST"})
    store(client, *contents)
    assert found_by(client, {"00991005": "20200601-20211231"}, contents) == [1]
    assert found_by(client, {"00991005": "20210101-"}, contents) == [1, 2]
    assert found_by(client, {"00991005": "-20210101"}, contents) == [0, 1]


def test_numbers_are_compared_as_numbers(client: Client, ct: bytes) -> None:
    contents = [changed(ct, PatientWeight=weight) for weight in ("70", "70.50", "80")]
    store(client, *contents[:2])
    declare(client, {"path": "PatientWeight", "level": "Study"})
    store(client, contents[2])
    assert found_by(client, {"PatientWeight": "70.0"}, contents) == [0]
    assert found_by(client, {"PatientWeight": "+7.05e1"}, contents) == [1]
    assert found_by(client, {"PatientWeight": "heavy"}, contents) == []


def test_a_path_through_a_sequence(client: Client, ct: bytes) -> None:
    def others(*identifiers: str) -> list[Dataset]:
        items = []
        for identifier in identifiers:
            item = Dataset()
            item.PatientID = identifier
            items.append(item)
        return items

    contents = [changed(ct, OtherPatientIDsSequence=others(*ids)) for ids in (("A", "B"), ("C",), ())]
    store(client, *contents[:1])
    declare(client, {"path": "00101002.00100020", "level": "Study"})
    store(client, *contents[1:])
    assert found_by(client, {"00101002.00100020": "b"}, contents) == [0]
    assert found_by(client, {"OtherPatientIDsSequence.PatientID": "C"}, contents) == [1]
    assert found_by(client, {"00101002.00100020": "D"}, contents) == []


def test_a_declaration_loses_nothing_of_long_lists(client: Client, ct: bytes) -> None:
    items = []
    for number in range(100):
        item = Dataset()
        item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        item.ReferencedSOPInstanceUID = f"1.2.3.{number}"
        items.append(item)
    versions = [f"v{number}" for number in range(80)]
    contents = [changed(ct, ReferencedImageSequence=items, SoftwareVersions=versions), changed(ct)]
    store(client, *contents)
    declare(
        client,
        {"path": "00081140.00081155", "level": "Instance"},
        {"path": "SoftwareVersions", "level": "Instance"},
    )
    reference = {"ReferencedImageSequence.ReferencedSOPInstanceUID": "1.2.3.90"}
    for query in (reference, {"SoftwareVersions": "v70"}):
        assert found_by(client, query, contents) == [0]
        assert len(client.get("/dicom-web/instances", params=query).json()) == 1


def test_several_values_are_found_by_each(client: Client, ct: bytes) -> None:
    contents = [changed(ct, ImageType=["ORIGINAL", "PRIMARY", kind]) for kind in ("AXIAL", "LOCALIZER")]
    store(client, *contents)
    declare(client, {"path": "ImageType", "level": "Instance"})
    assert found_by(client, {"ImageType": "LOCALIZER"}, contents) == [1]
    assert found_by(client, {"ImageType": "PRIMARY"}, contents) == [0, 1]


def test_values_go_with_what_has_them(client: Client, ct: bytes) -> None:
    contents = [changed(ct, PatientAge="010Y"), changed(ct, PatientAge="010Y")]
    ids = store(client, *contents)
    declare(client, {"path": "PatientAge", "level": "Study"})
    client.delete(f"/studies/{ids[0]}")
    assert found_by(client, {"PatientAge": "010Y"}, contents) == [1]
    store(client, contents[0])
    assert found_by(client, {"PatientAge": "010Y"}, contents) == [0, 1]


def test_a_study_keeps_the_value_of_the_first_instance_that_has_one(client: Client, ct: bytes) -> None:
    first = changed(ct, PatientAge="")
    others = []
    for age in ("010Y", "020Y"):
        dataset = pydicom.dcmread(BytesIO(first))
        dataset.SOPInstanceUID = generate_uid()
        dataset.PatientAge = age
        written = BytesIO()
        dataset.save_as(written)
        others.append(written.getvalue())
    declare(client, {"path": "PatientAge", "level": "Study"})
    store(client, first, *others)
    assert found_by(client, {"PatientAge": "010Y"}, [first]) == [0]
    assert found_by(client, {"PatientAge": "020Y"}, [first]) == []


def test_unfit_values_are_told(client: Client, ct: bytes) -> None:
    good, bad = changed(ct, PatientAge="010Y"), changed(ct, PatientAge="old")
    store(client, bad)
    declare(client, {"path": "PatientAge", "level": "Study"})
    store(client, good)
    shown = client.get(f"{TAGS}/PatientAge").json()
    assert shown["errors"]["count"] == 1
    (error,) = client.get(shown["errors"]["href"]).json()
    assert error["studyInstanceUid"] == uid(bad)
    assert "AS" in error["errorMessage"]
    assert "old" not in error["errorMessage"]
    assert client.get(f"{TAGS}/PatientAge/errors?offset=1").json() == []


def test_a_tag_that_is_taken_back_can_be_declared_anew(client: Client, ct: bytes) -> None:
    contents = [changed(ct, PatientAge="010Y")]
    store(client, *contents)
    for level in ("Study", "Instance"):
        declare(client, {"path": "PatientAge", "level": level})
        assert found_by(client, {"PatientAge": "010Y"}, contents) == [0]
        assert client.delete(f"{TAGS}/PatientAge").status_code == 204
        assert client.get(f"{TAGS}/PatientAge").status_code == 404
    assert found_by(client, {"PatientAge": "010Y"}, contents) == [0]  # in the files, as before


def test_what_is_declared_twice_is_refused(client: Client) -> None:
    declare(client, {"path": "PatientAge", "level": "Study"})
    answer = client.post(
        TAGS, json=[{"path": "PatientWeight", "level": "Study"}, {"path": "00101010", "level": "Study"}]
    )
    assert answer.status_code == 409
    assert len(client.get(TAGS).json()) == 1


def test_lists_come_in_pages(client: Client) -> None:
    declare(client, {"path": "PatientAge", "level": "Study"}, {"path": "PatientWeight", "level": "Study"})
    assert [tag["path"] for tag in client.get(f"{TAGS}?limit=1").json()] == ["00101010"]
    assert [tag["path"] for tag in client.get(f"{TAGS}?limit=1&offset=1").json()] == ["00101030"]


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        ({"path": "PatientName", "level": "Study"}, 409),
        ({"path": "ModalitiesInStudy", "level": "Study"}, 409),
        ({"path": "PatientAge", "level": "Patient"}, 400),
        ({"path": "PatientAge"}, 400),
        ({"path": "Nonsense", "level": "Study"}, 400),
        ({"path": "00101010", "vr": "LO", "level": "Study"}, 400),
        ({"path": "00101010.00101010", "level": "Study"}, 400),
        ({"path": "00101002", "level": "Study"}, 400),
        ({"path": "7FE00010", "level": "Instance"}, 400),
        ({"path": "00020010", "level": "Instance"}, 400),
        ({"path": "00991005", "vr": "LO", "level": "Study"}, 400),
        ({"path": "00991005", "privateCreator": "X", "level": "Study"}, 400),
        ({"path": "00101010", "privateCreator": "X", "level": "Study"}, 400),
        ({"path": ".".join(["00101002"] * 9), "level": "Study"}, 400),
        ({"path": 7, "level": "Study"}, 400),
        ({"path": "00101010", "level": "Study", "colour": "red"}, 400),
    ],
)
def test_what_makes_no_sense_is_refused(client: Client, tag: dict[str, Any], status: int) -> None:
    answer = client.post(TAGS, json=[tag])
    assert answer.status_code == status, answer.text
    assert answer.json()["Details"]
    assert client.get(TAGS).json() == []


@pytest.mark.parametrize("body", ["", "[]", "7", '["00101010"]', "{", '[{"path": "x"'])
def test_a_body_that_is_no_list_of_tags_is_refused(client: Client, body: str) -> None:
    assert client.post(TAGS, content=body).status_code == 400


def test_an_operation_that_nobody_began_is_unknown(client: Client, ct: bytes) -> None:
    store(client, ct)
    assert client.get("/dicom-web/operations/nothing").status_code == 404
    job = client.post(f"/studies/{CT_STUDY}/archive", json={"Asynchronous": True}).json()["ID"]
    assert client.get(f"/dicom-web/operations/{job}").status_code == 404
