"""Deleting and rejecting by DICOM's identifiers."""

from __future__ import annotations

from io import BytesIO

import pydicom
import pytest
from tests.data import synthetic
from tests.unit.application import Client, MakeClient
from tests.unit.dicomweb.stow_requests import CT_UIDS, STUDIES, count, stow

STUDY, SERIES, INSTANCE = CT_UIDS
PATHS = (
    f"{STUDIES}/{STUDY}",
    f"{STUDIES}/{STUDY}/series/{SERIES}",
    f"{STUDIES}/{STUDY}/series/{SERIES}/instances/{INSTANCE}",
)


def notes(client: Client) -> list[pydicom.Dataset]:
    """The Key Object Selection documents in the archive."""
    files = [client.get(f"/instances/{one}/file").content for one in client.get("/instances").json()]
    found = [pydicom.dcmread(BytesIO(file)) for file in files]
    return [dataset for dataset in found if dataset.Modality == "KO"]


@pytest.mark.parametrize("path", PATHS)
def test_delete(client: Client, ct: bytes, mr: bytes, path: str) -> None:
    stow(client, ct, mr)
    answer = client.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert count(client) == 1
    assert client.delete(path).status_code == 404


def test_delete_takes_only_what_is_named(client: Client) -> None:
    one, two, other = (synthetic.instance(0, *place, size=4) for place in ((0, 0), (0, 1), (1, 0)))
    stow(client, one.content, two.content, other.content)
    path = f"{STUDIES}/{one.study_uid}/series/{one.series_uid}"
    assert client.delete(f"{path}/instances/{other.sop_uid}").status_code == 404
    assert client.delete(f"{path}/instances/{one.sop_uid}").status_code == 204
    assert count(client) == 2
    assert client.delete(path).status_code == 204
    assert count(client) == 1


def test_a_study_of_two_patients_goes_as_a_whole(client: Client, ct: bytes) -> None:
    stow(client, ct, ct.replace(b"1CT1", b"2CT2"))
    assert count(client) == 2
    assert client.delete(f"{STUDIES}/{STUDY}").status_code == 204
    assert count(client) == 0


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("code", ["113001%5EDCM", "113037^DCM", "113038", "113039%5EDCM"])
def test_reject_leaves_a_note_in_place_of_the_instances(
    client: Client, ct: bytes, path: str, code: str
) -> None:
    stow(client, ct)
    answer = client.post(f"{path}/reject/{code}")
    assert (answer.status_code, answer.content) == (204, b"")
    (note,) = notes(client)
    assert count(client) == 1
    assert (note.StudyInstanceUID, note.PatientID) == (STUDY, "1CT1")
    assert note.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.59"
    assert note.SeriesInstanceUID != SERIES
    assert note.ConceptNameCodeSequence[0].CodeValue == code[:6]
    assert note.ConceptNameCodeSequence[0].CodingSchemeDesignator == "DCM"
    series = note.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == SERIES
    assert [item.ReferencedSOPInstanceUID for item in series.ReferencedSOPSequence] == [INSTANCE]
    assert note.ContentSequence[0].ValueType == "IMAGE"
    assert len(client.get("/patients").json()) == 1, "the note is of the same patient and study"
    assert client.post(f"{path}/reject/{code}").status_code == 404
    assert len(notes(client)) == 1


def test_reject_one_of_several(client: Client) -> None:
    sent = [synthetic.instance(0, 0, number, size=4) for number in range(3)]
    stow(client, *(each.content for each in sent))
    one = sent[1]
    path = f"{STUDIES}/{one.study_uid}/series/{one.series_uid}"
    assert client.post(f"{path}/instances/{one.sop_uid}/reject/113001%5EDCM").status_code == 204
    assert count(client) == 3
    assert client.post(f"{STUDIES}/{one.study_uid}/reject/113037%5EDCM").status_code == 204
    assert count(client) == 2, "the first note stays"
    told = [
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for note in notes(client)
        for item in note.ContentSequence
    ]
    assert sorted(told) == sorted(each.sop_uid for each in sent)


@pytest.mark.parametrize("code", ["113002%5EDCM", "113001%5ESCT", "x", "%5E"])
def test_other_reasons_are_refused(client: Client, ct: bytes, code: str) -> None:
    stow(client, ct)
    assert client.post(f"{PATHS[1]}/reject/{code}").status_code == 400
    assert count(client) == 1


def test_reject_of_what_is_unknown(client: Client) -> None:
    for path in PATHS:
        assert client.post(f"{path}/reject/113001%5EDCM").status_code == 404


def test_a_study_whose_description_cannot_be_repeated(client: Client, ct: bytes) -> None:
    stow(client, ct.replace(b"20040119", b"2004xx\xe4\xf6", 1))
    assert client.post(f"{PATHS[0]}/reject/113001%5EDCM").status_code == 204
    (note,) = notes(client)
    assert note.PatientID == "1CT1"


def test_text_of_the_patient_is_repeated_in_any_script(client: Client, ct: bytes) -> None:
    stow(
        client,
        ct.replace(b"CompressedSamples^CT1", "Compressed^山 Ä".encode().ljust(21)).replace(
            b"ISO_IR 100", b"ISO_IR 192"
        ),
    )
    assert client.post(f"{PATHS[0]}/reject/113001%5EDCM").status_code == 204
    assert str(notes(client)[0].PatientName) == "Compressed^山 Ä"


def test_a_read_only_archive_has_no_such_routes(make_client: MakeClient, ct: bytes) -> None:
    client = make_client()
    stow(client, ct)
    folder = client.app.context.settings.storage_directory
    reader = make_client(storage_directory=folder, read_only=True)
    assert reader.delete(PATHS[0]).status_code == 405
    assert reader.post(f"{PATHS[0]}/reject/113001%5EDCM").status_code in (404, 405)
