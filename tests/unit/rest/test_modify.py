"""Modification and anonymisation over HTTP: what comes into being, what stays, and what is refused."""

from __future__ import annotations

import io
from typing import Any

import pydicom
import pytest
from tests.data import synthetic
from tests.data.real import content_of
from tests.unit.application import CT_INSTANCE, CT_PATIENT, CT_SERIES, CT_STUDY, Client, MakeClient
from tests.unit.rest.edits import (
    KEEP_ALL,
    LEVELS,
    changes,
    counts,
    dataset,
    done,
    files,
    post,
    refused,
    study_of,
    upload,
)

from ithil import error_codes as codes
from ithil.archive import retrieve

# -- single instances ----------------------------------------------------------------------------------------


def test_an_instance_is_answered_and_not_stored(client: Client, ct: bytes) -> None:
    upload(client, ct)
    answer = post(client, f"/instances/{CT_INSTANCE}/modify", Replace={"PatientName": "New^Name"})
    assert answer.headers["content-type"] == "application/dicom"
    made = dataset(answer)
    before = pydicom.dcmread(io.BytesIO(ct))
    assert made.PatientName == "New^Name"
    assert made.SOPInstanceUID != before.SOPInstanceUID
    assert (made.PatientID, made.StudyInstanceUID) == (before.PatientID, before.StudyInstanceUID)
    assert made.SeriesInstanceUID == before.SeriesInstanceUID
    assert made.PixelData == before.PixelData
    hidden = dataset(post(client, f"/instances/{CT_INSTANCE}/anonymize"))
    assert hidden.PatientName == "Anonymized1"
    assert hidden.PatientID != before.PatientID
    assert not [element for element in hidden if element.tag.is_private]
    assert dataset(post(client, f"/instances/{CT_INSTANCE}/anonymize")).PatientName == "Anonymized2"
    assert counts(client)[3] == 1


def test_an_instance_in_another_transfer_syntax(client: Client, ct: bytes) -> None:
    upload(client, ct)
    answer = post(client, f"/instances/{CT_INSTANCE}/modify", Transcode="1.2.840.10008.1.2.4.70")
    made = dataset(answer)
    assert made.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.70"
    assert made.SOPInstanceUID.startswith("2.25.")
    path = f"/instances/{CT_INSTANCE}/modify"
    refused(client, path, 400, codes.PARAMETER_OUT_OF_RANGE, Transcode="nope")
    refused(client, path, 400, codes.BAD_FILE_FORMAT, Transcode=5)
    refused(client, path, 400, codes.PARAMETER_OUT_OF_RANGE, LossyQuality=101)
    refused(client, path, 400, codes.BAD_FILE_FORMAT, LossyQuality="best")


# -- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["modify", "anonymize"])
@pytest.mark.parametrize("level", [*LEVELS, "instances"])
def test_what_is_refused_at_every_level(client: Client, ct: bytes, level: str, action: str) -> None:
    upload(client, ct)
    ids = {"patients": CT_PATIENT, "studies": CT_STUDY, "series": CT_SERIES, "instances": CT_INSTANCE}
    path = f"/{level}/{ids[level]}/{action}"
    for body in (b"", b"[]", b"null", b'"a"', b"{", b"\xff"):
        answer = client.post(path, content=body)
        assert (answer.status_code, answer.json()["OrthancStatus"]) == (400, codes.BAD_FILE_FORMAT)
    for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        refused(client, path, 400, codes.BAD_REQUEST, Replace={name: "1.2"})
        refused(client, path, 400, codes.BAD_REQUEST, Keep=[name])
        refused(client, path, 400, codes.BAD_REQUEST, Remove=[name])
        refused(client, path, 400, codes.BAD_REQUEST, Remove=[name], Force=True)
    for field, value in (("Replace", []), ("Remove", {}), ("Remove", [5]), ("Keep", "x"), ("Replace", None)):
        refused(client, path, 400, codes.BAD_REQUEST, **{field: value})
    refused(client, path, 500, codes.UNKNOWN_DICOM_TAG, Replace={"Nope": "x"})
    refused(client, path, 500, codes.UNKNOWN_DICOM_TAG, Keep=["Nope"])
    refused(client, path, 400, codes.BAD_PARAMETER_TYPE, Replace={"PatientName": 5}, Force=True)
    refused(client, path, 400, codes.BAD_FILE_FORMAT, Force=5)
    refused(client, path, 400, codes.BAD_FILE_FORMAT, PrivateCreator=5)
    refused(client, path.replace(ids[level], "nope"), 404, codes.UNKNOWN_RESOURCE)
    if action == "anonymize":
        refused(client, path, 400, codes.PARAMETER_OUT_OF_RANGE, DicomVersion="1999")
        refused(client, path, 400, codes.BAD_FILE_FORMAT, DicomVersion=5)
        refused(client, path, 400, codes.PARAMETER_OUT_OF_RANGE, ProfileOptions=["Nope"])
        refused(client, path, 400, codes.BAD_FILE_FORMAT, KeepPrivateTags="yes")
    elif level != "patients":
        refused(client, path, 400, codes.BAD_FILE_FORMAT, RemovePrivateTags="yes")
    if level != "instances":
        for field in ("KeepSource", "Synchronous", "Permissive", "KeepLabels", "Priority"):
            refused(client, path, 400, codes.BAD_FILE_FORMAT, **{field: "x"})
        refused(client, path, 400, codes.BAD_FILE_FORMAT, Transcode="nope")
    assert counts(client) == (1, 1, 1, 1)
    assert client.get("/jobs").json() == []


