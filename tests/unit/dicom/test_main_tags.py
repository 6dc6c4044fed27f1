"""The main tags and the form in which they are searched."""

from __future__ import annotations

import pytest

from ithil.dicom import main_tags
from ithil.dicom.dictionary import tag_for_keyword
from ithil.dicom.level import Level


def test_main_tags_are_sorted_and_name_their_level() -> None:
    for level in Level:
        tags = main_tags.MAIN_TAGS[level]
        assert list(tags) == sorted(set(tags))
        assert main_tags.UNIQUE_TAG[level] in tags
        assert main_tags.UNIQUE_TAG[level] in main_tags.IDENTIFIER_TAGS[level]


def test_some_of_the_lists_of_orthanc() -> None:
    for level, names in {
        Level.PATIENT: "PatientName PatientID PatientBirthDate PatientSex OtherPatientIDs",
        Level.STUDY: "RequestingPhysician RequestedProcedureDescription TimezoneOffsetFromUTC StudyID",
        Level.SERIES: "SeriesType NumberOfTimeSlices RequestAttributesSequence SequenceName OperatorsName",
        Level.INSTANCE: "TemporalPositionIdentifier ImageIndex ImageComments NumberOfFrames",
    }.items():
        assert {tag_for_keyword(name) for name in names.split()} <= set(main_tags.MAIN_TAGS[level])


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("", ""),
        ("  abc ", "ABC"),
        ("Müller^José", "MULLER^JOSE"),
        ("Søren Łukasz Æ", "SOREN LUKASZ AE"),
        ("a%b_c", "A B C"),
        ("a\x1b\nb\x7f", "AB"),
        ("Strasse ß", "STRASSE SS"),
        ("山田^やまだ", "山田^やまだ"),
        ("が 김", "が 김"),
    ],
)
def test_normalising(text: str, normal: str) -> None:
    assert main_tags.normalise(text) == normal
    assert main_tags.normalise(normal) == normal
