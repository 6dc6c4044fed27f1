"""Media: the DICOMDIR as dcmtk and pydicom read it, and as Orthanc would have written it."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.fileset import FileSet
from tests.data.real import content_of
from tests.unit.archive.places import Place, image, put_all

from ithil.archive import resources
from ithil.archive.archive import Archive
from ithil.archive.export import dicomdir, members
from ithil.archive.export.dicomdir import DicomDir
from ithil.archive.export.records import describe
from ithil.archive.export.selection import select
from ithil.archive.export.stream import Export, Wish
from ithil.dicom.errors import DicomError
from ithil.dicom.level import Level

FILES = (
    "pydicom/CT_small.dcm",
    "pydicom/MR_small.dcm",
    "pydicom/rtplan.dcm",
    "pydicom/rtdose.dcm",
    "pydicom/reportsi.dcm",
    "pydicom/waveform_ecg.dcm",
    "pydicom-data/liver.dcm",
    "pydicom/dicomdirtests/77654033/CT2/17106",
    "pydicom/dicomdirtests/77654033/CT2/17136",
    "pydicom/dicomdirtests/77654033/CR1/6154",
)


def medium(archive: Archive, *public_ids: str, extended: bool = False) -> zipfile.ZipFile:
    selection = select(archive, public_ids or resources.list_ids(archive, Level.PATIENT))
    made = Export(archive, selection, Wish(media=True, extended=extended))
    return zipfile.ZipFile(io.BytesIO(b"".join(made.pieces())))


def records(found: zipfile.ZipFile) -> list[Dataset]:
    return list(dcmread(io.BytesIO(found.read("DICOMDIR"))).DirectoryRecordSequence)


def test_pydicom_and_dcmtk_read_it(sqlite: Place, tmp_path: Path) -> None:
    archive = sqlite.open()
    put_all(archive, *map(content_of, FILES))
    found = medium(archive)
    assert found.namelist() == [f"IMAGES/IM{number}" for number in range(len(FILES))] + ["DICOMDIR"]
    found.extractall(tmp_path)
    file_set = FileSet(tmp_path / "DICOMDIR")
    assert len(file_set) == len(FILES)
    for instance in file_set:
        loaded = instance.load()
        assert loaded.SOPInstanceUID == instance.SOPInstanceUID
        assert loaded.PatientID == instance.PatientID
    if shutil.which("dcmdump"):
        done = subprocess.run(
            ["dcmdump", "+fo", tmp_path / "DICOMDIR"], capture_output=True, timeout=60, check=True
        )
        assert b"IMAGES\\IM0" in done.stdout
        assert not done.stderr


def test_records_of_an_image(sqlite: Place) -> None:
    archive = sqlite.open()
    put_all(archive, content_of("pydicom/CT_small.dcm"))
    patient, study, series, instance = records(medium(archive))
    assert [one.DirectoryRecordType for one in (patient, study, series, instance)] == [
        "PATIENT",
        "STUDY",
        "SERIES",
        "IMAGE",
    ]
    assert (patient.PatientName, patient.PatientID) == ("CompressedSamples^CT1", "1CT1")
    assert (study.StudyDate, study.StudyTime, study.AccessionNumber) == ("20040119", "072730", "")
    assert (study.StudyDescription, study.StudyID) == ("e+1", "1CT1")
    assert (series.Modality, series.SeriesNumber) == ("CT", 1)
    assert instance.ReferencedFileID == ["IMAGES", "IM0"]
    assert instance.ReferencedSOPClassUIDInFile == "1.2.840.10008.5.1.4.1.1.2"
    assert instance.ReferencedTransferSyntaxUIDInFile == "1.2.840.10008.1.2.1"
    assert instance.InstanceNumber == 1
    assert all(one.SpecificCharacterSet == "ISO_IR 100" for one in (patient, study, series, instance))


@pytest.mark.parametrize(
    ("file", "kind", "key", "value"),
    [
        ("pydicom/rtplan.dcm", "RT PLAN", "RTPlanLabel", "Plan1"),
        ("pydicom/rtdose.dcm", "RT DOSE", "DoseSummationType", "BEAM"),
        ("pydicom/reportsi.dcm", "SR DOCUMENT", "VerificationFlag", "UNVERIFIED"),
        ("pydicom/waveform_ecg.dcm", "WAVEFORM", "ContentDate", "20130125"),
        ("pydicom-data/liver.dcm", "IMAGE", "InstanceNumber", 1),
    ],
)
def test_record_types_and_their_keys(sqlite: Place, file: str, kind: str, key: str, value: object) -> None:
    archive = sqlite.open()
    put_all(archive, content_of(file))
    last = records(medium(archive))[3]
    assert last.DirectoryRecordType == kind
    assert last[key].value == value


def test_the_title_of_a_report(sqlite: Place) -> None:
    archive = sqlite.open()
    put_all(archive, content_of("pydicom/reportsi.dcm"))
    [code] = records(medium(archive))[3].ConceptNameCodeSequence
    [before] = dcmread(io.BytesIO(content_of("pydicom/reportsi.dcm"))).ConceptNameCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) == (
        before.CodeValue,
        before.CodingSchemeDesignator,
        before.CodeMeaning,
    )


def test_extended_has_the_description_of_the_series(sqlite: Place) -> None:
    archive = sqlite.open()
    put_all(archive, content_of("pydicom/dicomdirtests/77654033/CT2/17106"))
    assert "SeriesDescription" not in records(medium(archive))[2]
    assert records(medium(archive, extended=True))[2].SeriesDescription == "Routine Brain"


@pytest.mark.parametrize("name", ["chrArab", "chrH31", "chrH32", "chrI2", "chrX1", "chrGerm"])
def test_names_keep_their_characters(sqlite: Place, name: str) -> None:
    archive = sqlite.open()
    content = content_of(f"charset/{name}.dcm")
    put_all(archive, content)
    assert records(medium(archive))[0].PatientName == dcmread(io.BytesIO(content)).PatientName


def test_parents_are_there_once_and_siblings_are_linked(sqlite: Place) -> None:
    archive = sqlite.open()
    put_all(
        archive,
        *(
            image(study, series, number, patient=study // 2)
            for study in range(3)
            for series in range(2)
            for number in range(2)
        ),
    )
    found = dcmread(io.BytesIO(medium(archive).read("DICOMDIR")))
    kinds = [one.DirectoryRecordType for one in found.DirectoryRecordSequence]
    assert {kind: kinds.count(kind) for kind in kinds} == {"PATIENT": 2, "STUDY": 3, "SERIES": 6, "IMAGE": 12}
    by_offset = {one.seq_item_tell: one for one in found.DirectoryRecordSequence}

    def chain(offset: int) -> list[Dataset]:
        links = []
        while offset:
            links.append(by_offset[offset])
            offset = links[-1].OffsetOfTheNextDirectoryRecord
        return links

    def below(parents: list[Dataset]) -> list[Dataset]:
        return [
            one for parent in parents for one in chain(parent.OffsetOfReferencedLowerLevelDirectoryEntity)
        ]

    level = chain(found.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity)
    last = found.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity
    assert level[-1] is by_offset[last]
    for kind, count in (("PATIENT", 2), ("STUDY", 3), ("SERIES", 6), ("IMAGE", 12)):
        assert [one.DirectoryRecordType for one in level] == [kind] * count
        level = below(level)
    assert level == []


def test_an_empty_medium(sqlite: Place) -> None:
    archive = sqlite.open()
    content = b"".join(Export(archive, {}, Wish(media=True)).pieces())
    found = zipfile.ZipFile(io.BytesIO(content))
    assert found.namelist() == ["DICOMDIR"]
    assert records(found) == []


def test_a_header_that_cannot_be_read_gets_what_the_index_knows(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise DicomError("damaged")

    monkeypatch.setattr(members, "describe", fail)
    archive = place.open()
    content = content_of("pydicom/CT_small.dcm")
    put_all(archive, content)
    found = dcmread(io.BytesIO(content))
    patient, study, series, instance = records(medium(archive))
    assert (patient.PatientID, patient.PatientName) == (found.PatientID, found.PatientName)
    assert study.StudyInstanceUID == found.StudyInstanceUID
    assert series.SeriesInstanceUID == found.SeriesInstanceUID
    assert instance.ReferencedSOPInstanceUIDInFile == found.SOPInstanceUID
    assert instance.ReferencedSOPClassUIDInFile == found.SOPClassUID
    assert instance.ReferencedTransferSyntaxUIDInFile == "1.2.840.10008.1.2.1"


def test_a_large_directory_leaves_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomdir, "_IN_MEMORY", 100_000)
    described = describe(content_of("pydicom/CT_small.dcm"), extended=False)
    directory = DicomDir(str(tmp_path))
    for number in range(1000):
        directory.add(f"IMAGES/IM{number}", (1, 1, number // 100), described)
    content = b"".join(directory.pieces(100_000))
    directory.close()
    assert directory.size == len(content)
    found = dcmread(io.BytesIO(content)).DirectoryRecordSequence
    assert len(found) == 1000 + 10 + 2
    assert found[-1].ReferencedFileID == ["IMAGES", "IM999"]