def test_a_patient_needs_a_new_identifier(client: Client, ct: bytes) -> None:
    upload(client, ct)
    refused(client, f"/patients/{CT_PATIENT}/modify", 400, codes.BAD_REQUEST)
    made = done(client, f"/patients/{CT_PATIENT}/modify", Replace={"PatientID": "NEW"}, Force=True)
    assert client.get(made["Path"]).json()["MainDicomTags"]["PatientID"] == "NEW"


# -- jobs ----------------------------------------------------------------------------------------------------


def test_a_study_is_anonymised(client: Client) -> None:
    study = study_of(client)
    before = {f"/{level}/{each}" for level in LEVELS for each in client.get(f"/{level}").json()}
    content = done(client, f"/studies/{study}/anonymize", UserData="mine")
    assert content["Type"] == "Study"
    assert content["Path"] == f"/studies/{content['ID']}"
    assert (content["InstancesCount"], content["FailedInstancesCount"]) == (6, 0)
    assert content["IsAnonymization"] is True
    assert content["ParentResources"] == [study]
    assert counts(client) == (2, 2, 4, 12)
    made = client.get(content["Path"]).json()
    assert made["AnonymizedFrom"] == study
    assert made["ParentPatient"] == content["PatientID"]
    assert made["PatientMainDicomTags"]["PatientName"] == "Anonymized1"
    for each in files(client, content["ID"]):
        assert each.PatientID == made["PatientMainDicomTags"]["PatientID"]
        assert each.PatientIdentityRemoved == "YES"
    sources = {
        client.get(f"/instances/{each}/metadata/AnonymizedFrom").text
        for each in client.get(f"/studies/{content['ID']}/instances?expand=false").json()
    }
    assert sources == set(client.get(f"/studies/{study}/instances?expand=false").json())
    kinds = [kind for kind, _ in changes(client) if kind.startswith("Anonymized")]
    assert sorted(kinds) == ["AnonymizedPatient", *["AnonymizedSeries"] * 2, "AnonymizedStudy"]
    assert before <= {f"/{level}/{each}" for level in LEVELS for each in client.get(f"/{level}").json()}
    (job,) = client.get("/jobs?expand").json()
    assert (job["Type"], job["State"], job["UserData"]) == ("ResourceModification", "Success", "mine")


def test_the_source_goes_if_it_is_not_to_be_kept(client: Client) -> None:
    study = study_of(client)
    done(client, f"/studies/{study}/anonymize", KeepSource=False)
    assert client.get(f"/studies/{study}").status_code == 404
    assert counts(client) == (1, 1, 2, 6)


def test_instances_that_arrive_meanwhile_are_not_deleted(client: Client) -> None:
    study = study_of(client, series=1)
    content = done(client, f"/studies/{study}/modify", KeepSource=False, Replace={"StudyDescription": "x"})
    late = upload(client, synthetic.instance(0, 0, 77, size=8).content)
    assert late["ParentStudy"] == study
    assert len(client.get(f"/studies/{content['ID']}/instances").json()) == 3


