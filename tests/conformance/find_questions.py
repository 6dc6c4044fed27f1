"""The hundred queries of `find_scp`, and where Ithil's answers differ from Orthanc 1.10's on purpose."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from ithil.dicom.uids import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from tests.conformance.line import ABSENT, Difference

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1.1"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
UNIQUE = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
    "INSTANCE": "SOPInstanceUID",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One query: the keys as `findscu -k` takes them, `Keyword=value` or `gggg,eeee:VR=value`.

    The unique key of the level is added if it is not among them. `ours` lists what differs on purpose, at
    `status`, `answers` (the resources that match) or `answer.<keyword>`.
    """

    level: str
    keys: tuple[str, ...] = ()
    root: str = STUDY_ROOT
    syntax: str = IMPLICIT_LITTLE
    ours: tuple[Difference, ...] = ()

    @property
    def title(self) -> str:
        """How reports and test names call this query."""
        root = " in the patient root" if self.root == PATIENT_ROOT else ""
        syntax = "" if self.syntax == IMPLICIT_LITTLE else f" ({self.syntax})"
        return f"{self.level or 'no level'} {' '.join(self.keys)}{root}{syntax}"

    def identifier(self) -> bytes:
        """The identifier of the request, its elements in order."""
        keys: dict[int, tuple[str, str]] = {}
        if self.level:
            keys[0x00080052] = ("CS", self.level)
        unique = UNIQUE.get(self.level.upper())
        if unique is not None:
            keys[_tag(unique)] = (dictionary_VR(unique), "")
        for key in self.keys:
            name, _, value = key.partition("=")
            name, _, vr = name.partition(":")
            tag = int(name.replace(",", ""), 16) if "," in name else _tag(name)
            keys[tag] = (vr or dictionary_VR(tag), value)
        return b"".join(self._element(tag, *keys[tag]) for tag in sorted(keys))

    def _element(self, tag: int, vr: str, value: str) -> bytes:
        order = ">" if self.syntax == EXPLICIT_BIG else "<"
        if vr in ("US", "UL"):
            raw = struct.pack(order + {"US": "H", "UL": "I"}[vr], int(value)) if value else b""
        else:
            raw = value.encode("latin-1")
            raw += b"" if len(raw) % 2 == 0 else b"\0" if vr == "UI" else b" "
        head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
        if self.syntax == IMPLICIT_LITTLE:
            return head + struct.pack("<I", len(raw)) + raw
        if vr == "SQ":
            return head + b"SQ\0\0" + struct.pack(order + "I", 0)
        return head + vr.encode() + struct.pack(order + "H", len(raw)) + raw


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return int(tag)


def _beyond_latin1(value: Any) -> bool:
    return any(ord(character) > 0xFF for character in str(value))


EVERYWHERE: tuple[Difference, ...] = (
    Difference(
        "answer.SpecificCharacterSet",
        "Text that the default character set cannot carry goes out in UTF-8; Orthanc drops it.",
        ours="ISO_IR 192",
        theirs="ISO_IR 100",
    ),
    Difference(
        "answer.*",
        "Text that the default character set cannot carry goes out in UTF-8; Orthanc drops it.",
        when=lambda theirs, ours: _beyond_latin1(ours),
    ),
    Difference(
        "answer.*",
        "The backslash between values stays one in Japanese files; Orthanc 1.10 makes it a yen sign.",
        when=lambda theirs, ours: isinstance(theirs, str) and theirs.split("\xa5") == ours,
    ),
)

_STUDY = "1.3.6.1.4.1.5962.1.2.11.20040826185059.5457"
_SERIES_OF_IT = "1.3.6.1.4.1.5962.1.3.11.1.20040826185059.5457"
_INSTANCE_OF_IT = "1.3.6.1.4.1.5962.1.1.11.1.3.20040826185059.5457"
_OTHER_STUDY = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"

_RETRIEVE = "RetrieveAETitle is no key to match and always answered (PS3.4 C.4.1.1.3.2)."
_TIMEZONE = "TimezoneOffsetFromUTC says how to read the query and is not matched, as in Orthanc 1.13."
_COMPUTED = "What is computed is answered and matched at every level (PS3.4 C.6.1.1)."
_SCRIPTS = "Names of which no character is ASCII can be found."
_BELOW = "A key of a level below is matched by what is stored there."
_STAR = "A lone asterisk matches everything in every VR."
_LEVEL = "An identifier without a level that is known does not match the SOP class: A900H (PS3.4 C.4.1.1.4)."
_SEQUENCE = "Sequences are answered whole, as Orthanc 1.13 does."

