"""Dates and times that are searched together, as one range of moments."""

from __future__ import annotations

import pytest
from tests.unit.archive.places import put
from tests.unit.archive.searching import instance

from ithil.archive import find
from ithil.archive.archive import Archive
from ithil.archive.matching import Range
from ithil.archive.query import BadQuery, Moment, Query
from ithil.dicom.level import Level

STUDY_DATE, STUDY_TIME = 0x00080020, 0x00080030
CREATION_DATE, CREATION_TIME = 0x00080012, 0x00080013


def found(archive: Archive, level: Level, moment: Moment) -> list[str]:
    """The study identifiers of what matches."""
    batches = list(find.resources(archive, Query(level, moments=(moment,))))
    return [one.main_tags.get(0x00200010, "") for batch in batches for one in batch]


def fill(archive: Archive) -> None:
    moments = (
        ("20240101", "0900"),
        ("20240101", "1200"),
        ("20240102", ""),
        ("20240102", "120059"),
        ("", "12"),
    )
    for number, (date, time) in enumerate(moments):
        values = {"StudyDate": date} if date else {}
        values |= {"StudyTime": time} if time else {}
        put(archive, instance(StudyID=str(number), **values))


@pytest.mark.parametrize(
    ("dates", "times", "expected"),
    [
        (("20240101", "20240102"), ("10", "11"), ["1", "2"]),
        (("20240101", "20240102"), ("10", "12"), ["1", "2", "3"]),
        (("20240101", "20240102"), ("10", "1200"), ["1", "2", "3"]),
        (("20240101", "20240102"), ("10", "120000"), ["1", "2"]),
        (("20240101", "20240102"), (None, None), ["0", "1", "2", "3"]),
        (("20240101", None), ("1201", None), ["2", "3"]),
        ((None, "20240101"), (None, "1159"), ["0"]),
    ],
)
def test_a_range_goes_from_the_first_moment_to_the_last(
    archive: Archive, dates: tuple[str, str], times: tuple[str, str], expected: list[str]
) -> None:
    fill(archive)
    moment = Moment(STUDY_DATE, STUDY_TIME, Range(*dates), Range(*times))
    assert found(archive, Level.STUDY, moment) == expected
    assert len(found(archive, Level.SERIES, moment)) == len(expected)
    assert find.count(archive, Query(Level.INSTANCE, moments=(moment,))) == len(expected)


def test_moments_of_instances_and_of_what_is_below(archive: Archive) -> None:
    put(archive, instance(InstanceCreationDate="20240101", InstanceCreationTime="1200", StudyID="A"))
    put(archive, instance(InstanceCreationDate="20240103", InstanceCreationTime="1200", StudyID="B"))
    moment = Moment(CREATION_DATE, CREATION_TIME, Range("20240101", "20240103"), Range("10", "11"))
    assert len(found(archive, Level.INSTANCE, moment)) == 1
    assert found(archive, Level.STUDY, moment) == ["A"]


def test_tags_that_the_index_does_not_know_make_no_moment(archive: Archive) -> None:
    unknown = Moment(0x00080022, 0x00080032, Range("20240101", None), Range("10", None))
    with pytest.raises(BadQuery):
        found(archive, Level.STUDY, unknown)
