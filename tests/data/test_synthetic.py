"""Synthetic series are DICOM that pydicom reads, unique where they must be, and as large as they say."""

from __future__ import annotations

import io

import pydicom
import pytest

from tests.data.synthetic import LARGE, SMALL, instance, series, study


@pytest.mark.parametrize(("size", "smallest", "largest"), [(SMALL, 8_000, 12_000), (LARGE, 524_288, 530_000)])
def test_an_instance_is_what_it_says(size: int, smallest: int, largest: int) -> None:
    made = instance(3, 2, 17, size=size)
    read = pydicom.dcmread(io.BytesIO(made.content))
    assert smallest < len(made.content) < largest
    assert (read.PatientID, read.StudyInstanceUID) == (made.patient_id, made.study_uid)
    assert (read.SeriesInstanceUID, read.SOPInstanceUID) == (made.series_uid, made.sop_uid)
    assert read.file_meta.MediaStorageSOPInstanceUID == made.sop_uid
    assert read.InstanceNumber == 18
    assert read.ImagePositionPatient[2] == 17
    assert len(read.PixelData) == size * size * 2


def test_uids_differ_and_repeat() -> None:
    made = list(study(3, 4, number=7))
    assert len({each.sop_uid for each in made}) == 12
    assert len({each.series_uid for each in made}) == 3
    assert len({each.study_uid for each in made}) == 1
    assert [each.content for each in series(2, study=7)] == [each.content for each in made[:2]]
    assert instance(99999, 99999, 99999).sop_uid not in {each.sop_uid for each in made}


def test_a_patient_can_have_several_studies() -> None:
    one, other = instance(1, 0, 0, patient=5), instance(2, 0, 0, patient=5)
    assert one.patient_id == other.patient_id
    assert one.study_uid != other.study_uid