def test_each_level_gets_new_identifiers_from_itself_down(client: Client) -> None:
    study = study_of(client, series=1, instances=2)
    (series,) = client.get(f"/studies/{study}/series?expand=false").json()
    old = files(client, study)[0]
    made = done(client, f"/series/{series}/modify", Replace={"SeriesDescription": "x"})
    assert client.get(made["Path"]).json()["ParentStudy"] == study
    assert counts(client) == (1, 1, 2, 4)
    made = done(client, f"/studies/{study}/modify", Replace={"StudyDescription": "x"})
    new = files(client, made["ID"])[0]
    assert new.StudyInstanceUID != old.StudyInstanceUID
    assert new.PatientID == old.PatientID
    assert counts(client) == (1, 2, 4, 8)
    assert client.get(made["Path"]).json()["MainDicomTags"]["StudyDescription"] == "x"
    assert client.get(made["Path"]).json()["ModifiedFrom"] == study


def test_a_study_is_edited_in_place(client: Client) -> None:
    study = study_of(client)
    client.put(f"/studies/{study}/labels/mine")
    client.put(f"/studies/{study}/metadata/1024", content="kept")
    content = done(
        client,
        f"/studies/{study}/modify",
        Keep=KEEP_ALL,
        Force=True,
        Replace={"PatientName": "New^Name", "StudyDescription": "corrected", "SeriesDescription": "s"},
    )
    assert content["ID"] == study
    assert counts(client) == (1, 1, 2, 6)
    made = client.get(f"/studies/{study}").json()
    assert made["PatientMainDicomTags"]["PatientName"] == "New^Name"
    assert made["MainDicomTags"]["StudyDescription"] == "corrected"
    assert made["Labels"] == ["mine"]
    assert client.get(f"/studies/{study}/metadata/1024").text == "kept"
    patient = client.get(f"/patients/{made['ParentPatient']}").json()
    assert patient["MainDicomTags"]["PatientName"] == "New^Name"
    for each in made["Series"]:
        assert client.get(f"/series/{each}").json()["MainDicomTags"]["SeriesDescription"] == "s"
    found = client.post("/tools/find", json={"Level": "Study", "Query": {"PatientName": "new*"}}).json()
    assert found == [study]
    assert client.get("/statistics").json()["CountInstances"] == 6
    assert ("ModifiedStudy", study) in changes(client)
    assert {str(each.PatientName) for each in files(client, study)} == {"New^Name"}
    again = done(client, f"/studies/{study}/modify", Keep=KEEP_ALL, Force=True, KeepSource=False)
    assert again["ID"] == study
    assert counts(client) == (1, 1, 2, 6)


def test_a_study_may_not_contradict_the_patient_it_joins(client: Client) -> None:
    first, second = study_of(client, patient=0), study_of(client, patient=1)
    patient = client.get(f"/studies/{first}").json()["PatientMainDicomTags"]
    path = f"/studies/{second}/modify"
    named = {"PatientID": patient["PatientID"], "PatientName": "Somebody^Else"}
    refused(client, path, 400, codes.BAD_REQUEST, Replace=named, Keep=KEEP_ALL, Force=True)
    assert counts(client)[0] == 2
    values = {
        name: patient.get(name, "") for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")
    }
    content = done(client, path, Replace=values, Keep=KEEP_ALL, Force=True, KeepSource=False)
    assert (
        client.get(content["Path"]).json()["ParentPatient"]
        == client.get(f"/studies/{first}").json()["ParentPatient"]
    )
    assert counts(client) == (1, 2, 4, 12)
    refused(client, f"/studies/{first}/modify", 400, codes.BAD_REQUEST, Replace={"PatientName": "Else"})
    done(client, f"/studies/{first}/modify", Replace={"StudyDescription": "of the study"})


def test_labels_are_copied_on_request(client: Client) -> None:
    study = study_of(client, series=1, instances=2)
    instance = client.get(f"/studies/{study}/instances?expand=false").json()[0]
    client.put(f"/studies/{study}/labels/teaching")
    client.put(f"/instances/{instance}/labels/best")
    without = done(client, f"/studies/{study}/anonymize")
    assert client.get(f"/studies/{without['ID']}/labels").json() == []
    with_labels = done(client, f"/studies/{study}/anonymize", KeepLabels=True)
    assert client.get(f"/studies/{with_labels['ID']}/labels").json() == ["teaching"]
    made = client.get(f"/studies/{with_labels['ID']}/instances").json()
    assert sorted(each["Labels"] for each in made) == [[], ["best"]]


def test_large_instances_keep_their_pixels(client: Client) -> None:
    study = study_of(client, series=1, instances=1, size=512)
    content = done(client, f"/studies/{study}/anonymize")
    (before,), (after,) = files(client, study), files(client, content["ID"])
    assert after.PixelData == before.PixelData
    assert after.PatientName == "Anonymized1"
    (made,) = client.get(f"/studies/{content['ID']}/instances?expand=false").json()
    assert client.post(f"/instances/{made}/attachments/dicom/verify-md5").status_code == 200