QUESTIONS: tuple[Question, ...] = (
    # Universal matching, and what is answered at each level
    Question("PATIENT", ("PatientName=", "PatientBirthDate=", "PatientSex=", "OtherPatientIDs=")),
    Question("PATIENT", ("PatientName=", "PatientBirthDate=", "PatientSex="), PATIENT_ROOT),
    Question("PATIENT", ("NumberOfPatientRelatedStudies=", "NumberOfPatientRelatedSeries=")),
    Question("PATIENT", ("NumberOfPatientRelatedInstances=",)),
    Question("STUDY", ("PatientName=", "PatientID=", "StudyDate=", "StudyTime=", "AccessionNumber=")),
    Question("STUDY", ("StudyID=", "StudyDescription=", "ReferringPhysicianName=", "InstitutionName=")),
    Question("STUDY", ("ModalitiesInStudy=", "SOPClassesInStudy=")),
    Question("STUDY", ("NumberOfStudyRelatedSeries=", "NumberOfStudyRelatedInstances=")),
    Question("STUDY", ("PatientBirthDate=", "PatientSex=", "OtherPatientIDs=")),
    Question("STUDY", ("RequestingPhysician=", "RequestedProcedureDescription=")),
    Question("SERIES", ("Modality=", "SeriesNumber=", "SeriesDescription=", "BodyPartExamined=")),
    Question(
        "SERIES",
        ("PatientName=", "StudyDate=", "StudyInstanceUID=", "ModalitiesInStudy="),
        ours=(Difference("answer.ModalitiesInStudy", _COMPUTED, theirs=""),),
    ),
    Question("SERIES", ("NumberOfSeriesRelatedInstances=", "SeriesDate=", "SeriesTime=", "StationName=")),
    Question("SERIES", ("Manufacturer=", "OperatorsName=", "ProtocolName=", "SequenceName=")),
    Question("IMAGE", ("InstanceNumber=", "SOPClassUID=", "AcquisitionNumber=", "ImageComments=")),
    Question("IMAGE", ("PatientName=", "StudyInstanceUID=", "SeriesInstanceUID=", "Modality=")),
    Question("INSTANCE", ("NumberOfFrames=", "ImagePositionPatient=", "InstanceCreationDate=")),
    # Attributes that only files have
    Question("IMAGE", ("Rows=", "Columns=", "BitsAllocated=", "PhotometricInterpretation=")),
    Question("IMAGE", ("PixelSpacing=", "SliceThickness=", "KVP=", "WindowCenter=")),
    Question("SERIES", ("PatientPosition=", "FrameOfReferenceUID=")),
    Question("STUDY", ("Manufacturer=", "PatientAge=", "PatientWeight=")),
    Question("STUDY", ("Modality=", "SeriesInstanceUID=", "SOPInstanceUID=", "SOPClassUID=")),
    Question("PATIENT", ("StudyDate=", "PatientAge=")),
    # What is neither matched nor answered
    Question("STUDY", ("0008,0000:UL=", "SpecificCharacterSet=ISO_IR 192")),
    Question(
        "STUDY",
        ("TimezoneOffsetFromUTC=+0100", "PatientID="),
        ours=(Difference("answers", _TIMEZONE, theirs=[]),),
    ),
    Question("STUDY", ("RetrieveAETitle=ELSEWHERE",), ours=(Difference("answers", _RETRIEVE, theirs=[]),)),
    Question(
        "STUDY",
        ("RetrieveAETitle=",),
        ours=(Difference("answer.RetrieveAETitle", _RETRIEVE, ours="ORTHANC", theirs=""),),
    ),
    Question(
        "STUDY",
        ("InstanceAvailability=",),
        ours=(Difference("answer.InstanceAvailability", _COMPUTED, ours="ONLINE", theirs=""),),
    ),
    # Single value matching
    Question("STUDY", (f"StudyInstanceUID={_STUDY}", "PatientName=")),
    Question("STUDY", (f"StudyInstanceUID={_STUDY}", "PatientName="), PATIENT_ROOT),
    Question("STUDY", ("StudyInstanceUID=1.2.3.4", "PatientName=")),
    Question("SERIES", (f"SeriesInstanceUID={_SERIES_OF_IT}", "Modality=")),
    Question("SERIES", (f"StudyInstanceUID={_STUDY}", "Modality=")),
    Question("IMAGE", (f"SOPInstanceUID={_INSTANCE_OF_IT}", "InstanceNumber=")),
    Question("IMAGE", (f"StudyInstanceUID={_STUDY}", f"SeriesInstanceUID={_SERIES_OF_IT}")),
    Question("IMAGE", (f"SeriesInstanceUID={_SERIES_OF_IT}", "InstanceNumber=3")),
    Question("PATIENT", ("PatientID=1CT1", "PatientName=")),
    Question("PATIENT", ("PatientID=1ct1", "PatientName=")),
    Question("PATIENT", ("PatientID=no such patient",)),
    Question("STUDY", ("PatientID=1CT1", "StudyDate=")),
    Question("STUDY", ("PatientID=1CT1 ", "StudyDate=")),
    Question("SERIES", ("PatientID=1CT1", "Modality=")),
    Question("IMAGE", ("PatientID=1CT1", "InstanceNumber=")),
    Question("STUDY", ("StudyDescription=e+1",)),
    Question("STUDY", ("StudyDescription=E+1",)),
    Question("STUDY", ("StudyID=4MR1", "PatientID=")),
    Question("STUDY", ("PatientSex=M",)),
    Question("PATIENT", ("PatientSex=F",)),
    Question("SERIES", ("Modality=CT",)),
    Question("SERIES", ("Modality=ct",)),
    Question("SERIES", ("Modality=MR", "PatientName=Compressed*")),
    Question("IMAGE", ("InstanceNumber=1",)),
    Question("IMAGE", ("SOPClassUID=1.2.840.10008.5.1.4.1.1.2",)),
    # Names, which have neither case nor accents
    Question("STUDY", ("PatientName=CompressedSamples^CT1",)),
    Question("STUDY", ("PatientName=compressedsamples^ct1",)),
    Question("STUDY", ("PatientName=Lestrade^G",)),
    Question("STUDY", ("PatientName=LESTRADE*",)),
    Question("PATIENT", ("PatientName=comp*",), PATIENT_ROOT),
    Question("SERIES", ("PatientName=*samples*",)),
    Question("STUDY", ("PatientName=*^?T1",)),
    Question("STUDY", ("PatientName=*^??1",)),
    Question("STUDY", ("PatientName=*",)),
    Question("STUDY", ("PatientName=?*",), ours=(Difference("answers", _SCRIPTS, theirs=[]),)),
    Question("STUDY", ("PatientName=**T1",)),
    Question("STUDY", ("ReferringPhysicianName=*",)),
    # Wildcards elsewhere
    Question("STUDY", ("PatientID=*CT*",)),
    Question("STUDY", ("PatientID=*ct*",)),
    Question("STUDY", ("PatientID=1??1",)),
    Question("STUDY", ("PatientID=*",)),
    Question("STUDY", ("AccessionNumber=*",)),
    Question("STUDY", ("StudyDescription=*of*",)),
    Question("STUDY", ("StudyDescription=?+1",)),
    Question("SERIES", ("Modality=*",)),
    Question("SERIES", ("Modality=?T",)),
    Question("SERIES", ("SeriesDescription=*a*",)),
    Question("IMAGE", ("ImageComments=*",)),
    Question("SERIES", ("Manufacturer=GE*",)),
    Question("IMAGE", ("PhotometricInterpretation=MONO*",)),
    Question("IMAGE", ("SpecificCharacterSet=", "PatientName=*^X*")),
    # Wildcards where there are none
    Question("STUDY", ("StudyDate=2004*",)),
    Question(
        "STUDY",
        ("StudyDate=*",),
        ours=(
            Difference("status", _STAR, ours="0000", theirs="C000"),
            Difference("answers", _STAR, theirs=[]),
        ),
    ),
    Question("STUDY", ("StudyInstanceUID=1.3.*",)),
    Question(
        "STUDY",
        ("StudyInstanceUID=*",),
        ours=(
            Difference("status", _STAR, ours="0000", theirs="C000"),
            Difference("answers", _STAR, theirs=[]),
        ),
    ),
    Question("STUDY", ("StudyTime=07*",)),
    Question("IMAGE", ("InstanceNumber=?",)),
    # Lists
    Question("STUDY", (f"StudyInstanceUID={_STUDY}\\{_OTHER_STUDY}",)),
    Question("SERIES", (f"StudyInstanceUID={_STUDY}\\{_OTHER_STUDY}", "Modality=")),
    Question("SERIES", ("Modality=CT\\MR",)),
    Question("PATIENT", ("PatientID=1CT1\\4MR1",)),
    Question("STUDY", ("StudyDate=20040119\\20040826",)),
    Question("IMAGE", ("InstanceNumber=1\\2",)),
    Question("STUDY", ("PatientSex=M\\F",)),
    # Ranges
    Question("STUDY", ("StudyDate=20040119",)),
    Question("STUDY", ("StudyDate=20040101-20041231", "StudyTime=")),
    Question("STUDY", ("StudyDate=20040119-20040119",)),
    Question("STUDY", ("StudyDate=-20040119",)),
    Question("STUDY", ("StudyDate=20040827-",)),
    Question("STUDY", ("StudyDate=-",)),
    Question("STUDY", ("StudyDate=20041231-20040101",)),
    Question("SERIES", ("StudyDate=20040101-20041231", "SeriesDate=")),
    Question("SERIES", ("SeriesDate=20040101-",)),
    Question("IMAGE", ("InstanceCreationDate=20040101-20041231",)),
    Question("STUDY", ("StudyTime=07-08",)),
    Question("STUDY", ("StudyTime=0727",)),
    Question("STUDY", ("StudyTime=120000-",)),
    Question("STUDY", ("StudyDate=20040101-20041231", "StudyTime=070000-080000")),
    Question("PATIENT", ("PatientBirthDate=19000101-19701231",)),
    # What is computed
    Question("STUDY", ("ModalitiesInStudy=CT",)),
    Question("STUDY", ("ModalitiesInStudy=MR", "StudyDate=2004-")),
    Question("STUDY", ("ModalitiesInStudy=CT\\MR",)),
    Question("STUDY", ("ModalitiesInStudy=XX",)),
    Question(
        "STUDY",
        ("SOPClassesInStudy=1.2.840.10008.5.1.4.1.1.2",),
        ours=(Difference("answers", _COMPUTED, theirs=[]),),
    ),
    Question(
        "STUDY", ("NumberOfStudyRelatedInstances=3",), ours=(Difference("answers", _COMPUTED, theirs=[]),)
    ),
    # Keys of other levels
    Question("STUDY", ("Modality=CT",), ours=(Difference("answers", _BELOW, theirs=[]),)),
    Question("PATIENT", (f"StudyInstanceUID={_STUDY}",), ours=(Difference("answers", _BELOW, theirs=[]),)),
    Question("SERIES", ("StudyDescription=e+1",)),
    Question("IMAGE", ("Modality=CT", "StudyDate=2004-")),
    # Sequences and private attributes
    Question(
        "SERIES",
        ("RequestAttributesSequence=",),
        ours=(Difference("answer.RequestAttributesSequence", _SEQUENCE, theirs=ABSENT),),
    ),
    Question(
        "IMAGE",
        ("ReferencedImageSequence=",),
        ours=(Difference("answer.ReferencedImageSequence", _SEQUENCE, theirs=ABSENT),),
    ),
    Question("SERIES", ("PatientID=1CT1", "0009,0010:LO=", "0009,1001:LO=")),
    Question("IMAGE", ("0009,0010:LO=GEMS_IDEN_01", "0009,1001:LO=GE_GENESIS_FF")),
    # Other encodings of the identifier
    Question("STUDY", ("PatientName=comp*", "StudyDate="), syntax=EXPLICIT_LITTLE),
    Question("STUDY", ("PatientName=comp*", "StudyDate="), syntax=EXPLICIT_BIG),
    Question("IMAGE", ("PatientName=comp*", "Rows=", "Modality="), PATIENT_ROOT, EXPLICIT_LITTLE),
    Question("IMAGE", ("PatientName=comp*", "Rows=", "Modality="), syntax=EXPLICIT_BIG),
    # What cannot be asked
    Question("", ("PatientName=",), ours=(Difference("status", _LEVEL, ours="A900", theirs="C000"),)),
    Question("FOO", ("PatientName=",), ours=(Difference("status", _LEVEL, ours="A900", theirs="C000"),)),
    Question("study", ("PatientName=comp*",)),
)
