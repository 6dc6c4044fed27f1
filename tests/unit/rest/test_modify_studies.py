"""Edits of many resources over HTTP: in bulk, split and merged."""

from __future__ import annotations

import io
from typing import Any

import pydicom
from tests.unit.application import CT_INSTANCE, CT_PATIENT, CT_SERIES, CT_STUDY, Client
from tests.unit.rest.edits import KEEP_ALL, counts, done, files, post, refused, study_of, upload

from ithil import error_codes as codes

# -- many resources ------------------------------------------------------------------------------------------


def test_sources_are_not_lost_that_would_become_one_instance(client: Client, ct: bytes) -> None:
    """The same study came for two patients, with other content: to bring both to a third would lose one."""
    made = []
    for patient in ("A", "B"):
        dataset = pydicom.dcmread(io.BytesIO(ct))
        dataset.PatientID = dataset.StudyDescription = patient
        buffer = io.BytesIO()
        dataset.save_as(buffer)
        made.append(upload(client, buffer.getvalue()))
    body = {"Resources": [each["ParentStudy"] for each in made], "Level": "Patient", "KeepSource": False}
    answer = post(client, "/tools/bulk-modify", **body, Replace={"PatientID": "C"}, Keep=KEEP_ALL, Force=True)
    assert answer.json()["OrthancStatus"] == codes.CANNOT_STORE_INSTANCE
    assert sorted(client.get("/instances").json()) == sorted(each["ID"] for each in made)


def test_bulk_modification(client: Client) -> None:
    first, second = study_of(client, series=1, patient=0), study_of(client, series=1, patient=1)
    instance = client.get(f"/studies/{second}/instances?expand=false").json()[0]
    content = done(
        client, "/tools/bulk-modify", Resources=[first, instance, first], Replace={"InstanceNumber": "9"}
    )
    assert content["InstancesCount"] == 4
    made = [each["ID"] for each in content["Resources"] if each["Type"] == "Instance"]
    assert len(made) == 4
    assert [each["Type"] for each in content["Resources"]][4:] == ["Series"] * 2 + ["Study"] * 2 + [
        "Patient"
    ] * 2
    assert counts(client) == (2, 2, 2, 10)
    assert {client.get(f"/instances/{each}").json()["MainDicomTags"]["InstanceNumber"] for each in made} == {
        "9"
    }
    higher = done(client, "/tools/bulk-modify", Resources=[first], Level="Study")
    assert [each["Type"] for each in higher["Resources"]].count("Study") == 1
    assert counts(client)[1] == 3


def test_bulk_anonymisation_is_one_job(client: Client) -> None:
    first = study_of(client, series=1, patient=0)
    series = client.get(f"/studies/{first}/series?expand=false").json()
    content = done(client, "/tools/bulk-anonymize", Resources=[first, *series, study_of(client, patient=1)])
    assert content["IsAnonymization"] is True
    assert content["InstancesCount"] == 9
    patients = [each["ID"] for each in content["Resources"] if each["Type"] == "Patient"]
    assert len(patients) == 2
    names = {client.get(f"/patients/{each}").json()["MainDicomTags"]["PatientName"] for each in patients}
    assert names == {"Anonymized1"}


def test_bulk_requests_that_are_refused(client: Client, ct: bytes) -> None:
    upload(client, ct)
    for path in ("/tools/bulk-modify", "/tools/bulk-anonymize"):
        refused(client, path, 400, codes.BAD_FILE_FORMAT)
        refused(client, path, 400, codes.BAD_FILE_FORMAT, Resources="x")
        refused(client, path, 400, codes.BAD_FILE_FORMAT, Resources=[5])
        refused(client, path, 404, codes.UNKNOWN_RESOURCE, Resources=[CT_STUDY, "nope"])
        assert done(client, path, Resources=[])["Resources"] == []
    levels: list[Any] = ["nope", 5, []]
    for level in levels:
        refused(
            client, "/tools/bulk-modify", 400, codes.PARAMETER_OUT_OF_RANGE, Resources=[CT_STUDY], Level=level
        )


# -- split and merge -----------------------------------------------------------------------------------------


