"""A program written with pyorthanc, as it would be for Orthanc: upload, find, download, edit, jobs, labels."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pydicom
import pyorthanc
import pytest
from pydicom.data import get_testdata_file
from pyorthanc.jobs import State
from tests.data import synthetic
from tests.servers.ithil import Ithil


def path_of(name: str) -> Path:
    return Path(str(get_testdata_file(name, download=False)))


@pytest.fixture
def client(ithil: Ithil) -> pyorthanc.Orthanc:
    made = pyorthanc.Orthanc(f"http://127.0.0.1:{ithil.http_port}", trust_env=False, timeout=60)
    for number in range(3):
        made.post_instances(synthetic.instance(0, 0, number, size=16).content)
    made.post_instances(synthetic.instance(1, 0, 0, size=16).content)
    pyorthanc.upload(made, path_of("CT_small.dcm"))
    return made


def the_ct(client: pyorthanc.Orthanc) -> pyorthanc.Study:
    return pyorthanc.find_studies(client, query={"PatientID": "1CT1"})[0]


def test_what_is_uploaded_is_found_and_read(client: pyorthanc.Orthanc) -> None:
    assert client.get_system()["ApiVersion"] >= 20
    assert client.get_statistics()["CountInstances"] == 5
    study = the_ct(client)
    assert (study.uid, study.date.year) == ("1.3.6.1.4.1.5962.1.2.1.20040119072730.12322", 2004)
    assert study.parent_patient.patient_id == "1CT1"
    (series,) = study.series
    assert series.modality == "CT"
    (instance,) = series.instances
    assert instance.simplified_tags["PatientName"] == "CompressedSamples^CT1"
    assert instance.get_pydicom().pixel_array.shape == (128, 128)
    assert instance.get_content_by_tag("PatientID").strip() == "1CT1"
    assert instance.get_dicom_file_content() == path_of("CT_small.dcm").read_bytes()
    assert study.get_shared_tags(simplify=True)["Modality"] == "CT"
    assert study.parent_patient.get_patient_module(simplify=True)["PatientID"] == "1CT1"


def test_the_tree_is_walked_from_the_top(client: pyorthanc.Orthanc) -> None:
    patients = pyorthanc.find_patients(client)
    found = sorted(
        len(series.instances) for patient in patients for study in patient.studies for series in study.series
    )
    assert found == [1, 1, 3]
    filtered = pyorthanc.find(client, series_filter=lambda series: len(series.instances) == 3)
    assert [len(study.series) for patient in filtered for study in patient.studies] == [1]


def test_labels_are_set_found_and_taken_away(client: pyorthanc.Orthanc) -> None:
    study = the_ct(client)
    study.add_label("reviewed")
    assert study.labels == ["reviewed"]
    assert [one.id_ for one in pyorthanc.find_studies(client, labels=["reviewed"])] == [study.id_]
    assert len(pyorthanc.find_studies(client, labels=["reviewed"], labels_constraint="None")) == 2
    study.remove_label("reviewed")
    assert study.labels == []


def test_protection(client: pyorthanc.Orthanc) -> None:
    patient = the_ct(client).parent_patient
    patient.protected = True
    assert patient.protected
    patient.protected = False
    assert not patient.protected


def test_archives_hold_every_instance(client: pyorthanc.Orthanc, tmp_path: Path) -> None:
    series = next(one for one in pyorthanc.find_series(client) if len(one.instances) == 3)
    with zipfile.ZipFile(io.BytesIO(series.get_zip())) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 3
    with open(tmp_path / "study.zip", "wb") as file:
        the_ct(client).download(file)
    with zipfile.ZipFile(tmp_path / "study.zip") as archive:
        (name,) = archive.namelist()
        assert archive.read(name) == path_of("CT_small.dcm").read_bytes()


def test_anonymise_at_once_and_as_a_job(client: pyorthanc.Orthanc) -> None:
    study = the_ct(client)
    made = study.anonymize(replace={"PatientName": "Nobody"})
    assert made.id_ != study.id_
    instance = made.series[0].instances[0].get_pydicom()
    assert str(instance.PatientName) == "Nobody"
    assert instance.PatientIdentityRemoved == "YES"
    assert made.get_main_information()["AnonymizedFrom"] == study.id_
    job = study.anonymize_as_job(keep=["StudyDescription"])
    job.wait_until_completion(time_interval=1)
    assert (job.state, job.type, job.progress) == (State.success, "ResourceModification", 100)
    assert client.get_studies_id(job.content["ID"])["AnonymizedFrom"] == study.id_


def test_modify(client: pyorthanc.Orthanc) -> None:
    patient = the_ct(client).parent_patient
    made = patient.modify(replace={"PatientID": "NEW", "PatientName": "New^Name"}, force=True)
    assert (made.patient_id, made.name) == ("NEW", "New^Name")
    assert made.get_main_information()["ModifiedFrom"] == patient.id_
    instance = the_ct(client).series[0].instances[0]
    changed = pydicom.dcmread(io.BytesIO(instance.modify(replace={"PatientName": "Other"})))
    assert str(changed.PatientName) == "Other"
    assert changed.SOPInstanceUID != instance.uid  # a changed instance is another one
