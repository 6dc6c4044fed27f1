"""QIDO-RS: what is found at which place, what results show, in what order, and which part of them."""

from __future__ import annotations

import pytest
from tests.unit.application import Client, MakeClient
from tests.unit.dicomweb.searching import (
    INSTANCE,
    ROOT,
    SERIES,
    STUDY,
    little_hospital,
    search,
    store,
    values,
)

ROOT_URL = "http://server/dicom-web"


@pytest.fixture
def hospital(client: Client) -> Client:
    little_hospital(client)
    return client


def test_study_attributes(hospital: Client) -> None:
    (found,) = search(hospital, "/studies?AccessionNumber=ACC1")
    shown = {tag: one.get("Value") for tag, one in found.items()}
    assert shown == {
        "00080005": ["ISO_IR 192"],
        "00080020": ["20200110"],
        "00080030": ["101500"],
        "00080050": ["ACC1"],
        "00080056": ["ONLINE"],
        "00080061": ["CT", "SR"],
        "00080090": None,
        "00081030": ["Head"],
        "00081190": [f"{ROOT_URL}/studies/{STUDY}"],
        "00100010": [{"Alphabetic": "Meyer^Anna"}],
        "00100020": ["A1"],
        "00100030": ["19700203"],
        "00100040": ["F"],
        "0020000D": [STUDY],
        "00200010": ["7"],
        "00201206": [2],
        "00201208": [3],
    }
    assert list(found) == sorted(found)
    assert found["00100010"]["vr"] == "PN"
    assert found["00201206"]["vr"] == "IS"


def test_series_of_a_study_come_by_their_number(hospital: Client) -> None:
    found = search(hospital, f"/studies/{STUDY}/series")
    assert values(found, "00200011") == [1, 2]
    assert values(found, "00080060") == ["SR", "CT"]
    assert values(found, "00201209") == [1, 2]
    assert values(found, "0020000D") == [STUDY, STUDY]
    assert values(found, "00081190")[1] == f"{ROOT_URL}/studies/{STUDY}/series/{SERIES}"
    assert "00100010" not in found[0]  # the path names the study


def test_series_of_all_studies_show_their_study(hospital: Client) -> None:
    (found,) = search(hospital, "/series?Modality=MR")
    assert found["00100010"]["Value"] == [{"Alphabetic": "Müller^Bert"}]
    assert found["00080020"]["Value"] == ["20210305"]
    assert found["00201206"]["Value"] == [1]
    assert found["00080061"]["Value"] == ["MR"]


def test_instances_of_a_series_come_by_their_number(hospital: Client) -> None:
    found = search(hospital, f"/studies/{STUDY}/series/{SERIES}/instances")
    assert values(found, "00200013") == [9, 10]
    assert values(found, "00080018")[1] == INSTANCE
    assert values(found, "0020000E") == [SERIES, SERIES]
    assert values(found, "00080016") == ["1.2.840.10008.5.1.4.1.1.7"] * 2
    assert values(found, "00081190")[1] == f"{ROOT_URL}/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}"
    assert "00080060" not in found[0]


def test_instances_of_a_study_come_by_series_and_number(hospital: Client) -> None:
    found = search(hospital, f"/studies/{STUDY}/instances")
    assert values(found, "00200011") == [1, 2, 2]
    assert values(found, "00200013") == [1, 9, 10]


def test_instances_of_the_archive_show_all_levels(hospital: Client) -> None:
    found = search(hospital, "/instances")
    assert len(found) == 4
    assert set(values(found, "00080060")) == {"CT", "SR", "MR"}
    assert None not in values(found, "00100020")
    assert None not in values(found, "00201208")


def test_image_attributes_come_from_the_file(client: Client, ct: bytes) -> None:
    client.post("/instances", content=ct)
    (found,) = search(client, "/instances")
    assert [found[tag]["Value"] for tag in ("00280010", "00280011", "00280100")] == [[128], [128], [16]]
    assert found["00083002"]["Value"] == ["1.2.840.10008.1.2.1"]