def test_a_study_is_split(client: Client) -> None:
    study = study_of(client)
    first, second = client.get(f"/studies/{study}/series?expand=false").json()
    one = client.get(f"/series/{second}/instances?expand=false").json()[0]
    content = done(
        client,
        f"/studies/{study}/split",
        Series=[first],
        Instances=[one],
        Replace={"StudyDescription": "half", "PatientName": "Split^Off"},
        Remove=["AccessionNumber"],
    )
    assert content["InstancesCount"] == 4
    made = client.get(f"/studies/{content['TargetStudy']}").json()
    assert made["MainDicomTags"]["StudyInstanceUID"] == content["TargetStudyUID"]
    assert made["MainDicomTags"]["StudyDescription"] == "half"
    assert "AccessionNumber" not in made["MainDicomTags"]
    assert made["PatientMainDicomTags"]["PatientName"] == "Split^Off"
    assert len(made["Series"]) == 2
    assert counts(client) == (1, 2, 3, 6)
    assert len(client.get(f"/studies/{study}/instances").json()) == 2
    kept = done(client, f"/studies/{study}/split", Series=[second], KeepSource=True)
    assert counts(client) == (1, 3, 4, 8)
    assert kept["TargetStudy"] != content["TargetStudy"]
    (job,) = [each for each in client.get("/jobs?expand").json() if each["Content"] == kept]
    assert job["Type"] == "SplitStudy"


def test_splits_that_are_refused(client: Client, ct: bytes) -> None:
    upload(client, ct)
    study = study_of(client)
    series = client.get(f"/studies/{study}/series?expand=false").json()
    path = f"/studies/{study}/split"
    refused(client, path, 400, codes.BAD_REQUEST)
    refused(client, path, 400, codes.BAD_REQUEST, Series=[])
    refused(client, path, 400, codes.BAD_FILE_FORMAT, Series="x")
    refused(client, path, 404, codes.UNKNOWN_RESOURCE, Series=[series[0], "nope"])
    refused(client, path, 404, codes.UNKNOWN_RESOURCE, Series=[CT_SERIES])
    refused(client, path, 404, codes.UNKNOWN_RESOURCE, Instances=[CT_INSTANCE])
    for name in ("SeriesDescription", "StudyInstanceUID", "OtherPatientIDsSequence[0].PatientID"):
        refused(client, path, 400, codes.PARAMETER_OUT_OF_RANGE, Series=series, Replace={name: "x"})
        refused(client, path, 400, codes.PARAMETER_OUT_OF_RANGE, Series=series, Remove=[name])
    refused(client, "/studies/nope/split", 404, codes.UNKNOWN_RESOURCE, Series=series)
    assert counts(client) == (2, 2, 3, 7)


def test_resources_are_merged_into_a_study(client: Client, ct: bytes) -> None:
    upload(client, ct)
    study = study_of(client)
    content = done(client, f"/studies/{CT_STUDY}/merge", Resources=[study])
    assert (content["TargetStudy"], content["InstancesCount"]) == (CT_STUDY, 6)
    assert counts(client) == (1, 1, 3, 7)
    of_patient = pydicom.dcmread(io.BytesIO(ct))
    for each in files(client, CT_STUDY):
        for name in ("PatientID", "PatientName", "StudyInstanceUID", "StudyDate", "StudyDescription"):
            assert each[name].value == of_patient[name].value
    assert (
        client.get(f"/studies/{CT_STUDY}").json()["MainDicomTags"]["StudyInstanceUID"]
        == of_patient.StudyInstanceUID
    )
    (job,) = client.get("/jobs?expand").json()
    assert job["Type"] == "MergeStudy"


def test_one_series_or_instance_is_merged(client: Client, ct: bytes) -> None:
    upload(client, ct)
    study = study_of(client)
    series = client.get(f"/studies/{study}/series?expand=false").json()
    instance = client.get(f"/series/{series[1]}/instances?expand=false").json()[0]
    done(client, f"/studies/{CT_STUDY}/merge", Resources=[series[0], instance], KeepSource=True)
    assert counts(client) == (2, 2, 5, 11)
    done(client, f"/studies/{CT_STUDY}/merge", Resources=[series[0], instance])
    assert counts(client) == (2, 2, 6, 11)


def test_merges_that_are_refused(client: Client, ct: bytes) -> None:
    upload(client, ct)
    path = f"/studies/{CT_STUDY}/merge"
    refused(client, path, 400, codes.BAD_FILE_FORMAT)
    refused(client, path, 400, codes.BAD_FILE_FORMAT, Resources="x")
    for each in ("nope", CT_STUDY, CT_SERIES, CT_INSTANCE, CT_PATIENT):
        refused(client, path, 404, codes.UNKNOWN_RESOURCE, Resources=[each])
    refused(client, "/studies/nope/merge", 404, codes.UNKNOWN_RESOURCE, Resources=[])
    assert done(client, path, Resources=[])["InstancesCount"] == 0
