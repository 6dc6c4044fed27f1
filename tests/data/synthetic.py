"""Synthetic CT series, made fast: one template written by pydicom, then bytes patched for each instance.

The UIDs, the patient's id and the numbers have a fixed width in the template, so an instance costs one copy
of the bytes and a few slice assignments. The headers have some 40 elements, as a small scanner writes them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

_STUDY_UID = "2.25.10017000001"  # below 2.25 anybody may make UIDs (PS3.5 B.2)
_SERIES_UID = "2.25.10027000000000002"
_SOP_UID = "2.25.10037000000000000000003"
_PATIENT = "SYN7000004"
_INSTANCE_NUMBER = "700005"
_POSITION = "700006.000"

SMALL = 64  # 64 x 64 pixels of 16 bits: about 10 KB
LARGE = 512  # 512 x 512 pixels of 16 bits: about 525 KB


@dataclass(frozen=True, slots=True)
class Synthetic:
    """One instance: its UIDs and the bytes of its Part 10 file."""

    patient_id: str
    study_uid: str
    series_uid: str
    sop_uid: str
    content: bytes


@lru_cache(maxsize=4)
def _template(size: int) -> tuple[bytes, dict[str, list[int]]]:
    """The file that is patched, and where each placeholder stands in it."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = _SOP_UID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = "2.25.10049"
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    elements: dict[str, object] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": _SOP_UID,
        "StudyDate": "20240229",
        "SeriesDate": "20240229",
        "StudyTime": "101112",
        "SeriesTime": "101113",
        "AccessionNumber": "A1",
        "Modality": "CT",
        "Manufacturer": "Ithil",
        "InstitutionName": "Test Institution",
        "ReferringPhysicianName": "Referrer^Test",
        "StationName": "CT1",
        "StudyDescription": "Synthetic study",
        "SeriesDescription": "Synthetic series",
        "PatientName": "Müller^Synthetic",
        "PatientID": _PATIENT,
        "PatientBirthDate": "19700101",
        "PatientSex": "O",
        "BodyPartExamined": "CHEST",
        "SliceThickness": "1.0",
        "KVP": "120",
        "ProtocolName": "Chest",
        "StudyInstanceUID": _STUDY_UID,
        "SeriesInstanceUID": _SERIES_UID,
        "StudyID": "1",
        "SeriesNumber": "1",
        "InstanceNumber": _INSTANCE_NUMBER,
        "ImagePositionPatient": ["0.0", "0.0", _POSITION],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "FrameOfReferenceUID": "2.25.10058",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": size,
        "Columns": size,
        "PixelSpacing": ["0.5", "0.5"],
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "WindowCenter": "40",
        "WindowWidth": "400",
        "RescaleIntercept": "-1024",
        "RescaleSlope": "1",
        "PixelData": b"".join((n * 37 % 4096).to_bytes(2, "little") for n in range(size * size)),
    }
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    target = io.BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    content = target.getvalue()
    places = {
        text: list(_places(content, text.encode()))
        for text in (_STUDY_UID, _SERIES_UID, _SOP_UID, _PATIENT, _INSTANCE_NUMBER, _POSITION)
    }
    return content, places


def _places(content: bytes, text: bytes) -> Iterator[int]:
    at = content.find(text)
    while at >= 0:
        yield at
        at = content.find(text, at + 1)


def instance(
    study: int, series: int, number: int, *, size: int = SMALL, patient: int | None = None
) -> Synthetic:
    """The instance `number` of a series of a study (each 0 to 99999); the same numbers give the same bytes.

    Every study has a patient of its own unless `patient` names one.
    """
    content, places = _template(size)
    values = {
        _STUDY_UID: f"2.25.1001{study:07d}",
        _SERIES_UID: f"2.25.1002{study:07d}{series:06d}",
        _SOP_UID: f"2.25.1003{study:07d}{series:06d}{number:06d}",
        _PATIENT: f"SYN{study if patient is None else patient:07d}",
        _INSTANCE_NUMBER: f"{number + 1:<6d}",
        _POSITION: f"{number:.1f}".ljust(10),
    }
    patched = bytearray(content)
    for text, value in values.items():
        for at in places[text]:
            patched[at : at + len(text)] = value.encode()
    return Synthetic(
        values[_PATIENT], values[_STUDY_UID], values[_SERIES_UID], values[_SOP_UID], bytes(patched)
    )


def series(count: int, *, study: int = 0, number: int = 0, size: int = SMALL) -> Iterator[Synthetic]:
    """The `count` instances of one series."""
    return (instance(study, number, index, size=size) for index in range(count))


def study(series_count: int, instances: int, *, number: int = 0, size: int = SMALL) -> Iterator[Synthetic]:
    """All instances of a study of `series_count` series with `instances` each."""
    for index in range(series_count):
        yield from series(instances, study=number, number=index, size=size)
