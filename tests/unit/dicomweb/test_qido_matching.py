"""What matches in QIDO-RS: every kind of matching of PS3.18 8.3.4 and PS3.4 C.2.2.2."""

from __future__ import annotations

import pytest
from tests.unit.application import Client, MakeClient, read
from tests.unit.dicomweb.searching import ROOT, little_hospital, names, search, store, values

BOTH, ANNA, BERT, NOBODY = ["Meyer^Anna", "Müller^Bert"], ["Meyer^Anna"], ["Müller^Bert"], list[str]()


@pytest.fixture
def hospital(client: Client) -> Client:
    little_hospital(client)
    return client


@pytest.mark.parametrize(
    ("query", "found"),
    [
        # Single value
        ("PatientID=A1", ANNA),
        ("00100020=A1", ANNA),
        ("0010,0020=A1", ANNA),
        ("PatientID=a1", ANNA),
        ("PatientName=meyer%5Eanna", ANNA),
        ("PatientName=MULLER^BERT", BERT),
        ("PatientName=Meyer", NOBODY),
        ("StudyDate=20200110", ANNA),
        ("NumberOfStudyRelatedInstances=3", ANNA),
        ("AccessionNumber=ACC1&PatientID=b2", NOBODY),
        # Universal
        ("PatientID=", BOTH),
        ("PatientID", BOTH),
        ("PatientName=*", BOTH),
        ("StudyInstanceUID=*", BOTH),
        ("StudyDate=*&NumberOfStudyRelatedSeries=*", BOTH),
        # Lists
        ("StudyInstanceUID=1.2.3.1,1.2.3.2", BOTH),
        ("StudyInstanceUID=1.2.3.1%5C1.2.3.2", BOTH),
        ("StudyInstanceUID=1.2.3.2,9.9", BERT),
        ("StudyInstanceUID=1.2.3.1&StudyInstanceUID=1.2.3.2", BOTH),
        ("ModalitiesInStudy=MR,SR", BOTH),
        ("PatientID=A1,b2", BOTH),
        ("StudyDate=20200110,20210305", BOTH),
        # Wildcards
        ("PatientName=M*", BOTH),
        ("PatientName=*ber*", BERT),
        ("PatientName=Me?er^*", ANNA),
        ("PatientName=m%FCller*", NOBODY),  # no UTF-8
        ("PatientName=m%C3%BCller*", BERT),
        ("AccessionNumber=*", ANNA),
        # Ranges
        ("StudyDate=20200101-20201231", ANNA),
        ("StudyDate=20210101-", BERT),
        ("StudyDate=-20201231", ANNA),
        ("StudyDate=-", BOTH),
        ("StudyDate=20200110-20200110&StudyTime=1000-1100", ANNA),
        # Of other levels
        ("Modality=SR", ANNA),
        ("ModalitiesInStudy=CT", ANNA),
        ("ModalitiesInStudy=M*", BERT),
        ("SeriesDescription=Axial", ANNA),
        ("SOPClassesInStudy=1.2.840.10008.5.1.4.1.1.7", BOTH),
        ("InstanceAvailability=ONLINE", BOTH),
        # What says nothing about resources
        ("SpecificCharacterSet=ISO_IR%20100&QueryRetrieveLevel=STUDY&TimezoneOffsetFromUTC=%2B0100", BOTH),
    ],
)
def test_studies(hospital: Client, query: str, found: list[str]) -> None:
    assert names(hospital, f"/studies?{query}") == found


def test_a_comma_in_a_text_is_a_comma_too(client: Client) -> None:
    for number, text in enumerate(("Chest, PA", "Chest", "Knee")):
        store(client, StudyInstanceUID=f"1.{number}", StudyDescription=text)
    found = search(client, "/studies?StudyDescription=Chest,%20PA")
    assert set(values(found, "00081030")) == {"Chest, PA", "Chest"}
    assert values(search(client, "/studies?StudyDescription=*,%20PA"), "00081030") == ["Chest, PA"]


def test_series_and_instances(hospital: Client) -> None:
    assert values(search(hospital, "/studies/1.2.3.1/series?Modality=CT"), "00200011") == [2]
    assert values(search(hospital, "/series?PatientID=A1&SeriesNumber=1"), "00080060") == ["SR"]
    assert values(search(hospital, "/instances?StudyDate=2021-&Modality=MR"), "00100020") == ["b2"]
    assert len(search(hospital, "/instances?SOPClassUID=1.2.840.10008.5.1.4.1.1.7")) == 4
    assert values(search(hospital, "/studies/1.2.3.1/instances?InstanceNumber=9"), "00200013") == [9]


