"""Many small studies that differ in what study lists are searched by: name, date, modality.

One instance without pixels a study, about a kilobyte, patched into a template as in `benchmarks.template`; what
is measured with them is the index, not the storage.
"""

from __future__ import annotations

import io
import re
from datetime import date, timedelta

from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

_FIRST_DAY = date(2014, 1, 1)
DAYS = 3650  # the studies are spread over ten years
_MODALITIES = ("CT", "MR", "CR", "US")
_FAMILIES = ("MEYER", "GARCIA", "TANAKA", "OKAFOR", "SVENSSON", "ROSSI", "DUPONT", "KOWALSKA")
_PLACEHOLDERS = {
    "patient_id": b"PATIENT_ID",
    "patient_name": b"FAMILYNM^N_NUMBER",
    "study_date": b"19000102",
    "modality": b"ZZ",
    "accession": b"ACCESSION_",
    "study_uid": b"2.25." + b"7" * 14,
    "series_uid": b"2.25." + b"8" * 14,
    "sop_uid": b"2.25." + b"9" * 14,
}


def patient_id(number: int) -> str:
    """The patient of study `number`; every third one has two studies."""
    return f"S{number - number % 3 % 2:09d}"


def study_date(number: int) -> str:
    """The date of study `number`, spread without an order that an index could profit from."""
    return f"{_FIRST_DAY + timedelta(days=number * 7919 % DAYS):%Y%m%d}"


def modality(number: int) -> str:
    """The modality of study `number`."""
    return _MODALITIES[number * 31 % 7 % len(_MODALITIES)]


def name_part(number: int) -> str:
    """What stands somewhere in the name of the patient of study `number`, and of a few others."""
    return f"N{number - number % 3 % 2:08d}"[3:]


class StudyTemplate:
    """Renders study `number` as a Part 10 file."""

    def __init__(self) -> None:
        names = {placeholder: name for name, placeholder in _PLACEHOLDERS.items()}
        pattern = b"(" + b"|".join(re.escape(placeholder) for placeholder in names) + b")"
        pieces = re.split(pattern, _encoded())
        self._constant = pieces[0::2]
        self._names = [names[piece] for piece in pieces[1::2]]

    def render(self, number: int) -> bytes:
        """The file of the only instance of study `number`."""
        patient = number - number % 3 % 2
        values = {
            "patient_id": patient_id(number),
            "patient_name": f"{_FAMILIES[patient % len(_FAMILIES)]:X<8}^N{patient:07d}",
            "study_date": study_date(number),
            "modality": modality(number),
            "accession": f"A{number:09d}",
            "study_uid": f"2.25.1{number:013d}",
            "series_uid": f"2.25.2{number:013d}",
            "sop_uid": f"2.25.3{number:013d}",
        }
        parts = [self._constant[0]]
        for name, constant in zip(self._names, self._constant[1:], strict=True):
            parts += [values[name].encode("ascii"), constant]
        return b"".join(parts)


def _encoded() -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = _PLACEHOLDERS["sop_uid"].decode()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = "2.25.1"
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    header: dict[str, object] = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": _PLACEHOLDERS["sop_uid"].decode(),
        "StudyDate": _PLACEHOLDERS["study_date"].decode(),
        "StudyTime": "101500",
        "AccessionNumber": _PLACEHOLDERS["accession"].decode(),
        "Modality": _PLACEHOLDERS["modality"].decode(),
        "Manufacturer": "Benchmark",
        "InstitutionName": "General Hospital",
        "ReferringPhysicianName": "Referrer^Rita",
        "StudyDescription": "Head without contrast",
        "SeriesDescription": "Axial",
        "PatientName": _PLACEHOLDERS["patient_name"].decode(),
        "PatientID": _PLACEHOLDERS["patient_id"].decode(),
        "PatientBirthDate": "19600214",
        "PatientSex": "O",
        "BodyPartExamined": "HEAD",
        "StudyInstanceUID": _PLACEHOLDERS["study_uid"].decode(),
        "SeriesInstanceUID": _PLACEHOLDERS["series_uid"].decode(),
        "StudyID": "1",
        "SeriesNumber": "1",
        "InstanceNumber": "1",
    }
    for keyword, value in header.items():
        setattr(dataset, keyword, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
