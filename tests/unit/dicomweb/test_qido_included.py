"""`includefield`: what results show beside the usual attributes."""

from __future__ import annotations

import pytest
from tests.unit.application import Client, read
from tests.unit.dicomweb.searching import ROOT, little_hospital, search

CT = "?PatientID=1CT1"


@pytest.fixture
def real(client: Client) -> Client:
    for name in ("CT_small.dcm", "rtplan.dcm"):
        client.post("/instances", content=read(name))
    return client


@pytest.mark.parametrize(
    "query",
    ["includefield=00101010,00080070", "includefield=PatientAge,Manufacturer"]
    + ["includefield=PatientAge&includefield=00080070", "includefield=PatientAge,,%20Manufacturer"]
    + ["PatientAge=*&Manufacturer=GE*", "00101010=&00080070="],
)
def test_named_attributes(real: Client, query: str) -> None:
    (found,) = search(real, f"/series{CT}&{query}")
    assert found["00101010"] == {"vr": "AS", "Value": ["000Y"]}
    assert found["00080070"]["Value"] == ["GE MEDICAL SYSTEMS"]
    assert list(found) == sorted(found)


def test_private_attributes(real: Client) -> None:
    (found,) = search(real, f"/instances{CT}&includefield=00091001,00191002")
    assert found["00091001"]["Value"] == ["GE_GENESIS_FF"]
    assert found["00090010"]["Value"] == ["GEMS_IDEN_01"]
    assert found["00191002"] == {"vr": "SL", "Value": [912]}


def test_sequences(real: Client) -> None:
    (found,) = search(real, f"/studies{CT}&includefield=OtherPatientIDsSequence")
    ids = [item["00100020"]["Value"] for item in found["00101002"]["Value"]]
    assert ids == [["ABCD1234"], ["1234ABCD"]]
    (by_path,) = search(real, f"/studies{CT}&includefield=00101002.00100020")
    assert by_path == found


def test_everything(real: Client) -> None:
    (study,) = search(real, f"/studies{CT}&includefield=all")
    assert study["00101002"]["Value"]
    assert study["00080080"]["Value"] == ["JFK IMAGING CENTER"]
    assert "00080060" not in study  # of a series
    (series,) = search(real, f"/series{CT}&includefield=all")
    assert series["00185100"]["Value"] == ["FFS"]
    assert "00200013" not in series
    (one,) = search(real, f"/instances{CT}&includefield=all")
    assert one["00200032"]["Value"] == [-158.135803, -179.035797, -75.699997]
    assert one["00080005"]["Value"] == ["ISO_IR 192"]
    assert "7FE00010" not in one


def test_counts_and_what_studies_collect(real: Client) -> None:
    names = "NumberOfPatientRelatedStudies,NumberOfPatientRelatedSeries,NumberOfPatientRelatedInstances"
    (found,) = search(real, f"/studies{CT}&includefield={names},SOPClassesInStudy")
    assert [found[f"002012{end}"]["Value"] for end in ("00", "02", "04")] == [[1], [1], [1]]
    assert found["00080062"]["Value"] == ["1.2.840.10008.5.1.4.1.1.2"]


def test_a_study_shows_the_modality_of_a_series(client: Client) -> None:
    little_hospital(client)
    # The study list of OHIF asks for it.
    found = search(client, "/studies?includefield=00080060&PatientID=A1")
    assert found[0]["00080060"]["Value"] == ["CT"]


def test_a_lost_file_hides_no_result(real: Client) -> None:
    archive = real.app.context.archive
    for file in archive.settings.storage_directory.glob("*/*/*"):
        file.unlink()
    with archive.index.read() as session:
        uuids = [row[0] for row in session.cursor.execute("SELECT file_uuid FROM instances").fetchall()]
    for uuid in uuids:
        archive.cache.drop(uuid)
    assert len(search(real, "/instances?includefield=all")) == 2


def test_texts_in_any_script(client: Client) -> None:
    from tests.data.real import content_of

    for name in ("charset/chrH31.dcm", "charset/chrRuss.dcm", "charset/chrArab.dcm"):
        client.post("/instances", content=content_of(name))
    found = client.get(f"{ROOT}/studies").json()
    groups = [one["00100010"]["Value"][0] for one in found]
    assert {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"} in groups
    assert any(group["Alphabetic"].startswith("Люк") for group in groups)