@pytest.mark.parametrize(
    "name",
    ["pydicom/JPEG2000.dcm", "pydicom/MR_small_RLE.dcm", "pydicom/image_dfl.dcm", "pydicom/rtdose.dcm"],
)
def test_encodings_of_all_kinds_are_kept(client: Client, name: str) -> None:
    found = upload(client, content_of(name))
    content = done(client, f"/studies/{found['ParentStudy']}/anonymize")
    (before,), (after,) = files(client, found["ParentStudy"]), files(client, content["ID"])
    assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
    assert after.PixelData == before.PixelData


def test_a_study_is_stored_in_another_transfer_syntax(client: Client) -> None:
    study = study_of(client, series=1, instances=3, size=32)
    content = done(client, f"/studies/{study}/anonymize", Transcode="1.2.840.10008.1.2.4.80")
    for each in files(client, content["ID"]):
        assert each.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.80"
        assert each.PatientName == "Anonymized1"


def test_one_instance_that_fails(make_client: MakeClient) -> None:
    """Without `Permissive` the job fails there; with it the others are made, and the source stays."""
    client = make_client()
    study = study_of(client, series=1, instances=4)
    archive = client.app.context.archive
    lost = client.get(f"/studies/{study}/instances?expand=false").json()[2]
    file = retrieve.dicom_file(archive, lost)
    assert file is not None
    archive.storage.remove(file.uuid)
    refused(client, f"/studies/{study}/anonymize", 404, codes.INEXISTENT_FILE, KeepSource=False)
    assert client.get(f"/studies/{study}").status_code == 200
    content = done(client, f"/studies/{study}/anonymize", KeepSource=False, Permissive=True)
    assert (content["InstancesCount"], content["FailedInstancesCount"]) == (4, 1)
    assert len(client.get(f"/studies/{content['ID']}/instances").json()) == 3
    assert len(client.get(f"/studies/{study}/instances").json()) == 4


def test_several_instances_cannot_get_one_identifier(client: Client) -> None:
    study = study_of(client, series=1)
    body = {"Replace": {"SOPInstanceUID": "1.2.3"}, "Force": True}
    refused(client, f"/studies/{study}/modify", 500, codes.CANNOT_STORE_INSTANCE, **body)
    assert counts(client)[3] == 3


def test_an_asynchronous_job_and_a_read_only_archive(make_client: MakeClient, tmp_path: Any) -> None:
    client = make_client(storage_directory=tmp_path / "shared")
    study = study_of(client, series=1)
    answer = done(client, f"/studies/{study}/anonymize", Asynchronous=True, Priority=5)
    assert answer["Path"] == f"/jobs/{answer['ID']}"
    frozen = make_client(storage_directory=tmp_path / "shared", read_only=True)
    for action in ("modify", "anonymize", "split", "merge"):
        body = {"Resources": [], "Series": client.get("/series").json()[:1]}
        refused(frozen, f"/studies/{study}/{action}", 500, codes.READ_ONLY, **body)
    instance = client.get("/instances").json()[0]
    assert post(frozen, f"/instances/{instance}/modify").status_code == 200


# -- what is wrong is said -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code", "details"),
    [
        ({"Replace": {"Nonsense": "1"}}, codes.UNKNOWN_DICOM_TAG, '"Nonsense"'),
        ({"Remove": ["N" * 65]}, codes.UNKNOWN_DICOM_TAG, "that is given"),
        ({"Remove": ["a\nb"]}, codes.UNKNOWN_DICOM_TAG, "that is given"),
        ({"Remove": ["OtherPatientIDsSequence[0]"]}, codes.PARAMETER_OUT_OF_RANGE, "must end in a tag"),
        ({"Replace": {"PatientName": "A\0B"}}, codes.BAD_FILE_FORMAT, "holds a NUL"),
    ],
)
def test_a_refusal_says_what_is_wrong(
    client: Client, ct: bytes, body: dict[str, Any], code: int, details: str
) -> None:
    upload(client, ct)
    answer = post(client, f"/instances/{CT_INSTANCE}/modify", **body)
    assert answer.json()["OrthancStatus"] == code
    assert details in answer.json()["Details"]
    assert answer.status_code == (500 if code == codes.UNKNOWN_DICOM_TAG else 400)
