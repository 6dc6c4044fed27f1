"""A program written with orthanc-api-client, as it would be for Orthanc."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pydicom
import pytest
from orthanc_api_client import OrthancApiClient, exceptions
from orthanc_api_client.job import JobStatus
from orthanc_api_client.labels_constraint import LabelsConstraint
from pydicom.data import get_testdata_file
from tests.conftest import StartIthil
from tests.data import synthetic
from tests.servers.ithil import Ithil

CT = Path(str(get_testdata_file("CT_small.dcm", download=False)))
STUDY_UID = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"


@pytest.fixture
def server(start_ithil: StartIthil) -> Ithil:
    return start_ithil({"UserMetadata": {"review": 1024}, "UserContentType": {"report": 1025}})


@pytest.fixture
def client(server: Ithil) -> OrthancApiClient:
    made = OrthancApiClient(f"http://127.0.0.1:{server.http_port}")
    made.upload_file(CT)
    return made


@pytest.fixture
def study(client: OrthancApiClient) -> str:
    found = client.studies.lookup(STUDY_UID)
    assert found is not None
    return found


def test_upload_and_look_around(client: OrthancApiClient, tmp_path: Path) -> None:
    assert client.is_alive()
    assert client.is_orthanc_version_at_least(1, 12, 0)
    folder = tmp_path / "study"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.dcm").write_bytes(synthetic.instance(0, 0, number, size=16).content)
    (folder / "notes.txt").write_text("no DICOM")
    assert len(client.upload_folder(folder, ignore_errors=True)) == 3
    assert client.get_statistics().instances_count == 4
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("a.dcm", synthetic.instance(1, 0, 0, size=16).content)
    assert len(client.upload_file(tmp_path / "all.zip")) == 1
    with pytest.raises(exceptions.BadFileFormat):
        client.upload_file(folder / "notes.txt")


def test_study_series_and_instances(client: OrthancApiClient, study: str, tmp_path: Path) -> None:
    assert client.studies.get(study).main_dicom_tags.get("StudyInstanceUID") == STUDY_UID
    assert client.studies.get_modalities(study) == {"CT"}
    (series,) = client.studies.get_series_ids(study)
    (instance,) = client.series.get_ordered_instances_ids(series)
    assert client.instances.get_file(instance) == CT.read_bytes()
    assert client.instances.get_tags(instance)["PatientID"] == "1CT1"
    assert client.instances.get_metadata(instance)["TransferSyntax"] == "1.2.840.10008.1.2.1"
    assert client.series.get_preview_file(series)[0]
    client.studies.download_archive(study, tmp_path / "archive.zip")
    client.studies.download_media(study, tmp_path / "media.zip")
    with zipfile.ZipFile(tmp_path / "media.zip") as media:
        assert "DICOMDIR" in media.namelist()
    assert len(client.studies.download_instances(study, str(tmp_path))) == 1


def test_find_with_labels_paging_and_order(client: OrthancApiClient, study: str) -> None:
    client.upload(synthetic.instance(0, 0, 0, size=16).content)
    client.upload(synthetic.instance(1, 0, 0, size=16).content)
    client.studies.add_labels(study, ["urgent", "teaching"])
    assert client.get_all_labels() == ["teaching", "urgent"]
    found = client.studies.find(
        {"PatientName": "compressed*"},
        case_sensitive=False,
        labels=["urgent"],
        labels_constraint=LabelsConstraint.ANY,
        requested_tags=["ModalitiesInStudy"],
    )
    assert [one.orthanc_id for one in found] == [study]
    order = [{"Type": "DicomTag", "Key": "StudyInstanceUID", "Direction": "ASC"}]
    pages = [client.studies.find({}, limit=1, since=since, order_by=order) for since in range(3)]
    uids = [page[0].dicom_id for page in pages]
    assert uids == sorted(uids)
    assert len(set(uids)) == 3
    client.studies.delete_label(study, "urgent")
    assert client.studies.get_labels(study) == ["teaching"]


def test_metadata_and_attachments_with_revisions(client: OrthancApiClient, study: str) -> None:
    client.studies.set_string_metadata(study, "review", "first look")
    value, revision = client.studies.get_string_metadata_with_revision(study, "review")
    assert value == "first look"
    client.studies.set_string_metadata(study, "review", "second look", match_revision=revision)
    assert client.studies.get_string_metadata(study, "review") == "second look"
    client.studies.set_attachment(study, "report", content="the report")
    assert client.studies.get_attachment(study, "report") == b"the report"
    content, revision = client.studies.get_attachment_with_revision(study, "report")
    assert content == b"the report"
    client.studies.set_attachment(study, "report", content="a new one", match_revision=revision)
    assert client.studies.get_attachment(study, "report") == b"a new one"


def test_a_stale_revision_is_refused(start_ithil: StartIthil) -> None:
    server = start_ithil({"UserMetadata": {"review": 1024}, "CheckRevisions": True})
    client = OrthancApiClient(f"http://127.0.0.1:{server.http_port}")
    client.upload_file(CT)
    study = client.studies.get_all_ids()[0]
    client.studies.set_string_metadata(study, "review", "a")
    _, revision = client.studies.get_string_metadata_with_revision(study, "review")
    client.studies.set_string_metadata(study, "review", "b", match_revision=revision)
    with pytest.raises(exceptions.Conflict):
        client.studies.set_string_metadata(study, "review", "c", match_revision=revision)
    assert client.studies.get_string_metadata(study, "review") == "b"


def test_edits(client: OrthancApiClient, study: str) -> None:
    made = client.studies.anonymize(study, replace_tags={"PatientName": "Nobody"}, delete_original=False)
    assert client.studies.get(made).patient_main_dicom_tags.get("PatientName") == "Nobody"
    modified = client.studies.modify(
        study, replace_tags={"StudyDescription": "Changed"}, delete_original=True
    )
    assert client.studies.get(modified).main_dicom_tags.get("StudyDescription") == "Changed"
    assert not client.studies.exists(study)


def test_bulk_edits_are_jobs(client: OrthancApiClient, study: str) -> None:
    other = client.instances.get_parent_study_id(
        client.upload(synthetic.instance(0, 0, 0, size=16).content)[0]
    )
    instances, series, studies, patients = client.studies.anonymize_bulk([study, other])
    assert (len(instances), len(series), len(studies), len(patients)) == (2, 2, 2, 2)
    job = client.studies.modify_bulk_async(
        [study], replace_tags={"StudyDescription": "Bulk"}, delete_original=False
    )
    assert job.wait_completed(timeout=60, polling_interval=0.1)
    assert job.info.status == JobStatus.SUCCESS


def test_merge_and_pdf(client: OrthancApiClient, study: str, tmp_path: Path) -> None:
    other = client.instances.get_parent_series_id(
        client.upload(synthetic.instance(0, 0, 0, size=16).content)[0]
    )
    client.studies.merge(study, source_series_id=other, keep_source=True)
    assert len(client.studies.get_series_ids(study)) == 2
    pdf = tmp_path / "report.pdf"
    pdf.write_bytes(b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n")
    instance = client.studies.attach_pdf(study, str(pdf), "Report")
    assert client.instances.is_pdf(instance)
    client.instances.download_pdf(instance, str(tmp_path / "back.pdf"))
    assert (tmp_path / "back.pdf").read_bytes().startswith(pdf.read_bytes())


def test_instance_modify_gives_a_file(client: OrthancApiClient, study: str, tmp_path: Path) -> None:
    (instance,) = client.studies.get_instances_ids(study)
    changed = client.instances.modify(instance, replace_tags={"PatientName": "Other"})
    (tmp_path / "changed.dcm").write_bytes(changed)
    assert str(pydicom.dcmread(tmp_path / "changed.dcm").PatientName) == "Other"
    assert client.get_statistics().instances_count == 1


def test_changes_and_log_level(client: OrthancApiClient) -> None:
    changes, last, done = client.get_changes(since=0, limit=100)
    assert done
    assert changes[-1].sequence_id == last
    assert {"NewPatient", "NewStudy", "NewSeries", "NewInstance"} <= {str(one.change_type) for one in changes}
    before = client.get_log_level()
    client.set_log_level(before)
    assert client.get_log_level() == before
