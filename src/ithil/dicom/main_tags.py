"""The main DICOM tags: what the index remembers of each level and resources show without opening a file.

The lists are those of Orthanc 1.13. The configuration can extend what is shown, never shrink it.
"""

from __future__ import annotations

import unicodedata

from ithil.dicom.level import Level

PATIENT_ID = 0x00100020
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
SOP_INSTANCE_UID = 0x00080018
SOP_CLASS_UID = 0x00080016

_PATIENT = (
    0x00100010,  # PatientName
    PATIENT_ID,
    0x00100030,  # PatientBirthDate
    0x00100040,  # PatientSex
    0x00101000,  # OtherPatientIDs
)
_STUDY = (
    0x00080020,  # StudyDate
    0x00080030,  # StudyTime
    0x00080050,  # AccessionNumber
    0x00080080,  # InstitutionName
    0x00080090,  # ReferringPhysicianName
    0x00080201,  # TimezoneOffsetFromUTC
    0x00081030,  # StudyDescription
    STUDY_INSTANCE_UID,
    0x00200010,  # StudyID
    0x00321032,  # RequestingPhysician
    0x00321060,  # RequestedProcedureDescription
)
_SERIES = (
    0x00080021,  # SeriesDate
    0x00080031,  # SeriesTime
    0x00080060,  # Modality
    0x00080070,  # Manufacturer
    0x00080201,  # TimezoneOffsetFromUTC
    0x00081010,  # StationName
    0x0008103E,  # SeriesDescription
    0x00081070,  # OperatorsName
    0x00180010,  # ContrastBolusAgent
    0x00180015,  # BodyPartExamined
    0x00180024,  # SequenceName
    0x00181030,  # ProtocolName
    0x00181090,  # CardiacNumberOfImages
    0x00181400,  # AcquisitionDeviceProcessingDescription
    SERIES_INSTANCE_UID,
    0x00200011,  # SeriesNumber
    0x00200037,  # ImageOrientationPatient
    0x00200105,  # NumberOfTemporalPositions
    0x00201002,  # ImagesInAcquisition
    0x00400244,  # PerformedProcedureStepStartDate
    0x00400245,  # PerformedProcedureStepStartTime
    0x00400254,  # PerformedProcedureStepDescription
    0x00400275,  # RequestAttributesSequence
    0x00540081,  # NumberOfSlices
    0x00540101,  # NumberOfTimeSlices
    0x00541000,  # SeriesType
)
_INSTANCE = (
    0x00080012,  # InstanceCreationDate
    0x00080013,  # InstanceCreationTime
    SOP_INSTANCE_UID,
    0x00200012,  # AcquisitionNumber
    0x00200013,  # InstanceNumber
    0x00200032,  # ImagePositionPatient
    0x00200037,  # ImageOrientationPatient
    0x00200100,  # TemporalPositionIdentifier
    0x00204000,  # ImageComments
    0x00280008,  # NumberOfFrames
    0x00541330,  # ImageIndex
)

MAIN_TAGS: dict[Level, tuple[int, ...]] = {
    Level.PATIENT: _PATIENT,
    Level.STUDY: _STUDY,
    Level.SERIES: _SERIES,
    Level.INSTANCE: _INSTANCE,
}
"""The default main tags of each level, in ascending order. Studies show those of their patient as well."""

MAIN_SEQUENCES = frozenset({0x00400275})
"""Main tags that are sequences: they have no text, and are remembered as JSON beside the others."""

IDENTIFIER_TAGS: dict[Level, tuple[int, ...]] = {
    Level.PATIENT: (0x00100010, PATIENT_ID, 0x00100030),
    Level.STUDY: (
        0x00080020,
        0x00080050,
        0x00081030,
        0x00100010,
        PATIENT_ID,
        0x00100030,
        STUDY_INSTANCE_UID,
    ),
    Level.SERIES: (SERIES_INSTANCE_UID,),
    Level.INSTANCE: (SOP_INSTANCE_UID,),
}
"""The tags that are stored a second time in the form of `normalise`, for searching."""

UNIQUE_TAG: dict[Level, int] = {
    Level.PATIENT: PATIENT_ID,
    Level.STUDY: STUDY_INSTANCE_UID,
    Level.SERIES: SERIES_INSTANCE_UID,
    Level.INSTANCE: SOP_INSTANCE_UID,
}
"""The tag whose value names a resource of the level."""

ALL_MAIN_TAGS: frozenset[int] = frozenset().union(*MAIN_TAGS.values())

# Letters that Unicode does not take apart into a base letter and an accent.
_LETTERS = str.maketrans(
    {"Ø": "O", "Ł": "L", "Đ": "D", "Ð": "D", "Æ": "AE", "Œ": "OE", "Þ": "TH", "%": " ", "_": " "}
    | dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)))
    | dict.fromkeys(range(0x300, 0x370))  # combining diacritical marks
)


def normalise(text: str) -> str:
    """The form of a value that searches compare: upper case, no accents, no control characters, trimmed.

    `%` and `_` become blanks since SQL gives them a meaning. Unlike Orthanc, which keeps ASCII only, other
    scripts stay (in composed form), so that a name in Japanese can be told from one in Russian.
    """
    if text.isascii():
        if text.isprintable() and "%" not in text and "_" not in text:
            return text.strip().upper()
        return text.translate(_LETTERS).strip().upper()
    upper = unicodedata.normalize("NFKD", text.upper()).translate(_LETTERS)
    return unicodedata.normalize("NFC", upper).strip()
