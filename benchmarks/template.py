"""One CT instance as a byte template, patched into as many instances as a workload needs.

Encoding a dataset with pydicom costs about a millisecond, as much as a fast server needs to store it. So the
instance is encoded once with placeholders of fixed length, cut at the placeholders, and every further
instance is one ``bytes.join``. The header has the modules of a real CT slice (PS3.3 A.3), with nested
sequences and private elements, about 100 elements: what a server walks and indexes is what a scanner sends.
"""

from __future__ import annotations

import hashlib
import io
import random
import re
from dataclasses import dataclass

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

_PLACEHOLDERS = {
    "patient_id": b"PATIENT_ID",
    "patient_name": b"BENCH^NAME_ID",
    "accession": b"ACCESSION_",
    "study_uid": b"2.25." + b"7" * 38,
    "series_uid": b"2.25." + b"8" * 38,
    "sop_uid": b"2.25." + b"9" * 38,
    "series_number": b"777777",
    "instance_number": b"999999",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Which instance is meant: the numbers that its identifiers are made from."""

    kind: int  # 0 to 99, keeps the data sets of one run apart
    study: int
    series: int
    instance: int

    @property
    def patient_id(self) -> str:
        return f"P{self.kind:02d}{self.study:07d}"

    @property
    def study_uid(self) -> str:
        return _uid(1, self.kind, self.study, 0, 0)

    @property
    def series_uid(self) -> str:
        return _uid(2, self.kind, self.study, self.series, 0)

    @property
    def sop_uid(self) -> str:
        return _uid(3, self.kind, self.study, self.series, self.instance)

    @property
    def study_id(self) -> str:
        """The public identifier of the study in Orthanc's and Ithil's REST API."""
        return public_id(self.patient_id, self.study_uid)

    @property
    def instance_id(self) -> str:
        """The public identifier of the instance in Orthanc's and Ithil's REST API."""
        return public_id(self.patient_id, self.study_uid, self.series_uid, self.sop_uid)


def public_id(*parts: str) -> str:
    """The SHA-1 of the DICOM identifiers joined with ``|``, as five groups of eight hex digits."""
    digest = hashlib.sha1("|".join(parts).encode(), usedforsecurity=False).hexdigest()
    return "-".join(digest[start : start + 8] for start in range(0, 40, 8))


class Template:
    """A CT instance of ``rows`` x ``columns`` 16-bit pixels that ``render`` gives new identifiers."""

    def __init__(self, rows: int, columns: int) -> None:
        encoded = _encode(rows, columns)
        names = {placeholder: name for name, placeholder in _PLACEHOLDERS.items()}
        pattern = b"(" + b"|".join(re.escape(placeholder) for placeholder in names) + b")"
        pieces = re.split(pattern, encoded)
        self._constant = pieces[0::2]
        self._names = [names[piece] for piece in pieces[1::2]]
        missing = set(_PLACEHOLDERS) - set(self._names)
        if missing:
            raise AssertionError(f"the template lost its placeholders for {sorted(missing)}")

    def render(self, address: Address) -> bytes:
        """The Part 10 file of this instance."""
        values = {
            "patient_id": address.patient_id,
            "patient_name": f"BENCH^N{address.study:06d}",
            "accession": f"A{address.kind:02d}{address.study:07d}",
            "study_uid": address.study_uid,
            "series_uid": address.series_uid,
            "sop_uid": address.sop_uid,
            "series_number": f"{address.series + 1:06d}",
            "instance_number": f"{address.instance + 1:06d}",
        }
        encoded = {name: value.encode("ascii") for name, value in values.items()}
        for name, value in encoded.items():
            if len(value) != len(_PLACEHOLDERS[name]):
                raise ValueError(f"{name} would change its length: {address}")
        parts = [self._constant[0]]
        for name, constant in zip(self._names, self._constant[1:], strict=True):
            parts.append(encoded[name])
            parts.append(constant)
        return b"".join(parts)


def _uid(level: int, kind: int, study: int, series: int, instance: int) -> str:
    # UUID-derived UIDs (PS3.5 B.2) differ in length; these have 38 digits, so that patching keeps offsets.
    return f"2.25.{level}{kind:02d}{study:013d}{series:09d}{instance:013d}"


def _encode(rows: int, columns: int) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = _PLACEHOLDERS["sop_uid"].decode()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = "2.25.1"
    meta.ImplementationVersionName = "BENCHMARK"
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    for keyword, value in _HEADER.items():
        setattr(dataset, keyword, value)
    dataset.SOPClassUID = CTImageStorage
    for keyword, name in {
        "SOPInstanceUID": "sop_uid",
        "StudyInstanceUID": "study_uid",
        "SeriesInstanceUID": "series_uid",
        "PatientID": "patient_id",
        "PatientName": "patient_name",
        "AccessionNumber": "accession",
        "SeriesNumber": "series_number",
        "InstanceNumber": "instance_number",
    }.items():
        setattr(dataset, keyword, _PLACEHOLDERS[name].decode())
    dataset.ReferencedStudySequence = [
        _item(ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1", ReferencedSOPInstanceUID="2.25.33")
    ]
    code = _item(CodeValue="CTHEAD", CodingSchemeDesignator="99LOCAL", CodeMeaning="CT of the head")
    dataset.ProcedureCodeSequence = [code]
    dataset.RequestAttributesSequence = [
        _item(
            ScheduledProcedureStepDescription="CT head without contrast",
            ScheduledProcedureStepID="SPS0001",
            RequestedProcedureID="RP0001",
            ScheduledProtocolCodeSequence=[code],
        )
    ]
    private = dataset.private_block(0x0019, "BENCHMARK SCANNER", create=True)
    private.add_new(0x02, "LO", "VCT HEAD ROUTINE")
    private.add_new(0x03, "DS", "12.3456")
    private.add_new(0x04, "OB", bytes(range(64)))
    dataset.Rows = rows
    dataset.Columns = columns
    dataset.PixelData = _pixels(rows * columns)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _pixels(count: int) -> bytes:
    # 12 significant bits of fixed noise: what compresses as badly as a real slice.
    noise = bytearray(random.Random(20240501).randbytes(2 * count))
    noise[1::2] = bytes(value & 0x0F for value in noise[1::2])
    return bytes(noise)


_HEADER: dict[str, object] = {
    "SpecificCharacterSet": "ISO_IR 100",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "InstanceCreationDate": "20240501",
    "InstanceCreationTime": "101530.125000",
    "StudyDate": "20240501",
    "SeriesDate": "20240501",
    "AcquisitionDate": "20240501",
    "ContentDate": "20240501",
    "StudyTime": "101200.000000",
    "SeriesTime": "101400.000000",
    "AcquisitionTime": "101455.500000",
    "ContentTime": "101456.250000",
    "Modality": "CT",
    "Manufacturer": "BENCHMARK SYSTEMS",
    "InstitutionName": "General Hospital of the Benchmark",
    "InstitutionAddress": "1 Example Road, Example Town",
    "ReferringPhysicianName": "Referrer^Ruth^^Dr",
    "StationName": "CTSCAN01",
    "StudyDescription": "CT head without contrast",
    "SeriesDescription": "Axial 1.25 mm soft tissue",
    "InstitutionalDepartmentName": "Radiology",
    "PerformingPhysicianName": "Performer^Paul",
    "NameOfPhysiciansReadingStudy": "Reader^Rita",
    "OperatorsName": "Operator^Otto",
    "ManufacturerModelName": "Bench CT 64",
    "PatientBirthDate": "19600214",
    "PatientSex": "O",
    "PatientAge": "064Y",
    "PatientWeight": "72.5",
    "PatientComments": "",
    "ContrastBolusAgent": "",
    "BodyPartExamined": "HEAD",
    "ScanOptions": "HELICAL MODE",
    "SliceThickness": "1.25",
    "KVP": "120",
    "DataCollectionDiameter": "500",
    "DeviceSerialNumber": "00012345",
    "SoftwareVersions": "bench.1.0",
    "ProtocolName": "1.1 Head Routine",
    "ReconstructionDiameter": "250",
    "DistanceSourceToDetector": "949.075",
    "DistanceSourceToPatient": "541",
    "GantryDetectorTilt": "0",
    "TableHeight": "154.3",
    "RotationDirection": "CW",
    "ExposureTime": "1000",
    "XRayTubeCurrent": "180",
    "Exposure": "180",
    "FilterType": "HEAD FILTER",
    "GeneratorPower": "21600",
    "FocalSpots": ["0.7"],
    "ConvolutionKernel": "STANDARD",
    "PatientPosition": "HFS",
    "RevolutionTime": 1.0,
    "SingleCollimationWidth": 0.625,
    "TotalCollimationWidth": 20.0,
    "TableSpeed": 20.6,
    "SpiralPitchFactor": 0.531,
    "StudyID": "1234",
    "AcquisitionNumber": "1",
    "ImagePositionPatient": ["-125.000", "-137.800", "42.5000"],
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "FrameOfReferenceUID": "2.25.44",
    "Laterality": "",
    "PositionReferenceIndicator": "OM",
    "SliceLocation": "42.5",
    "ImageComments": "",
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "PixelSpacing": ["0.488281", "0.488281"],
    "BitsAllocated": 16,
    "BitsStored": 12,
    "HighBit": 11,
    "PixelRepresentation": 0,
    "WindowCenter": "1064",
    "WindowWidth": "100",
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
    "RescaleType": "HU",
    "PerformedProcedureStepStartDate": "20240501",
    "PerformedProcedureStepStartTime": "101200.000000",
    "PerformedProcedureStepID": "PPS0001",
    "PerformedProcedureStepDescription": "CT head without contrast",
}
