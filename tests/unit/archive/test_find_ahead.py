"""Searches in the order of dates: looking ahead for the few that can match changes how, and never what is found."""

from __future__ import annotations

import pytest
from tests.unit.archive.places import put
from tests.unit.archive.searching import constraints, ids, instance

from ithil.archive import find
from ithil.archive.archive import Archive
from ithil.archive.query import Order, OrderKind, Query
from ithil.dicom.level import Level

BY_DATE = (Order(OrderKind.TAG, 0x00080020, descending=True),)


@pytest.mark.parametrize("few", [0, 3, 1000])
@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"PatientName": "*EVEN*"}, [8, 6, 4, 2, 0]),
        ({"PatientName": "EV*"}, [8, 6, 4, 2, 0]),
        ({"PatientName": "*EVEN*", "StudyDescription": "*three*"}, [6, 0]),
        ({"StudyDescription": "*three*"}, [9, 6, 3, 0]),
        ({"ModalitiesInStudy": "CT"}, [9, 4]),
        ({"ModalitiesInStudy": "CT", "PatientName": "*odd*"}, [9]),
        ({"PatientID": "P?", "StudyDate": "20200103-20200105"}, [4, 3, 2]),
        ({"PatientName": "*EVEN*", "PatientID": "P4"}, [4]),
        ({"PatientSex": "F"}, [7]),
        ({"PatientName": "*nobody*"}, []),
    ],
)
def test_the_same_is_found(
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    few: int,
    query: dict[str, str],
    numbers: list[int],
) -> None:
    monkeypatch.setattr(find, "_FEW", few)
    by_id = {}
    for number in range(10):
        result = put(
            archive,
            instance(
                PatientName="EVEN^N" if number % 2 == 0 else "ODD^N",
                PatientID=f"P{number}",
                PatientSex="F" if number == 7 else "M",
                StudyDate=f"2020010{number + 1}" if number < 9 else "20200110",
                StudyDescription="" if number % 3 else "a Three b",
                Modality="CT" if number % 5 == 4 else "MR",
            ),
        )
        by_id[result.study] = number
    asked = Query(Level.STUDY, constraints(query), order=BY_DATE)
    assert [by_id[one] for one in ids(archive, asked)] == numbers
    page = Query(Level.STUDY, constraints(query), order=BY_DATE, since=1, limit=2)
    assert [by_id[one] for one in ids(archive, page)] == numbers[1:3]
    assert find.count(archive, asked) == len(numbers)
