"""Which tags belong to the module of each level: patient, general study, general series, SOP common.

PS3.3 C.7.1.1, C.7.2.1, C.7.3.1 and C.12.1, in the edition that Orthanc's clients know.
"""

from __future__ import annotations

from ithil.dicom.level import Level

PATIENT = frozenset(
    {
        0x00081120,  # ReferencedPatientSequence
        *(0x00100010, 0x00100020, 0x00100021, 0x00100024),  # name, identifier and their issuer
        *(0x00100030, 0x00100032, 0x00100040),  # birth, sex
        *(0x00101000, 0x00101001, 0x00101002),  # other identifiers and names
        *(0x00102160, 0x00102201, 0x00102202),  # ethnic group, species
        *(0x00102292, 0x00102293, 0x00102294),  # breed
        *(0x00102297, 0x00102298, 0x00102299),  # who is responsible
        0x00104000,  # PatientComments
        *(0x00120062, 0x00120063, 0x00120064),  # whether the identity was removed, and how
    }
)

STUDY = frozenset(
    {
        *(0x00080020, 0x00080030, 0x00080050, 0x00080051),  # date, time, accession number
        *(0x00080090, 0x00080096),  # ReferringPhysicianName
        *(0x00081030, 0x00081032),  # description, procedure
        *(0x00081048, 0x00081049, 0x00081060, 0x00081062),  # physicians
        0x00081110,  # ReferencedStudySequence
        *(0x0020000D, 0x00200010),  # StudyInstanceUID, StudyID
        0x00321034,  # RequestingServiceCodeSequence
        0x00401012,  # ReasonForPerformedProcedureCodeSequence
    }
)

SERIES = frozenset(
    {
        *(0x00080021, 0x00080031, 0x00080060),  # date, time, modality
        *(0x0008103E, 0x0008103F),  # description
        *(0x00081050, 0x00081052, 0x00081070, 0x00081072),  # physicians, operators
        *(0x00081111, 0x00081250),  # referenced steps, related series
        0x00102210,  # AnatomicalOrientationType
        *(0x00180015, 0x00181030, 0x00185100),  # body part, protocol, position
        *(0x0020000E, 0x00200011, 0x00200060),  # SeriesInstanceUID, SeriesNumber, Laterality
        *(0x00280108, 0x00280109),  # smallest and largest pixel value
        *(0x00400244, 0x00400245, 0x00400253, 0x00400254, 0x00400260),  # performed procedure step
        *(0x00400275, 0x00400280),  # request, comments
    }
)

INSTANCE = frozenset(
    {
        *(0x00080005, 0x00080012, 0x00080013, 0x00080014),  # character set, creation
        *(0x00080016, 0x00080018, 0x0008001A, 0x0008001B),  # SOP class and instance
        *(0x00080110, 0x00080201),  # coding schemes, time zone
        0x0018A001,  # ContributingEquipmentSequence
        *(0x00200013, 0x00280303),  # InstanceNumber, LongitudinalTemporalInformationModified
        0x0040A390,  # HL7StructuredDocumentReferenceSequence
        *(0x01000410, 0x01000420, 0x01000424, 0x01000426),  # status and authorization
        *(0x04000500, 0x04000561),  # encrypted and original attributes
        *(0x4FFE0001, 0xFFFAFFFA),  # signatures
    }
)

OF_LEVEL = {Level.PATIENT: PATIENT, Level.STUDY: STUDY, Level.SERIES: SERIES, Level.INSTANCE: INSTANCE}
"""The tags of the module of each level."""