def test_matched_attributes_are_shown(hospital: Client) -> None:
    (found,) = search(hospital, "/studies?SeriesDescription=Axial&InstitutionName=&PatientID=A1")
    assert found["00100020"]["Value"] == ["A1"]


def test_case_counts_if_the_operator_says_so(make_client: MakeClient) -> None:
    from ithil.settings.dicomweb_options import DicomWeb

    client = make_client(dicom_web=DicomWeb(qido_case_sensitive=True))
    little_hospital(client)
    assert names(client, "/studies?PatientID=a1") == NOBODY
    assert names(client, "/studies?PatientName=meyer*") == NOBODY
    assert names(client, "/studies?PatientName=Meyer*") == ANNA
    assert names(client, "/studies?ModalitiesInStudy=ct") == NOBODY


# -- sequences -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("BeamSequence.BeamNumber=1", 1),
        ("300A00B0.300A00C0=1", 1),
        ("300A00B0.BeamName=field%201", 1),
        ("BeamSequence.BeamName=F*&BeamSequence.BeamType=STATIC", 1),
        ("BeamSequence.BeamName=F*&BeamSequence.BeamType=DYNAMIC", 0),
        ("BeamSequence.ControlPointSequence.ControlPointIndex=1", 1),
        ("BeamSequence.ControlPointSequence.ControlPointIndex=7", 0),
        ("OtherPatientIDsSequence.PatientID=1234abcd", 1),
        ("OtherPatientIDsSequence.PatientID=", 2),
        ("PatientName.PatientID=1", 2),  # no sequence, so passed over
    ],
)
def test_sequences(client: Client, query: str, count: int) -> None:
    for name in ("CT_small.dcm", "rtplan.dcm"):
        client.post("/instances", content=read(name))
    for path in ("/studies", "/series", "/instances"):
        assert len(search(client, f"{path}?{query}")) == count


def test_keys_of_one_sequence_are_those_of_one_item(client: Client) -> None:
    client.post("/instances", content=read("CT_small.dcm"))
    pair = "/instances?OtherPatientIDsSequence.PatientID={}&OtherPatientIDsSequence.TypeOfPatientID={}"
    assert len(search(client, pair.format("1234ABCD", "TEXT"))) == 1
    assert len(search(client, pair.format("1234ABCD", "RFID"))) == 0


def test_private_attributes_are_found_in_files(client: Client) -> None:
    client.post("/instances", content=read("CT_small.dcm"))
    assert len(search(client, "/instances?00091001=GE_GENESIS*")) == 1
    assert len(search(client, "/instances?00091001=nothing")) == 0


def test_nothing_is_found_in_files_that_may_not_be_opened(make_client: MakeClient) -> None:
    client = make_client(storage_access_on_find="Never")
    client.post("/instances", content=read("CT_small.dcm"))
    assert search(client, "/instances?OtherPatientIDsSequence.PatientID=1234ABCD") == []


# -- fuzzy ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("meier", ANNA),
        ("meier anna", ANNA),
        ("anna meyer", ANNA),
        ("Anna,Meyer", ANNA),
        ("mueller", BERT),
        ("miller", BERT),
        ("bert muller", BERT),
        ("Be", BERT),
        ("*mey*", ANNA),
        ("mayer bert", NOBODY),
        ("xyz", NOBODY),
        ("*", BOTH),
        ("", BOTH),
    ],
)
def test_fuzzy_names(hospital: Client, asked: str, found: list[str]) -> None:
    assert names(hospital, f"/studies?fuzzymatching=true&PatientName={asked}") == found
    assert names(hospital, f"/series?fuzzymatching=true&00100010={asked}&Modality=CT,MR") == found


def test_fuzzy_is_for_names_and_only_when_asked_for(hospital: Client) -> None:
    assert names(hospital, "/studies?PatientName=meier&fuzzymatching=false") == NOBODY
    assert names(hospital, "/studies?StudyDescription=Haed&fuzzymatching=true") == NOBODY
    assert hospital.get(f"{ROOT}/studies?fuzzymatching=TRUE&PatientName=meier").json()
