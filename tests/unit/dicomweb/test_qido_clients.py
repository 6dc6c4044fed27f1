"""The searches that viewers really send, each as they write it, and what they read in the answers."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.application import Client
from tests.unit.dicomweb.searching import ROOT, SERIES, STUDY, little_hospital, search, store, values

OHIF_STUDIES = "limit=101&offset=0&fuzzymatching=false&includefield=00081030,00080060,00080090,00100030"
OHIF_READS = (
    "0020000D",
    "00080020",
    "00080030",
    "00080050",
    "00100020",
    "00100010",
    "00201208",
    "00080061",
    "00081030",
)


@pytest.fixture
def hospital(client: Client) -> Client:
    little_hospital(client)
    return client


@pytest.mark.parametrize(
    "filters",
    [
        "PatientName=*meyer*",
        "00100020=A1",
        "PatientName=*mey*&00100020=*a1*&AccessionNumber=*acc*&StudyDescription=*hea*&ModalitiesInStudy=CT",
        "StudyDate=20200101-20201231",
        "StudyInstanceUID=1.2.3.1%5C1.2.3.9",
        "StudyInstanceUID=1.2.3.1\\1.2.3.9",
        "StudyInstanceUID=1.2.3.1,1.2.3.9",
    ],
)
def test_ohif_study_list(hospital: Client, filters: str) -> None:
    (found,) = search(hospital, f"/studies?{filters}&{OHIF_STUDIES}")
    assert values([found], "0020000D") == [STUDY]
    assert all(found[tag].get("Value") for tag in OHIF_READS)
    assert "00080060" in found
    assert "00080090" in found


def test_ohif_fuzzy_study_list(hospital: Client) -> None:
    path = "/studies?PatientName=*meier*&limit=101&offset=0&fuzzymatching=true&includefield=00081030,00080060"
    assert values(search(hospital, path), "0020000D") == [STUDY]


def test_ohif_series(hospital: Client) -> None:
    found = search(hospital, f"/studies/{STUDY}/series?includefield=0008103E,00080021")
    assert values(found, "0020000E")[1] == SERIES
    assert values(found, "00080060") == ["SR", "CT"]
    assert values(found, "00200011") == [1, 2]
    assert values(found, "00201209") == [1, 2]
    assert values(found, "0008103E") == [None, "Axial"]
    (one,) = search(hospital, f"/studies/{STUDY}/series?SeriesInstanceUID={SERIES}")
    assert one["0020000E"]["Value"] == [SERIES]
    assert len(search(hospital, f"/series?SeriesInstanceUID={SERIES}")) == 1


def test_ohif_thumbnails_fall_back_on_one_instance(hospital: Client) -> None:
    path = f"/studies/{STUDY}/series/{SERIES}/instances?limit=1&includefield=00080018"
    (found,) = search(hospital, path)
    assert found["00080018"]["Value"]


def test_ohif_accept_of_frames_is_sent_to_searches_too(hospital: Client) -> None:
    accept = 'application/dicom+json, multipart/related; type="application/octet-stream"; transfer-syntax="*"'
    for header in (accept, ", ".join(reversed(accept.split(", ")))):
        assert search(hospital, "/studies", headers={"Accept": header})


WEASIS_STUDIES = (
    "includefield=00080020,00080030,00080050,00080061,00080090,00081030,00100010,00100020,00100021,"
    "00100030,00100040,0020000D,00200010"
)


@pytest.mark.parametrize("split", [False, True])
def test_weasis(hospital: Client, split: bool) -> None:
    def fields(text: str) -> str:
        return text.replace(",", "&includefield=") if split else text

    (study,) = search(hospital, fields(f"/studies?PatientID=A1&{WEASIS_STUDIES}"))
    assert study["00080061"]["Value"] == ["CT", "SR"]
    wanted = "includefield=0008103E,00080060,0020000E,00200011,00081190"
    found = search(hospital, fields(f"/studies/{STUDY}/series?{wanted}"))
    link = found[1]["00081190"]["Value"][0]
    assert link == f"http://server{ROOT}/studies/{STUDY}/series/{SERIES}"
    wanted = "includefield=00080018,00200013,00081190"
    path = link.removeprefix(f"http://server{ROOT}") + "/instances"
    instances = search(hospital, fields(f"{path}?{wanted}"))
    assert [one["00081190"]["Value"][0].rpartition("/")[0] for one in instances] == [f"{link}/instances"] * 2
    paged = search(hospital, fields(f"{path}?includefield=00080016,00080018,00200013&offset=1&limit=1000"))
    assert values(paged, "00200013") == [10]
    middle = search(hospital, f"{path}?limit=1&offset=1")
    assert values(middle, "00200013") == [10]


def test_slicer_and_dicomweb_client(hospital: Client) -> None:
    accept = {"Accept": "application/dicom+json, application/json"}
    studies = search(hospital, "/studies?limit=100&fuzzymatching=true&PatientName=M*", headers=accept)
    assert len(studies) == 2
    series = search(hospital, f"/series?StudyInstanceUID={STUDY}", headers=accept)
    assert values(series, "00200011") == [1, 2]
    everything: list[dict[str, Any]] = search(hospital, "/instances?includefield=all&limit=2", headers=accept)
    assert len(everything) == 2


def test_ohif_breaks_on_modalities_without_a_value(client: Client) -> None:
    store(client, StudyInstanceUID="1.2.3.7", SeriesInstanceUID="1.2.3.7.1", PatientID="none")
    (found,) = search(client, f"/studies?{OHIF_STUDIES}")
    assert "00080061" not in found
    assert found["00080050"] == {"vr": "SH"}  # the others are there, as PS3.18 10.6.3.3 wants them