def test_files_stay_closed_where_the_operator_says_so(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(storage_access_on_find="Never")
    client.post("/instances", content=ct)
    (found,) = search(client, "/instances?includefield=Manufacturer,PatientAge")
    assert "00280010" not in found
    assert "00101010" not in found
    assert found["00080070"]["Value"] == ["GE MEDICAL SYSTEMS"]


def test_a_study_that_is_not_there_has_no_series(hospital: Client) -> None:
    assert search(hospital, "/studies/1.9/series") == []
    assert search(hospital, f"/studies/{STUDY}/series/1.9/instances") == []


def test_nothing_found_is_an_empty_list(hospital: Client) -> None:
    answer = hospital.get(f"{ROOT}/studies?PatientID=nobody")
    assert (answer.status_code, answer.content) == (200, b"[]")


def test_studies_come_with_the_latest_first(client: Client) -> None:
    for number, date in enumerate(("20200101", "", "20210101", "20200101")):
        store(client, StudyInstanceUID=f"1.{number}", StudyDate=date, PatientID=str(number))
    assert values(search(client, "/studies"), "00100020") == ["2", "3", "0", "1"]


def test_pages_make_the_whole(client: Client) -> None:
    for number in range(7):
        store(client, StudyInstanceUID=f"1.{number}", StudyDate="20200101", PatientID=str(number))
    whole = values(search(client, "/studies"), "0020000D")
    pages = [
        values(search(client, f"/studies?limit=3&offset={offset}"), "0020000D") for offset in (0, 3, 6, 9)
    ]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert [uid for page in pages for uid in page] == whole
    whole = values(search(client, "/instances"), "00080018")
    paged = values(search(client, "/instances?offset=2&limit=2"), "00080018")
    assert paged == whole[2:4]
    assert len(search(client, "/studies?limit=0")) == 7  # Orthanc's clients ask so for all


def test_limit_of_the_server(make_client: MakeClient) -> None:
    client = make_client(limit_find_results=2, limit_find_instances=3)
    for number in range(4):
        store(client, StudyInstanceUID=f"1.{number}", PatientID=str(number))
    for path, most in (("/studies", 2), ("/series?limit=3", 2), ("/instances", 3)):
        answer = client.get(ROOT + path)
        assert len(answer.json()) == most
        assert answer.headers["warning"].startswith(f"299 {ROOT_URL}: ")
        assert "exceeded the maximum" in answer.headers["warning"]
    for path in ("/studies?limit=2", "/studies?offset=2", "/instances?PatientID=1"):
        answer = client.get(ROOT + path)
        assert answer.json()
        assert "warning" not in answer.headers


def test_more_than_a_batch_is_streamed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from ithil.archive import find

    monkeypatch.setattr(find, "BATCH", 3)
    for number in range(8):
        store(client, StudyInstanceUID=f"1.{number}", PatientID=str(number), StudyDate=f"2020010{number + 1}")
    for path in ("/studies", "/studies?PatientID=*", "/studies?limit=6", "/studies?limit=3", "/instances"):
        answer = client.get(ROOT + path)
        expected = int(path[-1]) if "limit" in path else 8
        assert len({one["0020000D"]["Value"][0] for one in answer.json()}) == expected
    lines = client.get(f"{ROOT}/studies", headers={"Accept": "text/csv"}).text.splitlines()
    assert len(lines) == 9


@pytest.mark.parametrize(
    "query",
    ["limit=a", "limit=-1", "offset=1.5", "limit=" + "9" * 30, "fuzzymatching=perhaps", "StudyDate=2020*"]
    + ["StudyDate=2020-01-10", "StudyTime=10-11,12-13"]
    + ["RequestAttributesSequence=1", "&".join(f"0010{n:04X}=1" for n in range(1, 130))]
    + [".".join(["00400275"] * 30) + "=1", "includefield=" + ",".join(f"0010{n:04X}" for n in range(1100))],
)
def test_bad_questions(hospital: Client, query: str) -> None:
    answer = hospital.get(f"{ROOT}/studies?{query}")
    assert answer.status_code == 400
    assert answer.json()["Details"]


def test_what_is_unknown_is_passed_over_with_a_warning(hospital: Client) -> None:
    answer = hospital.get(f"{ROOT}/studies?PatientNmae=X&includefield=Nonsense,PatientAge")
    assert len(answer.json()) == 2
    assert "PatientNmae" in answer.headers["warning"]
    assert "Nonsense" in answer.headers["warning"]
    answer = hospital.get(f"{ROOT}/studies?%22%0d%0aX-Evil:%201=2")
    assert answer.status_code == 200
    assert "Evil" not in answer.headers["warning"]


def test_many_unknown_names_make_a_short_warning(hospital: Client) -> None:
    names = [f"Unknown{number}" for number in range(900)]
    for query in ("&".join(f"{name}=1" for name in names), "includefield=" + ",".join(names)):
        answer = hospital.get(f"{ROOT}/studies?{query}")
        assert len(answer.json()) == 2
        warning = answer.headers["warning"]
        assert len(warning) < 1000
        assert "Unknown0" in warning
        assert "900" in warning
    answer = hospital.get(f"{ROOT}/studies?includefield=" + ",".join(["zz"] * 20_000))
    assert answer.status_code == 400
    assert "warning" not in answer.headers


def test_links_are_those_that_clients_see(hospital: Client) -> None:
    behind = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "pacs.example.org"}
    (found,) = search(hospital, "/studies?PatientID=A1", headers=behind)
    assert found["00081190"]["Value"] == [f"https://pacs.example.org/dicom-web/studies/{STUDY}"]
    (found,) = search(hospital, "/studies?PatientID=A1")
    assert found["00081190"]["Value"] == [f"{ROOT_URL}/studies/{STUDY}"]


def test_answers_follow_what_is_stored(hospital: Client) -> None:
    assert len(search(hospital, "/studies")) == 2
    store(hospital, StudyInstanceUID="1.2.3.9", PatientID="new")
    assert len(search(hospital, "/studies")) == 3
